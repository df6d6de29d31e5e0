"""The sides that go through Nodeyard: a whole session, as ``run`` and ``open_network`` use it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import mean, median
from typing import Any

from nodeyard.app.config import Settings, resolve
from nodeyard.app.registry import Registry, installed, registry_of
from nodeyard.app.running import run_scenario
from nodeyard.app.session import Session, SessionRequest
from nodeyard.app.spec_loader import load_scenario
from nodeyard.domain.history import Call, Outcome


def etcd(asked: dict[str, Any], born: float) -> dict[str, float]:
    """As ``to_ready``, with etcd's own part of it."""
    from bench.etcd import own_time

    logs = Path(asked["folder"]).glob("runs/*/nodes/*/stderr.log")
    return {**to_ready(asked, born), "own": own_time(logs)}


def to_ready(asked: dict[str, Any], born: float) -> dict[str, float]:
    """To ready, from the session's making (``session``) and from the start of this process (``process``)."""
    figures = _run(asked, installed())
    return {"session": figures["ready"], "process": figures["ready_at"] - born}


def cometbft(asked: dict[str, Any], born: float) -> dict[str, float]:
    """As ``etcd``: a validator is ready when it has a block."""
    return to_ready(asked, born)


def tx_flow(asked: dict[str, Any], born: float) -> dict[str, float]:
    """How long transactions took until each node had them, by the history, in seconds since they were due."""
    _run(asked, installed(), run=lambda request: run_scenario(request, say=print))
    (history,) = Path(asked["folder"]).glob("runs/*/history.jsonl")
    due: dict[int, float] = {}
    took: list[float] = []
    for record in map(json.loads, history.read_text().splitlines()):
        if record["op"] != "include":
            continue
        if record["type"] == "invoke":
            due[record["index"]] = record["intended"]
        elif record["type"] == "ok":
            took.append(record["at"] - due[record["index"]])
    return {"median": median(took), "mean": mean(took), "count": len(took)}


def load(asked: dict[str, Any], born: float) -> dict[str, float]:
    """The figures of ``bare.load``, from the history of a whole run."""
    from bench.bare import rates

    calls: tuple[Call, ...] = _run(asked, installed(), run=_played)
    failed = [call for call in calls if call.outcome is not Outcome.OK]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(calls)} operations did not succeed: {failed[0].result}")
    return rates([(call.intended, call.completed) for call in calls], min(call.intended for call in calls))


async def _played(request: SessionRequest) -> tuple[Call, ...]:
    session = Session(request)
    async with session.opened():
        await session.run()
    return session.history.calls()


def toys(asked: dict[str, Any], born: float) -> dict[str, float]:
    """To ready and down again, and the most memory that this process ever held, in MB."""
    import aiohttp  # noqa: F401 - as on the bare side, before the time begins

    from bench.toy import ToyKind
    from nodeyard.providers.attach.static import StaticPlugin
    from nodeyard.providers.deployer.local import LocalPlugin

    figures = _run(
        asked,
        registry_of(kinds={"toy": ToyKind}, deployers={"local": LocalPlugin}, attach={"static": StaticPlugin}),
    )
    return {**figures, "memory": _most_memory()}


def _run(
    asked: dict[str, Any],
    registry: Registry,
    *,
    run: Callable[[SessionRequest], Coroutine[Any, Any, Any]] | None = None,
) -> Any:
    folder = Path(asked["folder"])
    settings = _settings(folder)
    scenario = folder / "scenario.yaml"
    scenario.write_text(asked["scenario"])
    loaded = load_scenario(scenario, registry, settings.environment)
    profile = os.environ.get("BENCH_PROFILE")
    work = (run or _session)(SessionRequest(loaded, settings, registry, seed=1))
    return _profiled(lambda: asyncio.run(work), Path(profile)) if profile else asyncio.run(work)


async def _session(request: SessionRequest) -> dict[str, float]:
    begin = time.monotonic()
    session = Session(request)
    async with session.opened():
        try:
            await session.start()
        except BaseException as error:
            await session.finish(session.failure_of(error))
            raise
        ready = time.monotonic()
        result = await session.finish(None)
    if result.cleanup is not None:
        raise result.cleanup
    down = time.monotonic()
    return {"ready": ready - begin, "ready_at": ready, "teardown": down - ready}


def _settings(folder: Path) -> Settings:
    own = {"NODEYARD_STATE_DIR": str(folder / "state"), "NODEYARD_CACHE_DIR": str(folder.parent / "cache")}
    return resolve({**os.environ, **own}, folder, {"output": str(folder / "runs")})


def _most_memory() -> float:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1000


def _profiled(work: Callable[[], Any], path: Path) -> Any:
    """As ``work`` alone, with a profile for ``pstats`` in ``path``."""
    import cProfile

    profile = cProfile.Profile(time.process_time)
    try:
        return profile.runcall(work)
    finally:
        profile.dump_stats(path)

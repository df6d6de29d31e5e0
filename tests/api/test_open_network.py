"""The network from Python, async and sync, on real etcd processes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

import nodeyard


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """An async test as a plain one."""

    @wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        asyncio.run(test(*args, **fixtures))

    return run


SCENARIO = """
nodeyard: 1
name: api
kind: etcd
source:
  mode: managed
  deployer: {type: local}
  nodes: {count: 3}
readiness: {policy: all, timeout: 30s}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "api.yaml"
    path.write_text(SCENARIO)
    return path


def verdict(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "verdict.json").read_text())
    return found


@pytest.mark.real
@in_loop
async def test_the_whole_door(scenario: Path, tmp_path: Path) -> None:
    async with nodeyard.open_network(scenario, seed=7, output=tmp_path / "runs") as net:
        assert [node.id for node in net] == ["n0", "n1", "n2"]
        (leader,) = await net.select("leader")
        kv = net["n1"].client(nodeyard.KeyValue)
        await kv.put("a", "1", timeout=5.0)
        await leader.restart()
        check = await net.expect("converged", within="10s")
        assert check.verdict is nodeyard.Verdict.PASS
    assert net.result is not None
    assert net.result.exit_status == 0
    assert verdict(net.folder)["verdict"] == "pass"
    assert verdict(net.folder)["seed"] == 7


@pytest.mark.real
@in_loop
async def test_a_failing_expectation_and_a_failing_body(scenario: Path, tmp_path: Path) -> None:
    net = None
    with pytest.raises(nodeyard.ExpectationFailed, match="no line"):
        async with nodeyard.open_network(scenario, output=tmp_path / "runs") as net:
            await net.expect("log-present", pattern="never ever", within="100ms")
    assert net is not None
    assert verdict(net.folder)["verdict"] == "fail"
    assert (net.folder / "nodes" / "n0" / "diagnostics.txt").is_file()
    with pytest.raises(ZeroDivisionError):
        async with nodeyard.open_network(scenario, output=tmp_path / "runs") as net:
            raise ZeroDivisionError("mine")
    checks = verdict(net.folder)["checks"]
    assert checks == [{"name": "test", "verdict": "fail", "reason": "ZeroDivisionError: mine", "evidence": []}]


@pytest.mark.real
@in_loop
async def test_an_error_that_quotes_a_secret_tells_it_to_nobody(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret-word")
    scenario.write_text(SCENARIO.replace("{count: 3}", '{count: 1, env: {TOKEN: "env:SECRET"}}'))
    net = None
    with pytest.raises(ValueError, match="s3cret-word"):
        async with nodeyard.open_network(scenario, output=tmp_path / "runs") as net:
            raise ValueError("cannot log in with s3cret-word")
    assert net is not None
    assert net.result is not None
    assert "cannot log in with ***" in repr(net.result.outcome)
    assert "s3cret-word" not in repr(net.result.outcome)
    written = [path for path in net.folder.rglob("*") if path.is_file()]
    assert (net.folder / "junit.xml") in written
    assert [path.name for path in written if b"s3cret-word" in path.read_bytes()] == []


@pytest.mark.real
@in_loop
async def test_a_cancelled_body_is_taken_down(scenario: Path, tmp_path: Path) -> None:
    up = asyncio.Event()
    folders: list[Path] = []

    async def body() -> None:
        async with nodeyard.open_network(scenario, output=tmp_path / "runs") as net:
            folders.append(net.folder)
            up.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(body())
    await up.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert verdict(folders[0])["verdict"] == "unknown"
    assert not list((folders[0] / "nodes").glob("*/data"))


@in_loop
async def test_wrong_use_is_told(scenario: Path, tmp_path: Path) -> None:
    scenario.write_text(SCENARIO.replace("etcd", "etdc"))
    with pytest.raises(nodeyard.SpecInvalid, match="1 problem"):
        async with nodeyard.open_network(scenario, output=tmp_path / "runs"):
            pytest.fail("it must not open")
    assert not (tmp_path / "runs").exists()


@pytest.mark.real
def test_the_sync_twin(scenario: Path, tmp_path: Path) -> None:
    with nodeyard.open_network_sync(scenario, output=tmp_path / "runs") as net:
        assert [node.id for node in net] == ["n0", "n1", "n2"]
        kv = net["n0"].client(nodeyard.KeyValue)
        kv.put("a", "1", timeout=5.0)
        net["n1"].restart()
        assert net.expect("converged", within="10s").verdict is nodeyard.Verdict.PASS
        assert net.select("leader")[0].state().state == "running"
    assert net.result is not None
    assert net.result.exit_status == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "nodeyard"]


@pytest.mark.real
def test_the_sync_twin_passes_errors_on(scenario: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        nodeyard.open_network_sync(scenario, output=tmp_path / "runs") as net,
    ):
        raise KeyboardInterrupt
    assert verdict(Path(net.folder))["verdict"] == "unknown"
    scenario.write_text("nodeyard: 1")
    with pytest.raises(nodeyard.SpecInvalid), nodeyard.open_network_sync(scenario, output=tmp_path / "runs"):
        pytest.fail("it must not open")

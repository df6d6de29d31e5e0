"""Settings: which source wins, and what a bad one says; secrets of references."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from nodeyard.app.config import KEYS, Keep, Secrets, Settings, resolve
from nodeyard.domain.secrets import Secret
from nodeyard.errors.validation import SpecInvalid

FOLDERS = {"output": "output", "state-dir": "state", "cache-dir": "cache"}


def refused(environment: dict[str, str], cwd: Path, options: dict[str, str | None]) -> list[str]:
    with pytest.raises(SpecInvalid) as caught:
        resolve(environment, cwd, options)
    return [str(problem) for problem in caught.value.problems]


def test_defaults(tmp_path: Path) -> None:
    found = resolve({"HOME": "/home/me"}, tmp_path, {})
    assert found.output == tmp_path / "nodeyard-runs"
    assert found.state == Path("/home/me/.local/state/nodeyard")
    assert found.cache == Path("/home/me/.cache/nodeyard")
    assert found.keep is Keep.ON_FAILURE
    assert found.default_output
    assert found.cwd == tmp_path


def test_folders_of_the_user_follow_the_xdg_variables(tmp_path: Path) -> None:
    found = resolve({"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"}, tmp_path, {})
    assert (found.state, found.cache) == (Path("/s/nodeyard"), Path("/c/nodeyard"))


@pytest.mark.parametrize(("key", "attribute"), FOLDERS.items())
@pytest.mark.parametrize("given", list(itertools.product([False, True], repeat=3)))
def test_option_over_environment_over_project_file_over_default(
    tmp_path: Path, key: str, attribute: str, given: tuple[bool, bool, bool]
) -> None:
    option, variable, project = given
    if project:
        (tmp_path / "nodeyard.toml").write_text(f'{key} = "/project"\n')
    environment = {"HOME": "/h", **({f"NODEYARD_{attribute.upper()}": "/wrong"} if key == "" else {})}
    if variable:
        environment["NODEYARD_" + key.upper().replace("-", "_")] = "/variable"
    found = getattr(resolve(environment, tmp_path, {key: "/option" if option else None}), attribute)
    expected = "/option" if option else "/variable" if variable else "/project" if project else None
    assert found == (Path(expected) if expected else getattr(resolve({"HOME": "/h"}, Path("/"), {}), attribute)) or (
        expected is None and key == "output" and found == tmp_path / "nodeyard-runs"
    )


@pytest.mark.parametrize(
    ("option", "variable", "project", "expected"),
    [
        ("never", "always", "on-failure", Keep.NEVER),
        (None, "always", "never", Keep.ALWAYS),
        (None, None, "never", Keep.NEVER),
        (None, "", "always", Keep.ALWAYS),
    ],
)
def test_keep(tmp_path: Path, option: str | None, variable: str | None, project: str, expected: Keep) -> None:
    (tmp_path / "nodeyard.toml").write_text(f'keep = "{project}"\n')
    environment = {} if variable is None else {"NODEYARD_KEEP": variable}
    assert resolve(environment, tmp_path, {"keep": option}).keep is expected


def test_a_relative_folder_starts_from_where_it_was_written(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "nodeyard.toml").write_text('output = "runs"\ncache-dir = "cache"\n')
    assert resolve({}, deep, {}).output == tmp_path / "runs"
    assert resolve({"NODEYARD_OUTPUT": "mine"}, deep, {}).output == deep / "mine"
    assert resolve({}, deep, {"output": "here"}).output == deep / "here"


def test_the_nearest_project_file_counts(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "nodeyard.toml").write_text('keep = "never"\n')
    (inner / "nodeyard.toml").write_text('keep = "always"\n')
    assert resolve({}, inner, {}).keep is Keep.ALWAYS
    assert resolve({}, tmp_path, {}).keep is Keep.NEVER


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"outptu = 'x'\nstate-dri = 'y'\noutput = 3\nkeep = ['never']\n", [
            "keep: Input should be a text",
            f"outptu: unknown key 'outptu' (the keys are {', '.join(KEYS)})",
            "output: Input should be a text",
            f"state-dri: unknown key 'state-dri' (the keys are {', '.join(KEYS)})",
        ]),
        (b"output = \n", ["not valid TOML: Invalid value (at line 1, column 10)"]),
        (b"output = 'a'\noutput = 'b'\n", ["not valid TOML: Cannot overwrite a value (at line 2, column 13)"]),
        (b"\xff\xfe", ["cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"]),
    ],
)  # fmt: skip
def test_a_bad_project_file_is_refused_with_every_problem(tmp_path: Path, content: bytes, said: list[str]) -> None:
    file = tmp_path / "nodeyard.toml"
    file.write_bytes(content)
    assert refused({}, tmp_path, {}) == [f"{file}: {line}" for line in said]


@pytest.mark.parametrize("place", ["option", "environment", "project"])
def test_a_bad_word_for_keep_is_refused_wherever_it_stands(tmp_path: Path, place: str) -> None:
    (tmp_path / "nodeyard.toml").write_text('keep = "maybe"\n' if place == "project" else "")
    environment = {"NODEYARD_KEEP": "maybe"} if place == "environment" else {}
    options: dict[str, str | None] = {"keep": "maybe"} if place == "option" else {}
    assert refused(environment, tmp_path, options) == ["keep: 'maybe' is not one of never, on-failure, always"]


def test_the_environment_is_handed_on_and_not_shown(tmp_path: Path) -> None:
    found = resolve({"DOCKER_HOST": "hunter2"}, tmp_path, {})
    assert found.environment == {"DOCKER_HOST": "hunter2"}
    assert "hunter2" not in repr(found)


def test_load_reads_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODEYARD_KEEP", "always")
    found = Settings.load()
    assert (found.keep, found.cwd, found.environment) == (Keep.ALWAYS, tmp_path, dict(os.environ))


class TestSecrets:
    def secrets(self, base: Path) -> tuple[Secrets, list[str]]:
        made = Secrets({"TOKEN": "from-env", "EMPTY": ""}, base)
        learned: list[str] = []
        made.learned = learned.append
        return made, learned

    def test_each_way_is_revealed_and_learned_first(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"from-file\r\n")
        made, learned = self.secrets(tmp_path)
        given = ["env:TOKEN", "file:file", "literal"]
        assert [made.reveal(Secret(text)) for text in given] == ["from-env", "from-file", "literal"]
        assert learned == ["from-env", "from-file", "literal"]
        assert [made.problem(Secret(text)) for text in given] == ["", "", ""]

    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            ("env:NOBODY", "the environment variable NOBODY is not set, or is empty"),
            ("env:EMPTY", "the environment variable EMPTY is not set, or is empty"),
            ("env:", "'env:' refers to nothing; write env:NAME"),
            ("file:", "'file:' refers to nothing; write file:PATH"),
            ("file:none", "the secret file none cannot be read: No such file or directory"),
            ("file:.", "the secret file . cannot be read: Is a directory"),
            ("file:empty", "the secret file empty is empty"),
            ("file:binary", "the secret file binary cannot be read: it is not UTF-8 text"),
        ],
    )
    def test_a_reference_that_leads_nowhere(self, tmp_path: Path, reference: str, said: str) -> None:
        (tmp_path / "empty").write_text("\n")
        (tmp_path / "binary").write_bytes(b"\xff")
        made, learned = self.secrets(tmp_path)
        assert made.problem(Secret(reference)) == said
        with pytest.raises(SpecInvalid) as caught:
            made.reveal(Secret(reference))
        assert [str(problem) for problem in caught.value.problems] == [said]
        assert learned == []

"""The workload ``python``: what a function is given, what its calls are recorded as, and what its errors come to."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from nodeyard.domain.history import Outcome
from nodeyard.domain.user_code import parse_function
from nodeyard.domain.verdict import Verdict
from nodeyard.errors.base import ExitStatus
from nodeyard.errors.runtime import UserCodeInvalid
from nodeyard.runtime import user_code
from nodeyard.workloads.python_call import PythonOptions, PythonWorkload

from .world import Played, play


def call(folder: Path, code: str, *, name: str = "traffic", **options: Any) -> Played:
    (folder / "load.py").write_text(dedent(code))
    more = {word: options.pop(word) for word in ("lasts", "takes", "meanwhile") if word in options}
    made = PythonOptions.model_validate({"use": "python", "call": f"load.py:{name}", **options})
    return play(PythonWorkload(), made, base=folder, **more)


SWAP = """
    from nodeyard import KeyValue

    async def traffic(turn, *, keys=1):
        key = f"k{turn.random.randrange(keys)}"
        store = turn.node.client(KeyValue)
        await turn.do("write", store.put(key, turn.client, timeout=turn.timeout), key=key, value=turn.client)
        answer = await turn.do("read", store.get(key, timeout=turn.timeout), key=key)
        assert answer.ok, answer.result
        assert answer.result.value is not None
"""


def test_a_coroutine_function_tells_its_operations(tmp_path: Path) -> None:
    played = call(tmp_path, SWAP, rate=10.0, clients=3, args={"keys": 4}, takes=0.01)
    assert played.outcome.checks == ()
    assert Counter(c.op for c in played.calls) == {"write": 50, "read": 50}
    assert {c.node for c in played.calls} == {"n0", "n1", "n2"}
    assert len({c.key for c in played.calls}) == 4
    writes = [c for c in played.calls if c.op == "write"]
    assert [c.intended for c in writes] == pytest.approx([i / 10 for i in range(50)])
    assert all(c.intended == c.invoked for c in played.calls if c.op == "read")


def test_an_error_of_a_node_is_an_answer(tmp_path: Path) -> None:
    async def down(world: Any) -> None:
        for client in world.clients.values():
            client.down = True

    code = """
        from nodeyard import KeyValue

        async def traffic(turn):
            answer = await turn.do("read", turn.node.client(KeyValue).get("k", timeout=1))
            assert answer.ok or answer.result == "connection refused"
    """
    played = call(tmp_path, code, meanwhile=down, lasts=3.0)
    assert played.outcome.errors == ()
    assert Counter(c.outcome for c in played.calls)[Outcome.FAIL] > 2
    assert len(played.calls) < 30


def test_an_assertion_is_a_failed_check(tmp_path: Path) -> None:
    code = """
        async def traffic(turn):
            assert turn.client == "somebody", "who is there?"
    """
    played = call(tmp_path, code)
    assert [(c.name, c.verdict, c.reason) for c in played.outcome.checks] == [("python", Verdict.FAIL, "who is there?")]


def test_any_other_error_ends_the_run_and_says_where(tmp_path: Path) -> None:
    code = """
        def helper():
            return {}["missing"]

        async def traffic(turn):
            helper()
    """
    played = call(tmp_path, code)
    [error] = played.outcome.errors
    assert error.code == "workload-failed"
    assert played.outcome.ended_by is ExitStatus.INFRASTRUCTURE
    assert error.message == "load.py:traffic raised KeyError: 'missing'"
    assert error.evidence[-1] == 'load.py:3 in helper: return {}["missing"]'


def test_a_function_that_tells_nothing_is_vacuous(tmp_path: Path) -> None:
    played = call(tmp_path, "async def traffic(turn): await turn.clock.sleep(1)")
    assert [(c.verdict, c.reason) for c in played.outcome.checks] == [(Verdict.VACUOUS, "it made no operation")]


def test_with_op_each_call_is_one_operation(tmp_path: Path) -> None:
    code = """
        async def traffic(turn):
            await turn.clock.sleep(0.25)
            return {"slept": True}
    """
    played = call(tmp_path, code, op="sleep", lasts=2.0)
    assert [(c.op, c.result) for c in played.calls] == [("sleep", {"slept": True})] * 8


def test_a_call_that_hangs_is_info_and_the_phase_ends(tmp_path: Path) -> None:
    code = """
        async def traffic(turn):
            await turn.clock.sleep(1000)
    """
    played = call(tmp_path, code, op="sleep", timeout=0.5, lasts=2.0)
    assert {c.outcome for c in played.calls} == {Outcome.INFO}
    assert played.calls[0].result == "TimeoutError: it took longer than 500ms"
    assert played.ended.after < 3.0


def test_a_coroutine_that_goes_on_after_the_phase_is_cut_off(tmp_path: Path) -> None:
    code = """
        async def traffic(turn):
            while True:
                await turn.do("tick", turn.clock.sleep(0.1))
    """
    played = call(tmp_path, code, timeout=0.5, lasts=2.0)
    assert played.outcome.errors == ()
    assert played.ended.after == pytest.approx(2.5)


def test_a_plain_function_runs_in_a_thread(tmp_path: Path) -> None:
    code = """
        import threading

        def traffic(turn, *, greeting):
            return f"{greeting} from {turn.node.id}, main {threading.current_thread() is threading.main_thread()}"
    """
    played = call(tmp_path, code, operations=3, args={"greeting": "hello"}, lasts=None)
    assert [c.result for c in played.calls] == ["hello from n0, main False"] * 3
    assert [c.op for c in played.calls] == ["traffic"] * 3
    assert not [thread for thread in threading.enumerate() if thread.name == "nodeyard-python-workload"]


def test_a_module_beside_the_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "helpers_of_load.py").write_text("ANSWER = 42\n")
    code = """
        from helpers_of_load import ANSWER

        async def traffic(turn):
            return ANSWER
    """
    played = call(tmp_path, code, op="ask", operations=1, lasts=None)
    assert [c.result for c in played.calls] == [42]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["helpers_of_load.py", "load.py"]


CODE = """
import asyncio
from json import dumps as written

def plain(): ...
async def traffic(turn): ...
other = plain
class Maker: ...
"""


@pytest.mark.parametrize(
    ("ref", "message", "hint"),
    [
        ("load.py:traffic", None, ""),
        ("load.py:other", None, ""),
        ("load.py:written", None, ""),
        ("load.py:Maker", None, ""),
        ("load:traffic", None, ""),
        ("json:dumps", None, ""),
        ("load.py:trafic", "load.py has no function 'trafic'", "did you mean 'traffic'?"),
        ("lod.py:traffic", "there is no file lod.py", "the path is relative to the scenario's folder"),
        ("sub/load.py:traffic", "there is no file sub/load.py", "the path is relative to the scenario's folder"),
        ("lod:traffic", "there is no module 'lod'", "a file beside the scenario is written as file.py:function"),
        ("json.nothing:traffic", "there is no module 'json.nothing'", "a file beside"),
        ("torn.py:traffic", "torn.py is not Python, line 2: '(' was never closed", ""),
        ("nul.py:traffic", "nul.py is not Python", ""),
        ("out.py:traffic", "out.py is not Python, line 2: 'return' outside function", ""),
    ],
)
def test_a_reference_is_checked_by_reading(tmp_path: Path, ref: str, message: str | None, hint: str) -> None:
    (tmp_path / "load.py").write_text(CODE)
    (tmp_path / "torn.py").write_text("\ndef traffic(turn:\n")
    (tmp_path / "nul.py").write_bytes(b"a = 1\x00")
    (tmp_path / "out.py").write_text("def traffic(turn): ...\nreturn\n")
    found = user_code.problem(parse_function(ref), tmp_path)
    if message is None:
        assert found is None
    else:
        assert found is not None
        assert found[0].startswith(message)
        assert found[1].startswith(hint)


@pytest.mark.parametrize("text", ["", "load.py", ":f", "load.py:", "load.py:a b", "load.py:1f", "a:b:c", 7, None])
def test_what_is_no_reference_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"file\.py:function"):
        parse_function(text)


def test_code_that_cannot_be_imported_says_where(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text("def f(): ...\nimport a_module_that_nobody_has\n")
    with pytest.raises(UserCodeInvalid) as caught:
        user_code.load(parse_function("load.py:f"), tmp_path)
    assert "ModuleNotFoundError" in caught.value.message
    assert caught.value.evidence == ("load.py:2 in <module>: import a_module_that_nobody_has",)


def test_code_that_is_never_loaded_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text("import time\ndef f(): ...\ntime.sleep(2)\n")
    message = asyncio.run(user_code.checked(parse_function("load.py:f"), tmp_path, within=0.05))
    assert message == "load.py is still being loaded after 0.05 s"


def test_a_function_made_under_a_condition_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text("if True:\n    def f(): ...\n")
    assert user_code.problem(parse_function("load.py:f"), tmp_path) is None

"""Evidence: what can be learned of a failed node is on disk in time, and what cannot be learned is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nodeyard.domain.capability import ALWAYS_GRANTED, Capability
from nodeyard.domain.node_client import Probe, Rung
from nodeyard.domain.node_handle import NodeHandle, Origin, OriginClass
from nodeyard.domain.node_inventory import merge
from nodeyard.errors.provider import OperationFailed
from nodeyard.observability.diagnostics import LOG_BYTES, Subject, diagnose, save_evidence
from nodeyard.observability.redaction import Redactor
from nodeyard.ports.node_control import NodeControl, NodeState
from nodeyard.testing import run_virtual

from .samples import sighting


@dataclass
class Control:
    """A node that ended, with logs."""

    lines: tuple[str, ...] = ("starting", "panic: no disk")
    hangs: bool = False
    fails: bool = False

    async def state(self) -> NodeState:
        if self.hangs:
            await asyncio.sleep(3600)
        if self.fails:
            raise OperationFailed("the engine does not answer", operation="state")
        return NodeState("exited", "pid 7", "exit status 2")

    def missing(self) -> Mapping[Capability, str]:
        return {}

    async def logs(self, *, tail: int | None = None, since: float | None = None) -> tuple[str, ...]:
        if self.fails:
            raise OSError(5, "Input/output error")
        return self.lines[-tail:] if tail is not None else self.lines


def node(name: str = "n0", cls: OriginClass = OriginClass.MANAGED) -> NodeHandle:
    [handle] = merge([sighting(name, cls=cls, source="local", peer="p1")])
    return handle


def of(control: NodeControl) -> Callable[[Origin], NodeControl]:
    return lambda _: control


def text_of(subject: Subject, **options: float) -> str:
    async def ask() -> str:
        return str(await diagnose(subject, **options))  # type: ignore[arg-type]

    return run_virtual(ask())


def test_everything_known_of_a_node_is_told() -> None:
    probe = Probe(False, Rung.PORT_OPEN, "connection reset", fatal="another network")
    text = text_of(Subject(node(), of(Control()), probe, answer="503 from /health"))
    for words in ("node n0", "kind:        etcd", "owned", "managed local (pid 2379)", "state:       exited",
                  "ended:       exit status 2", "where:       pid 7", "client http://127.0.0.1:2379",
                  "connection reset (fatal: another network); 503 from /health", "cdf818194e3a8c32",
                  "last 2 log lines:", "    | panic: no disk"):  # fmt: skip
        assert words in text


def test_what_cannot_be_learned_is_a_note() -> None:
    text = text_of(Subject(node(), of(Control(fails=True))))
    assert "state:       unknown" in text
    assert "note:        local does not tell the state: the engine does not answer" in text
    assert "note:        its logs cannot be read: OSError" in text


def test_a_node_that_hangs_takes_no_more_than_its_time() -> None:
    text = text_of(Subject(node(), of(Control(hangs=True))), within=2.0)
    assert "note:        asking took more than 2 s and was given up" in text


def test_logs_of_a_borrowed_node_are_read_only_where_that_is_granted() -> None:
    borrowed = node(cls=OriginClass.EXTERNAL)
    text = text_of(Subject(borrowed, of(Control())))
    assert "panic" not in text
    assert "note:        no logs: " in text
    seen = borrowed.sightings[0]
    held = ALWAYS_GRANTED | {Capability.LOGS}
    [allowed] = merge([replace(seen, origin=replace(seen.origin, granted=held, supported=held))])
    assert "panic: no disk" in text_of(Subject(allowed, of(Control())))


def test_the_tail_comes_from_files_where_the_output_is_there(tmp_path: Path) -> None:
    (tmp_path / "stderr.log").write_bytes(b"\n".join(b"line %d \xff" % i for i in range(40_000)))
    text = text_of(Subject(node(), log_files=(tmp_path / "stderr.log", tmp_path / "absent.log")), tail=3)
    assert "line 39999 \ufffd" in text
    assert "line 39996" not in text
    assert "absent.log cannot be read: No such file or directory" in text


def test_evidence_is_saved_for_every_node_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "nodes" / "n1").mkdir(parents=True)
    log = tmp_path / "nodes" / "n1" / "stderr.log"
    log.write_text("its own file\n")
    subjects = [
        Subject(node("n0"), of(Control(lines=("token hunter22",)))),
        Subject(node("n1"), of(Control()), log_files=(log,)),
        Subject(node("n2"), of(Control(hangs=True))),
    ]
    saved = run_virtual(save_evidence(tmp_path, subjects, redactor=Redactor(["hunter22"])))
    assert saved == (
        "nodes/n0/diagnostics.txt", "nodes/n0/fetched.log", "nodes/n1/diagnostics.txt", "nodes/n1/stderr.log",
        "nodes/n2/diagnostics.txt",
    )  # fmt: skip
    assert (tmp_path / "nodes/n0/fetched.log").read_text() == "token ***\n"
    assert "hunter22" not in (tmp_path / "nodes/n0/diagnostics.txt").read_text()
    assert "given up" in (tmp_path / "nodes/n2/diagnostics.txt").read_text()


def test_evidence_that_takes_too_long_is_named_and_never_raises(tmp_path: Path) -> None:
    many = [Subject(node(f"n{i}"), of(Control(hangs=True))) for i in range(3)]
    saved = run_virtual(save_evidence(tmp_path, many, within=1.0, per_node=9.0))
    assert saved == ("evidence-problems.txt",)
    assert "more than 1 s" in (tmp_path / "evidence-problems.txt").read_text()
    assert run_virtual(save_evidence(Path("/dev/null/x"), [Subject(node(), of(Control()))])) == ()


def test_a_long_log_keeps_its_end(tmp_path: Path) -> None:
    lines = tuple(f"{i} {'x' * 1000}" for i in range(LOG_BYTES // 1000 + 10))
    run_virtual(save_evidence(tmp_path, [Subject(node(), of(Control(lines=lines)))]))
    kept = (tmp_path / "nodes/n0/fetched.log").read_text().splitlines()
    assert "lines are left out)" in kept[0]
    assert kept[-1] == lines[-1]
    assert (tmp_path / "nodes/n0/fetched.log").stat().st_size < LOG_BYTES + 100

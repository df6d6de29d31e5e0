"""``junit.xml``, made from the journal and the verdict: one test case per step and per check, an error per error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from nodeyard.domain import events as ev
from nodeyard.domain.verdict import Check, ErrorRecord, RunVerdict, Verdict
from nodeyard.observability.journal import JournalRecord

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(outcome: RunVerdict, records: Sequence[JournalRecord]) -> str:
    """The file's text. ``fail`` is a failure, ``unknown`` and infrastructure are errors, ``vacuous`` is skipped."""
    scenario, started = _began(records)
    suite = ElementTree.Element("testsuite", name=_text(scenario or outcome.run))
    if started:
        suite.set("timestamp", started)
    for record in records:
        if isinstance(record.typed, ev.StepEnded):
            _add_step(suite, record.typed)
    for check in outcome.checks:
        _add_check(suite, check)
    for error in outcome.errors:
        _add_error(suite, error)
    if not len(suite):
        case = ElementTree.SubElement(suite, "testcase", classname="run", name="verdict", time="0")
        ElementTree.SubElement(case, "skipped", message=f"{outcome.verdict}: nothing was checked")
    _count(suite, records)
    properties = ElementTree.Element("properties")
    for name, value in (("run", outcome.run), ("seed", str(outcome.seed)), ("verdict", outcome.verdict.value)):
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    suite.insert(0, properties)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _text(text: str) -> str:
    """Text that XML 1.0 can hold."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _began(records: Sequence[JournalRecord]) -> tuple[str, str]:
    for record in records:
        if isinstance(record.typed, ev.RunStarted):
            time = record.time.isoformat(timespec="seconds") if record.time is not None else ""
            return record.typed.scenario, time
    return "", ""


def _case(suite: ElementTree.Element, group: str, name: str, time: float = 0.0) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_text(group), name=_text(name), time=f"{time:.3f}")


def _result(case: ElementTree.Element, tag: str, message: str, body: str, *, kind: str = "") -> None:
    result = ElementTree.SubElement(case, tag, message=_text(message))
    if kind:
        result.set("type", _text(kind))
    result.text = _text(body)


def _add_step(suite: ElementTree.Element, step: ev.StepEnded) -> None:
    case = _case(suite, "step", f"{step.index + 1} {step.label}", step.after)
    if step.outcome == "skipped":
        _result(case, "skipped", step.reason or "skipped", "")
    elif step.outcome != "done":
        tag = "failure" if step.outcome == "failed" else "error"
        _result(case, tag, f"{step.outcome}: {step.reason.splitlines()[0] if step.reason else ''}", step.reason)


def _add_check(suite: ElementTree.Element, check: Check) -> None:
    case = _case(suite, "check", check.name)
    tag = {Verdict.FAIL: "failure", Verdict.UNKNOWN: "error", Verdict.VACUOUS: "skipped"}.get(check.verdict)
    body = "\n".join((check.reason, *check.evidence))
    if tag is not None:
        _result(case, tag, f"{check.verdict}: {check.reason}", body)
    else:
        ElementTree.SubElement(case, "system-out").text = _text(body)


def _add_error(suite: ElementTree.Element, error: ErrorRecord) -> None:
    case = _case(suite, f"error.{error.layer}", error.node or error.code)
    hint = f"\nhint: {error.hint}" if error.hint else ""
    first = error.message.splitlines()[0] if error.message else error.code
    _result(case, "error", first, error.message + hint, kind=f"{error.layer}/{error.code}")


def _count(suite: ElementTree.Element, records: Sequence[JournalRecord]) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", f"{max((r.elapsed for r in records), default=0.0):.3f}")

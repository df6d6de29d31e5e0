"""The expectation ``linearizable``: every register behaved as if each operation happened at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nodeyard.domain.events import CounterexampleFound
from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import cut, names
from nodeyard.expectations._history import act_of, counted, document, in_thread, shown, written
from nodeyard.expectations._linearizability.checking import Counterexample, History, checked
from nodeyard.expectations._linearizability.deciding import ANY
from nodeyard.expectations._linearizability.operations import CAS, OTHER, READ, WRITE
from nodeyard.expectations._linearizability.search import Answer, Budget
from nodeyard.runtime.context import StepContext


class LinearizableOptions(CheckOptions):
    """What was in the registers at first, and how much the search may use up before it says that it does not know."""

    use: Literal["linearizable"]
    initial: Literal["absent", "unknown"] = Field(
        default="absent", description="what a key held before the run: nothing, or nobody knows"
    )
    max_steps: Annotated[int, Field(ge=1)] = Field(
        default=5_000_000, description="steps of the search over all keys; about a million a second"
    )
    max_states: Annotated[int, Field(ge=1)] = Field(
        default=1_000_000, description="states that are remembered at one time; about 200 bytes each"
    )


class Linearizable:
    """Reads, writes and compare-and-sets of each key happened as if at one moment each."""

    word: ClassVar[str] = "linearizable"
    summary: ClassVar[str] = "each operation on a key happened as if at one moment between its beginning and its end"
    options: ClassVar[type[CheckOptions]] = LinearizableOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: LinearizableOptions) -> tuple[Requirement, ...]:
        return ()

    async def check(self, options: LinearizableOptions, context: StepContext) -> Check:
        calls = [call for call in context.history.calls() if call.op in (READ, WRITE, CAS)]
        nothing = shows_nothing(options.label, calls)
        if nothing is not None:
            return nothing
        initial = None if options.initial == "absent" else ANY
        found = await in_thread(
            lambda over: checked(calls, initial=initial, budget=Budget(options.max_steps, options.max_states, over))
        )
        if found.counterexample is not None:
            context.emit(told(options.label, found.counterexample))
        return judged(options.label, calls, found)


def shows_nothing(name: str, calls: Sequence[Call]) -> Check | None:
    """Vacuous where nothing was read back, so that nothing could have been wrong. Pure."""
    if not calls:
        return Check(name, Verdict.VACUOUS, "the history holds no read, write or cas")
    if not any(call.op in (READ, CAS) and call.outcome is Outcome.OK for call in calls):
        return Check(name, Verdict.VACUOUS, "no read or cas was answered, so nothing was seen", counted(calls))
    return None


def judged(name: str, calls: Sequence[Call], found: History) -> Check:
    """The answer in words, with the counterexample as evidence. Pure."""
    keys = len(found.registers)
    if found.counterexample is not None:
        return _failed(name, found, found.counterexample)
    if found.answer is Answer.UNKNOWN:
        which = names([str(key) for key in found.undecided])
        reason = f"the search ran out of its budget on {len(found.undecided)} of {keys} keys: {which}"
        hint = "raise 'max_steps' and 'max_states', or write more keys, so that fewer operations meet on each"
        return Check(name, Verdict.UNKNOWN, reason, (*counted(calls), hint))
    total = sum(found.registers.values())
    return Check(name, Verdict.PASS, f"{total} operations on {keys} keys have an order", counted(calls))


def _failed(name: str, found: History, shown_: Counterexample) -> Check:
    others = f" (and {len(found.broken) - 1} more keys)" if len(found.broken) > 1 else ""
    reason = f"key {shown_.key}: no order of its operations explains {len(shown_.calls)} of them{others}"
    lines = [explained(shown_), *(shown(call) for call in shown_.calls)]
    return Check(name, Verdict.FAIL, reason, cut(lines))


def explained(found: Counterexample) -> str:
    """Why there is no order, in one sentence."""
    if found.stuck is None:
        return "these operations exclude each other"
    values = [written(value) for value in found.possible if value is not OTHER]
    could = " or ".join(values[:5]) + (f" or {len(values) - 5} more" if len(values) > 5 else "")
    where = f" at {found.stuck.node}" if found.stuck.node else ""
    return f"client {found.stuck.client}{where} was told '{act_of(found.stuck)}', when the value could only be {could}"


def told(name: str, found: Counterexample) -> CounterexampleFound:
    """The counterexample for the journal, from which the report draws it."""
    calls = tuple(document(call) for call in found.calls)
    return CounterexampleFound(check=name, key=found.key, calls=calls, explained=explained(found))

"""The end of a run, whatever ended it: evidence, cleanup, verdict, reports; in this order.

Everything here has a time of its own, beyond the run's deadline, and is shielded from cancellation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nodeyard._aio.clock import Clock, SystemClock
from nodeyard._aio.tasks import shielded
from nodeyard.app.config import Keep
from nodeyard.bootstrap.cleanup import CleanupReport, carry_out
from nodeyard.domain import events
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.verdict import Check, ErrorRecord, RunVerdict, Verdict
from nodeyard.errors.base import ExitStatus, InternalError, Interrupted, NodeyardError, worst_exit
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.ledger.ledger import FileLedger
from nodeyard.observability import log_errors, traffic
from nodeyard.observability.diagnostics import Subject, kept_logs, save_evidence
from nodeyard.observability.files import verdict_document, write_json, write_text
from nodeyard.observability.journal import read_journal
from nodeyard.observability.junit import junit_xml
from nodeyard.observability.report import write_report
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Remover

if TYPE_CHECKING:
    from nodeyard.app.session import Session

EVIDENCE_TIME = 30.0
"""Seconds for the evidence of all nodes."""
CLEANUP_TIME = 60.0
"""Seconds for the cleanup; what is left then is the reaper's."""
SLACK = 15.0
RemoverOf = Callable[[str], Remover | None]


@dataclass(frozen=True)
class RunResult:
    """What a run came to. ``cleanup`` is what could not be removed, if anything: it never changes a verdict."""

    outcome: RunVerdict
    folder: Path
    why: str
    repeat: str
    after: float
    cleanup: CleanupIncomplete | None = None

    @property
    def exit_status(self) -> ExitStatus:
        status = self.outcome.exit_status
        return ExitStatus.INFRASTRUCTURE if self.cleanup is not None and status is ExitStatus.PASS else status


class Finisher:
    """Ends one session, once; ``finish`` again gives the same result."""

    def __init__(self, session: Session, remover_of: RemoverOf, keep: Keep) -> None:
        self._session = session
        self._remover_of = remover_of
        self._keep = keep
        self._result: RunResult | None = None
        self._decided: RunVerdict | None = None
        self._problems: list[NodeyardError] = []
        self._opened = session.bootstrap.context.clock.now()

    @property
    def _clock(self) -> Clock:
        return self._session.bootstrap.context.clock

    async def finish(self, failure: NodeyardError | None) -> RunResult:
        """Evidence, cleanup, verdict and reports."""
        if self._result is None:
            self._result = await shielded(self._finish(failure), within=EVIDENCE_TIME + CLEANUP_TIME + SLACK)
        return self._result

    async def _finish(self, failure: NodeyardError | None) -> RunResult:
        session = self._session
        if session.network is not None:
            await session.network.ops.close()
        outcome = self._decided = self.outcome(failure)
        problems = self._problems
        if failure is not None:
            self._tell(error_event(failure))
        if outcome.verdict is not Verdict.PASS or self._keep is Keep.ALWAYS:
            await self._attempt(problems, self._save_evidence)
        self._write(problems, self._tell_log_errors)
        self._write(problems, session.history_file.close)
        self._write(problems, self._tell_history)
        self._write(problems, lambda: write_json(session.folder.verdict, self._document(outcome), session.redactor))
        self._write(problems, session.publish_inventory)
        cleanup = await self._clean_up()
        if cleanup is not None:
            problems.append(cleanup)
        outcome = self._with(outcome, problems)
        return self._conclude(outcome, cleanup)

    def outcome(self, failure: NodeyardError | None) -> RunVerdict:
        """The verdict as far as it is known, without secrets: files, people and JUnit are all told from it.

        Checks that were not made are unknown, and say why.
        """
        session = self._session
        known = session.runtime.outcome if session.runtime is not None else None
        checks = list(known.checks) if known is not None else []
        errors = list(known.errors) if known is not None else []
        if failure is not None:
            errors.append(failure)
            checks += [
                Check(use.label, Verdict.UNKNOWN, f"not made: {failure.message}")
                for use in session.spec.expectations[self._evaluated(checks):]
            ]  # fmt: skip
        ended = [e for e in (failure.exit_status if failure else None, known.ended_by if known else None) if e]
        return session.redactor.outcome(
            RunVerdict(
                run=session.run_id,
                seed=session.seed,
                checks=tuple(checks),
                errors=tuple(ErrorRecord.of(error) for error in errors),
                ended_by=worst_exit(ended) if ended else None,
            )
        )

    def _evaluated(self, checks: Sequence[Check]) -> int:
        """How many of the final expectations have an answer: they are all there, or none is."""
        labels = [use.label for use in self._session.spec.expectations]
        return len(labels) if labels and [c.name for c in checks[-len(labels) :]] == labels else 0

    def _document(self, outcome: RunVerdict) -> dict[str, object]:
        return verdict_document(outcome)

    async def _save_evidence(self) -> None:
        session = self._session
        self._tell(events.PhaseStarted(phase="evidence"))
        saved = await save_evidence(
            session.folder.path, self._subjects(), redactor=session.redactor, within=EVIDENCE_TIME
        )
        self._tell(events.EvidenceSaved(files=saved))

    def _tell_log_errors(self) -> None:
        """What nodes wrote of errors, while their logs are there: the report shows it on its time axis."""
        session = self._session
        for subject in self._subjects():
            found = log_errors.find_in(kept_logs(session.folder.path, subject), began=session.began)
            if found is not None:
                session.emit(
                    events.LogErrorsFound(
                        node=subject.handle.id, at=found.at, lines=found.lines, left_out=found.left_out
                    )
                )

    def _tell_history(self) -> None:
        """What the history comes to, so that a report can be made from the journal alone."""
        summary = traffic.summarised(self._session.history.calls())
        if summary is not None:
            told = events.HistorySummarised(operations=summary.count, summary=summary.document())
            self._session.emit(told)

    def _subjects(self) -> list[Subject]:
        session = self._session
        deployer = session.bootstrap.deployer
        inventory: NodeInventory = session.orchestrator.network.inventory
        bindings = session.orchestrator.network.bindings
        subjects = []
        for handle in inventory:
            binding = bindings.get(handle.id)
            plan = binding.plan if binding is not None else None
            files = deployer.log_files(plan.name) if deployer is not None and plan is not None else ()
            control_of = binding.control_of if binding is not None else None
            subjects.append(Subject(handle, control_of, log_files=files))
        return subjects

    async def _clean_up(self) -> CleanupIncomplete | None:
        """Undo changes, remove what is ours, close the ledger. What remains is left to the reaper and to ``gc``."""
        session = self._session
        ledger: FileLedger = session.ledger
        self._tell(events.PhaseStarted(phase="cleanup"))
        deadline = self._clock.now() + CLEANUP_TIME
        try:
            await ledger.lock(clock=self._clock, deadline=deadline)
            report = await self._carry_out(deadline)
            if ledger.close():
                await session.link.finish()
            else:
                ledger.note_over()
        except FileNotFoundError:
            return None  # somebody else has carried it out and closed it
        except NodeyardError as error:
            return CleanupIncomplete(f"cleanup failed: {error.message}", evidence=error.evidence, hint=error.hint)
        except Exception as error:  # noqa: BLE001 - a defect of cleanup must not take the verdict with it
            return CleanupIncomplete(
                f"cleanup failed: {type(error).__name__}: {error}", hint="'nodeyard gc' removes what is left"
            )
        return report.error()

    async def _carry_out(self, deadline: float) -> CleanupReport:
        session, ledger = self._session, self._session.ledger
        context = RemovalContext(ledger.mark, self._clock, session.bootstrap.context.secrets, deadline)
        self._tell(events.CleanupStarted(resources=len(ledger.open_entries())))
        if any(entry.inverse for entry in ledger.open_entries()):
            await carry_out(_Inverses(ledger), self._remover_of, context, self._emit_stage)
        if session.bootstrap.deployer is not None:
            # What ends it early is a problem beside the verdict; the ledger still has what it left.
            await self._attempt(self._problems, session.bootstrap.deployer.destroy)
        return await carry_out(ledger, self._remover_of, context, self._emit_stage)

    def _emit_stage(self, event: events.Event) -> None:
        """The stages of one cleanup tell what they removed; that it began was told for all of them."""
        if not isinstance(event, events.CleanupStarted):
            self._tell(event)

    def _tell(self, event: events.Event) -> None:
        """A journal that cannot be written any more is a problem beside the verdict: it must not end the cleanup."""
        self._write(self._problems, lambda: self._session.emit(event))

    def _with(self, outcome: RunVerdict, problems: Sequence[NodeyardError]) -> RunVerdict:
        for problem in problems:
            self._write([], lambda problem=problem: self._session.emit(error_event(problem)))  # type: ignore[misc]
        told = (ErrorRecord.of(problem) for problem in problems)
        return self._session.redactor.outcome(replace(outcome, errors=(*outcome.errors, *told)))

    def _conclude(self, outcome: RunVerdict, cleanup: CleanupIncomplete | None) -> RunResult:
        session = self._session
        folder = session.folder
        after = self._clock.now() - self._opened
        result = RunResult(outcome, folder.path, session.why, session.repeat, after, cleanup)
        problems: list[NodeyardError] = []
        ended = events.RunEnded(verdict=outcome.verdict.value, exit_status=int(result.exit_status), after=after)
        self._write(problems, lambda: session.emit(ended))
        self._write(problems, lambda: write_json(folder.verdict, self._document(outcome), session.redactor))
        self._write(problems, lambda: write_text(folder.junit, junit_xml(outcome, read_journal(folder.journal))))
        self._write(problems, lambda: write_report(folder.journal, folder.report))
        if self._keep is Keep.NEVER or (self._keep is Keep.ON_FAILURE and result.exit_status is ExitStatus.PASS):
            folder.forget_nodes()
        return self._unwritten(result, problems)

    def _unwritten(self, result: RunResult, problems: Sequence[NodeyardError]) -> RunResult:
        """A verdict that could not be written down is still told; the files that are missing are errors beside it."""
        if not problems:
            return result
        told = tuple(dict.fromkeys(ErrorRecord.of(problem) for problem in problems))
        status = problems[0].exit_status
        ended = result.outcome.ended_by or (status if result.outcome.verdict is Verdict.PASS else None)
        outcome = replace(result.outcome, errors=(*result.outcome.errors, *told), ended_by=ended)
        return replace(result, outcome=self._session.redactor.outcome(outcome))

    async def _attempt(self, problems: list[NodeyardError], act: Callable[[], Awaitable[object]]) -> None:
        """As ``_write``, for what has to be waited for."""
        try:
            await act()
        except NodeyardError as error:
            problems.append(error)
        except Exception as error:  # noqa: BLE001 - whatever breaks here, the rest of the end has to come
            problems.append(InternalError(f"{type(error).__name__}: {error}", operation="end"))

    def _write(self, problems: list[NodeyardError], act: Callable[[], object]) -> None:
        """One file, or one event: what cannot be written is a problem, and the rest goes on."""
        try:
            act()
        except NodeyardError as error:
            problems.append(error)
        except Exception as error:  # noqa: BLE001 - a report that cannot be drawn must not hide the verdict
            problems.append(InternalError(f"{type(error).__name__}: {error}", operation="report"))

    def write_aborted(self, interrupted: Interrupted) -> None:
        """``verdict.json`` of a run that ends at this moment, without cleanup of its own. What was decided stays."""
        outcome = self._decided or self.outcome(interrupted)
        if not any(error.code == interrupted.code for error in outcome.errors):
            outcome = replace(outcome, errors=(*outcome.errors, ErrorRecord.of(interrupted)))
        session = self._session
        self._write([], lambda: write_json(session.folder.verdict, self._document(outcome), session.redactor))


class _Inverses:
    """The part of a ledger that holds changes to be undone."""

    def __init__(self, ledger: FileLedger) -> None:
        self._ledger = ledger

    def open_entries(self) -> tuple[LedgerEntry, ...]:
        return tuple(entry for entry in self._ledger.open_entries() if entry.inverse)

    def settle(self, entry: LedgerEntry) -> None:
        self._ledger.settle(entry)


def error_event(error: NodeyardError) -> events.ErrorRecorded:
    """An error for the journal, with its evidence."""
    message = "\n".join((error.message, *error.evidence))
    return events.ErrorRecorded(node=error.node, layer=error.layer, code=error.code, message=message, hint=error.hint)


__all__ = ["Finisher", "RunResult", "SystemClock"]

"""Checks that must hold throughout a phase: made again and again while it lasts, and once more after its end.

Must not live here: what a check decides, and what a failed one ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from nodeyard._aio.tasks import first_of
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.runtime.context import StepContext

PACE = 1.0
"""Seconds from the end of one look to the next, unless a node ends meanwhile."""
SHARE = 10
"""A look that takes long is repeated less often, so that looking takes at most about this part of the time."""


class Throughout:
    """Watches checks until ``end``. ``failed`` takes a check that failed; then it is watched no longer."""

    def __init__(
        self,
        decide: Callable[[CheckOptions, StepContext], Awaitable[Check]],
        from_record: Callable[[CheckOptions], bool],
        failed: Callable[[Check], None],
    ) -> None:
        self._decide = decide
        self._from_record = from_record
        self._failed = failed
        self._ended = asyncio.Event()

    def end(self) -> None:
        """The phase is over: each watch looks once more and reports."""
        self._ended.set()

    async def watch(self, options: CheckOptions, context: StepContext) -> None:
        """Look until the end or a failure. A check that could not be decided at some moment is unknown, unless it
        decides by the record: then its last look has seen everything.
        """
        undecided: list[Check] = []
        looks = 0
        while True:
            last = self._ended.is_set()
            begun = context.clock.now()
            seen = await self._decide(options, context)
            looks += 1
            if seen.verdict is Verdict.FAIL:
                self._failed(_named(seen, options, looks))
                return
            if seen.verdict is Verdict.UNKNOWN:
                undecided.append(seen)
            if last:
                break
            await self._pause(context, max(PACE, SHARE * (context.clock.now() - begun)))
        if undecided and not self._from_record(options):
            seen = replace(undecided[-1], reason=f"{undecided[-1].reason}; undecided {len(undecided)} times")
        context.report(_named(seen, options, looks))

    async def _pause(self, context: StepContext, seconds: float) -> None:
        """Until the next look is due: a node ended, the phase is over, or ``seconds`` have passed."""
        known = len(context.exits.records)
        try:
            async with asyncio.timeout(seconds):
                await first_of(self._ended.wait(), context.exits.more_than(known))
        except TimeoutError:
            return


def _named(check: Check, options: CheckOptions, looks: int) -> Check:
    name = options.name or f"always {options.use}"
    return replace(check, name=name, reason=f"{check.reason} (looked {looks} times)" if looks > 1 else check.reason)

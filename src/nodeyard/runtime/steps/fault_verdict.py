"""What the injections of one fault come to, as a check. Pure.

An injection that was not proven shows nothing: vacuous. One that could not be undone, or whose nodes had no time to
recover because the run ended, leaves open what the network would have done: unknown. Nodes that had their time and did
not come back are what a fault is there to find: fail.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.domain.verdict import Check, Verdict, worst
from nodeyard.runtime.steps.injecting import Injection

SHOWN = 30
"""Lines of evidence; a fault that happens each second for an hour would fill a report."""


def fault_check(name: str, injections: Sequence[Injection], left_out: Sequence[str]) -> Check:
    """The check of one use of a fault. ``left_out`` tells of each injection that was due and not made, and why."""
    if not injections:
        reason = "it was never injected" + (f": {left_out[0]}" if left_out else "")
        return Check(name, Verdict.VACUOUS, reason, tuple(left_out[:SHOWN]))
    judged = [judge(one) for one in injections]
    verdict = worst(verdict for verdict, _ in judged)
    worst_line = next(line for found, line in judged if found is verdict)
    count = f"{len(injections)} injection{'s' if len(injections) > 1 else ''}"
    reason = f"{count} proven and healed" if verdict is Verdict.PASS else worst_line
    if left_out:
        reason += f" ({len(left_out)} left out)"
    lines = [line for _, line in judged] + [f"left out: {why}" for why in left_out]
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return Check(name, verdict, reason, (*lines[:SHOWN], *more))


def judge(one: Injection) -> tuple[Verdict, str]:
    """The verdict of one injection, and the line that tells why."""
    where = ", ".join(one.nodes)
    proof = one.proof.evidence if one.proof is not None else ""
    healed = one.healed.evidence if one.healed is not None else "nobody looked whether it was over"
    if one.stuck is not None:
        return Verdict.UNKNOWN, f"{where}: could not be undone: {one.stuck.message}; {healed}"
    if not one.over:
        if one.cut or not (one.healed is None or one.healed.in_time):
            return Verdict.UNKNOWN, f"{where}: the run ended before it could recover: {healed}"
        return Verdict.FAIL, f"{where}: did not recover: {healed}"
    if one.refused is not None:
        return Verdict.VACUOUS, f"{where}: could not be injected: {one.refused.message}"
    if not one.proven:
        return Verdict.VACUOUS, f"{where}: was not seen to take effect: {proof or 'nobody looked'}"
    if one.broken is not None:
        return Verdict.VACUOUS, f"{where}: could not be kept up: {one.broken.message}"
    return Verdict.PASS, f"{where}: {proof}; {healed}"

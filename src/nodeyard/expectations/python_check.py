"""The expectation ``python``: a function that somebody wrote for the scenario decides.

It gets a ``Look``, and the options under ``args`` as keyword arguments. It fails by ``False`` or a failed ``assert``,
passes by ``True`` or by ending, and may say more with a ``Check``.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from nodeyard._aio.clock import Clock
from nodeyard.domain.capability import Capability
from nodeyard.domain.history import Call
from nodeyard.domain.quantity import Switch
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.user_code import FunctionField, FunctionRef
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.runtime import UserCodeInvalid
from nodeyard.expectations._asking import nothing_selected
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.user_code import in_thread, load, raised_at

if TYPE_CHECKING:
    from nodeyard.runtime.exits import ExitRecord


class PythonCheckOptions(CheckOptions):
    """Which function, and what it is given."""

    use: Literal["python"]
    call: FunctionField = Field(description="the function: file.py:function or package.module:function")
    args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the call")
    target: SelectorField = Field(default=ALL, description="the nodes that it is given")
    needs_history: Switch = Field(default=False, description="vacuous while no operation is in the history")


@dataclass(frozen=True)
class Look:
    """What a function decides from. ``calls`` are all operations of the run so far, ``exits`` the ends of nodes.

    ``deadline`` is when it is ended, a time of ``clock``.
    """

    nodes: tuple[Node, ...]
    calls: tuple[Call, ...]
    exits: tuple[ExitRecord, ...]
    random: Random
    clock: Clock
    deadline: float

    def of(self, op: str) -> tuple[Call, ...]:
        """The operations of one kind."""
        return tuple(call for call in self.calls if call.op == op)


class PythonCheck:
    """A function decides."""

    word: ClassVar[str] = "python"
    summary: ClassVar[str] = "a function that somebody wrote for the scenario decides"
    options: ClassVar[type[CheckOptions]] = PythonCheckOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: PythonCheckOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY),)

    async def check(self, options: PythonCheckOptions, context: StepContext) -> Check:
        nodes = (await context.find(options.target)).nodes
        if not nodes:
            return nothing_selected(options.label, options.target)
        calls = context.history.calls()
        if options.needs_history and not calls:
            return Check(options.label, Verdict.VACUOUS, "the history holds no operation")
        function = load(options.call, context.base)
        look = Look(nodes, calls, context.exits.records, context.random, context.clock, context.deadline)
        call = partial(function, look, **options.args)
        try:
            answer = await call() if inspect.iscoroutinefunction(function) else await in_thread(call)
        except AssertionError as failed:
            reason = str(failed).strip() or "an assertion failed"
            return Check(
                options.label, Verdict.FAIL, reason.splitlines()[0], (*reason.splitlines()[1:], *raised_at(failed))
            )
        except NodeyardError:
            raise
        except Exception as error:
            raise UserCodeInvalid(
                f"{options.call} raised {type(error).__name__}: {error}",
                operation=options.label,
                evidence=raised_at(error),
                hint="a check fails by 'assert' or by returning False; every other error leaves it undecided",
            ) from error
        return judged(options.label, options.call, answer)


def judged(name: str, call: FunctionRef, answer: object) -> Check:
    """What a function's answer means. Raises ``UserCodeInvalid`` for one that means nothing. Pure."""
    if isinstance(answer, Check):
        return replace(answer, name=name)
    if answer is None:
        return Check(name, Verdict.PASS, f"{call} ended without a failed assertion")
    if isinstance(answer, bool):
        return Check(name, Verdict.PASS if answer else Verdict.FAIL, f"{call} returned {answer}")
    raise UserCodeInvalid(
        f"{call} returned {type(answer).__name__}, which decides nothing",
        operation=name,
        hint="return True, False or a nodeyard.Check, or use 'assert'",
    )


__all__ = ["Look", "PythonCheck"]

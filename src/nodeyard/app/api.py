"""Nodeyard from Python: a network of a scenario as an async context, over the same session as the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from os import PathLike
from pathlib import Path
from random import Random
from typing import Any

from pydantic import ValidationError

from nodeyard.app.config import Settings
from nodeyard.app.registry import EXPECT, Registry, installed
from nodeyard.app.session import RunResult, Session, SessionRequest
from nodeyard.app.spec_loader import load_scenario
from nodeyard.domain.document import nearest
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.selectors import parse_selector
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import InternalError, NodeyardError
from nodeyard.errors.runtime import ExpectationFailed, RuntimeFailure
from nodeyard.errors.validation import UsageError
from nodeyard.ports.observer import Observer
from nodeyard.runtime.network import LiveNetwork
from nodeyard.runtime.node import Node
from nodeyard.runtime.scenario_runtime import ScenarioRuntime

TEST = "test"
"""The name of the check that stands for the body of the ``async with``."""


class OpenNetwork:
    """A live network: ``net["n1"]``, ``await net.select("leader")``, ``await net.expect("converged")``.

    Node operations are those of ``Node``; each passes authorisation, readiness and the journal like a step.
    """

    def __init__(self, session: Session, registry: Registry) -> None:
        self._session = session
        self._registry = registry
        self._random = Random(f"{session.seed}/api")
        self.result: RunResult | None = None
        """The outcome of the run, after the context was left."""

    @property
    def run(self) -> str:
        """The id of the run."""
        return self._session.run_id

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self._session.folder.path

    @property
    def seed(self) -> int:
        return self._session.seed

    @property
    def inventory(self) -> NodeInventory:
        """All nodes as values, as they are known now."""
        return self._live.inventory

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self._live.nodes

    def __getitem__(self, name: str) -> Node:
        """A node by name. Raises ``NodeNotFound``."""
        return self._live[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self._live)

    def __len__(self) -> int:
        return len(self._live)

    async def select(self, target: Any) -> tuple[Node, ...]:
        """The nodes that a selector means now, written as in a scenario: ``"leader"``, ``{"any": 2}``.

        Raises ``UsageError`` for what is no selector, ``NodeNotFound``, ``SelectionEmpty``.
        """
        try:
            selector = parse_selector(target)
        except ValueError as error:
            raise UsageError(str(error), operation="select") from None
        return await self._live.select(selector, random=self._random, deadline=self._session.deadline)

    async def expect(self, use: str, **options: Any) -> Check:
        """Make a check now, with options as in a scenario; it counts for the verdict of the run.

        Raises ``ExpectationFailed`` when it fails, ``RuntimeFailure`` when it could not be decided, ``UsageError``.
        """
        check = await self._runtime.check(self._options(use, options))
        if check.verdict is Verdict.PASS:
            return check
        message = f"{check.name}: {check.reason}"
        kind = ExpectationFailed if check.verdict is Verdict.FAIL else RuntimeFailure
        raise kind(message, operation=EXPECT, evidence=check.evidence)

    def _options(self, use: str, options: Mapping[str, Any]) -> Any:
        if use not in self._registry.expectations:
            raise UsageError(f"no expectation '{use}' is installed", hint=nearest(use, self._registry.expectations))
        try:
            return self._registry.expectations[use].options.model_validate({"use": use, **options})
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)
            evidence = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found]
            raise UsageError(f"expect({use!r}) was given wrong options", evidence=evidence) from None

    @property
    def _live(self) -> LiveNetwork:
        if self._session.network is None:
            raise InternalError("the network is not up")
        return self._session.network

    @property
    def _runtime(self) -> ScenarioRuntime:
        if self._session.runtime is None:
            raise InternalError("the network is not up")
        return self._session.runtime

    async def close(self, error: BaseException | None) -> RunResult:
        """Evidence, cleanup and verdict; ``error`` is what ended the body. Called by ``open_network``."""
        failure: NodeyardError | None = None
        if isinstance(error, ExpectationFailed):
            failure = None  # its check is recorded
        elif isinstance(error, NodeyardError | asyncio.CancelledError | KeyboardInterrupt):
            failure = self._session.failure_of(error)
        elif error is not None:
            reason = f"{type(error).__name__}: {error}".strip(": ")
            self._runtime.report(Check(TEST, Verdict.FAIL, reason))
        elif not self._runtime.outcome.checks:
            self._runtime.report(Check(TEST, Verdict.PASS, "the body ended without an error"))
        self.result = await self._session.finish(failure)
        return self.result


@asynccontextmanager
async def open_network(
    scenario: str | PathLike[str],
    *,
    variables: Mapping[str, str] | None = None,
    seed: int | None = None,
    output: str | PathLike[str] | None = None,
    keep: str | None = None,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[OpenNetwork]:
    """Bring up the network of a scenario file, and take it down again whatever ends the body.

    The steps and expectations of the file are not run: the body is the test. Raises the errors of loading and of
    bootstrap, and ``CleanupIncomplete`` when the body passed and something could not be removed.
    """
    settings = Settings.load({"output": str(output) if output is not None else None, "keep": keep})
    registry = installed()
    loaded = load_scenario(Path(scenario), registry, settings.environment, variables)
    session = Session(SessionRequest(loaded, settings, registry, seed=seed, observers=observers))
    async with session.opened():
        try:
            await session.start()
        except BaseException as error:
            await session.finish(session.failure_of(error))
            raise
        network = OpenNetwork(session, registry)
        try:
            yield network
        except BaseException as error:
            await network.close(error)
            raise
        result = await network.close(None)
        if result.cleanup is not None:
            raise result.cleanup

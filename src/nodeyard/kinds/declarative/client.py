"""The clients of declarative kinds: a base that probes and identifies, and one part per client protocol.

``client_class`` puts together exactly the parts that a file declares, so that what a client cannot do it does not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.node_client import (
    AcceptsTx,
    Block,
    ChainReader,
    CompareAndSet,
    Identification,
    KeyValue,
    PeerView,
    Probe,
    ReportsHeight,
    ReportsRole,
    Rung,
    StateDigest,
    TxSubmit,
    Value,
)
from nodeyard.errors import provider as errors
from nodeyard.kinds.declarative import picking
from nodeyard.kinds.declarative.asking import Asker, NotPermitted, Question, good
from nodeyard.kinds.declarative.model import RUNGS, BlockAsk, Call, Check, CompareAndSetCall, Get, KindFile, Pick
from nodeyard.kinds.declarative.picking import Answer
from nodeyard.kinds.declarative.variables import Tx

Path_ = tuple[str | int, ...]
Questions = Mapping[Path_, Question]
"""Every question of a file by its place in it, compiled."""


class _Budget:
    """What is left of a timeout that several questions share."""

    def __init__(self, timeout: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + timeout

    @property
    def left(self) -> float:
        return max(0.001, self._end - self._clock())


class DeclaredClient:
    """What every declarative client can do."""

    def __init__(self, file: KindFile, questions: Questions, asker: Asker) -> None:
        self._file, self._questions, self._asker = file, questions, asker

    async def probe(self, *, timeout: float) -> Probe:
        """The looks under ``ready`` in their order; the first that is not good ends it."""
        budget, rung = _Budget(timeout), Rung.NOTHING
        checks = self._file.ready or (Check(connect=self._file.api),)
        for position, check in enumerate(checks):
            reached = RUNGS[check.rung] if check.rung else _usual_rung(check)
            try:
                problem = await self._look(check, position, timeout=budget.left)
            except errors.ProviderError as error:
                return Probe(False, max(rung, _rung_of(error)), error.message, fatal=_never(error))
            if problem:
                return Probe(
                    False, max(rung, min(reached, Rung.API_ANSWERS)) if check.connect is None else rung, problem
                )
            rung = max(rung, reached)
        return Probe(True, rung, f"{len(checks)} look{'s' if len(checks) > 1 else ''} good")

    async def _look(self, check: Check, position: int, *, timeout: float) -> str:
        """What is not good, or an empty text."""
        if check.connect is not None:
            open_ = await self._asker.connects(check.connect, timeout=timeout)
            return "" if open_ else f"port '{check.connect}' accepts no connection"
        question = self._questions["ready", position]
        answer = good(await self._asker.ask(question, timeout=timeout))
        if check.log is not None:
            return "" if answer.text else f"no line of its log has '{check.log}'"
        if check.match is not None and picking.matches(check.match, answer.text) is None:
            return f"{question.label}: '{check.match}' is not in the answer ({answer.quoted})"
        if check.find is not None and not picking.is_true(found := picking.found_in(check.find, answer)):
            return f"{question.label}: '{check.find}' gives {found!r} ({answer.quoted})".replace("None", "null")
        return ""

    async def identify(self, *, timeout: float) -> Identification:
        """Every fact that the file asks for. Raises a ``ProviderError`` for a node that does not answer one of them."""
        budget = _Budget(timeout)
        said: dict[tuple[str, ...], str | None] = {}
        for path in (("peer_id",), ("role",), ("network", "id"), ("network", "genesis"), ("network", "protocol"),
                     ("version",)):  # fmt: skip
            if path in self._questions:
                value, answer = await self._pick(path, timeout=budget.left)
                said[path] = picking.text_of(value, " ".join(path), answer)
                if path == ("peer_id",) and said[path] is None:
                    raise answer.invalid("tells no peer id")
        height = None
        if ("height",) in self._questions:
            value, answer = await self._pick(("height",), timeout=budget.left)
            height = picking.whole_number_of(value, "height", answer)
        auth = self._asker.endpoint(self._file.api).auth
        facts = NetworkFacts(
            id=said.get(("network", "id")),
            genesis=said.get(("network", "genesis")),
            protocol=said.get(("network", "protocol")),
            api=said.get(("version",)),
            auth=auth.kind if auth is not None else None,
        )
        return Identification(said.get(("peer_id",)), facts, role=said.get(("role",)), height=height)

    async def _pick(self, path: Path_, *, timeout: float, **variables: Any) -> tuple[Any, Answer]:
        """What a question finds, and the answer that it found it in."""
        question = self._questions[path]
        answer = good(await self._asker.ask(question, timeout=timeout, **variables))
        assert isinstance(question.ask, Pick)
        return picking.picked(question.ask, answer), answer

    async def _call(self, path: Path_, *, timeout: float, **variables: Any) -> tuple[Question, Answer]:
        """An answer that is no refusal by the file's own words. Its status may still be any."""
        question = self._questions[path]
        answer = await self._asker.ask(question, timeout=timeout, **variables)
        if isinstance(question.ask, Call) and picking.holds(question.ask.refused, answer):
            raise errors.NodeRefused(f"{answer.where} refused", evidence=[answer.quoted])
        return question, answer

    async def _write(self, path: Path_, *, timeout: float, **variables: Any) -> tuple[Question, Answer]:
        """As ``_call``, and the answer is good: what is looked for is in it."""
        question, answer = await self._call(path, timeout=timeout, **variables)
        good(answer, writes=True)
        assert isinstance(question.ask, Call)
        if question.ask.match is not None and picking.picked(question.ask, answer) is None:
            raise answer.invalid(f"answered a write without '{question.ask.match}'")
        return question, answer


class _Height(DeclaredClient):
    async def height(self, *, timeout: float) -> int:
        """The file's ``height``."""
        value, answer = await self._pick(("height",), timeout=timeout)
        return picking.whole_number_of(value, "height", answer)


class _Role(DeclaredClient):
    async def role(self, *, timeout: float) -> str | None:
        """The file's ``role``."""
        value, answer = await self._pick(("role",), timeout=timeout)
        return picking.text_of(value, "role", answer)


class _Peers(DeclaredClient):
    async def peers(self, *, timeout: float) -> tuple[str, ...]:
        """The file's ``peers``."""
        value, answer = await self._pick(("peers",), timeout=timeout)
        return picking.texts_of(value, "peers", answer)


class _Digest(DeclaredClient):
    async def digest(self, *, timeout: float) -> Mapping[str, str]:
        """Every text under the file's ``digest``."""
        budget = _Budget(timeout)
        found: dict[str, str] = {}
        for name in self._file.digest:
            value, answer = await self._pick(("digest", name), timeout=budget.left)
            text = picking.text_of(value, f"digest {name}", answer)
            if text is None:
                raise answer.invalid(f"tells nothing of digest '{name}'")
            found[name] = text
        return found


class _Chain(_Height):
    async def block(self, height: int, *, timeout: float) -> Block:
        """The file's ``block``."""
        question, answer = await self._call(("block",), timeout=timeout, height=height)
        ask = question.ask
        assert isinstance(ask, BlockAsk)
        good(answer)
        hash_ = picking.text_of(picking.found_in(ask.hash, answer), "hash", answer)
        if hash_ is None:
            raise errors.NodeRefused(f"{answer.where} has no block {height}", evidence=[answer.quoted])
        state = None if ask.state is None else picking.found_in(ask.state, answer)
        return Block(height, hash_, picking.text_of(state, "state", answer))


class _KeyValue(DeclaredClient):
    async def get(self, key: str, *, timeout: float, local: bool = False) -> Value:
        """The file's ``key_value.get``. It has one way to read, with agreement or without."""
        question, answer = await self._call(("key_value", "get"), timeout=timeout, key=key)
        ask = question.ask
        assert isinstance(ask, Get)
        if picking.holds(ask.absent, answer):
            return Value(None)
        good(answer)
        value = picking.text_of(picking.picked(ask, answer), "value", answer)
        if ask.match is not None and value is None and picking.matches(ask.match, answer.text) is None:
            raise answer.invalid(f"answered a read without '{ask.match}'")
        revision = None
        if ask.revision is not None:
            revision = picking.whole_number_of(picking.found_in(ask.revision, answer), "revision", answer)
        return Value(value if value is not None else _empty(ask, answer), revision)

    async def put(self, key: str, value: str, *, timeout: float) -> int | None:
        """The file's ``key_value.put``; what it picks is a revision, if it is a number."""
        question, answer = await self._write(("key_value", "put"), timeout=timeout, key=key, value=value)
        assert isinstance(question.ask, Pick)
        if question.ask.find is None:
            return None
        number = picking.number_of(picking.picked(question.ask, answer))
        return int(number) if number is not None else None


class _CompareAndSet(_KeyValue):
    async def compare_and_set(self, key: str, expected: str | None, value: str, *, timeout: float) -> bool:
        """The file's ``key_value.compare_and_set``."""
        path = ("key_value", "compare_and_set")
        question, answer = await self._call(
            path, timeout=timeout, key=key, value=value, expected=expected or "", absent=expected is None
        )
        assert isinstance(question.ask, CompareAndSetCall)
        if picking.holds(question.ask.not_written, answer):
            return False
        if picking.holds(question.ask.written, answer):
            return True
        good(answer, writes=True)
        raise answer.invalid("answered neither that it was written nor that it was not")


class _Accepts(DeclaredClient):
    async def submit(self, tx: bytes, *, timeout: float) -> str:
        """The file's ``submit.send``; without an id in the answer, the transaction is its own."""
        question, answer = await self._write(("submit", "send"), timeout=timeout, tx=Tx(tx))
        assert isinstance(question.ask, Pick)
        if question.ask.find is None and question.ask.match is None and question.ask.rpc is None:
            return Tx(tx).hex
        found = picking.text_of(picking.picked(question.ask, answer), "transaction id", answer)
        if found is None:
            raise answer.invalid("took a transaction and told no id")
        return found


class _Submit(_Accepts):
    async def included(self, tx_id: str, *, timeout: float) -> int | None:
        """The file's ``submit.included``."""
        value, answer = await self._pick(("submit", "included"), timeout=timeout, tx_id=tx_id)
        return None if value is None else picking.whole_number_of(value, "height", answer)


def parts_of(file: KindFile) -> dict[type, type[DeclaredClient]]:
    """The client protocols that a file declares, each with the part that implements it."""
    parts: dict[type, type[DeclaredClient]] = {}
    if file.height is not None:
        parts[ReportsHeight] = _Height
    if file.height is not None and file.block is not None:
        parts[ChainReader] = _Chain
    if file.role is not None:
        parts[ReportsRole] = _Role
    if file.peers is not None:
        parts[PeerView] = _Peers
    if file.digest:
        parts[StateDigest] = _Digest
    if file.key_value is not None:
        parts[KeyValue] = _KeyValue
        if file.key_value.compare_and_set is not None:
            parts[CompareAndSet] = _CompareAndSet
    if file.submit is not None:
        parts[TxSubmit if file.submit.included else AcceptsTx] = _Submit if file.submit.included else _Accepts
    return parts


def client_class(file: KindFile) -> type[DeclaredClient]:
    """A class with exactly the methods of the protocols that the file declares."""
    parts = tuple(part for part in parts_of(file).values() if not _included(part, parts_of(file).values()))
    return type(f"{file.name.title().replace('-', '')}Client", (*parts, DeclaredClient), {})


def _included(part: type, others: Any) -> bool:
    return any(other is not part and issubclass(other, part) for other in others)


def _usual_rung(check: Check) -> Rung:
    if check.connect is not None:
        return Rung.PORT_OPEN
    return Rung.ALIVE if check.log is not None else Rung.API_ANSWERS


def _rung_of(error: errors.ProviderError) -> Rung:
    """How far a look came that ended in an error: silence, no TLS and a wrong answer mean that the port is open."""
    reached = errors.NodeTimeout | errors.TlsFailed | errors.NodeAnswerInvalid | errors.NodeRefused
    return Rung.PORT_OPEN if isinstance(error, reached) else Rung.NOTHING


def _never(error: errors.ProviderError) -> str | None:
    """Why a look can never become good, or ``None``: what is not granted now will not be."""
    return error.message if isinstance(error, NotPermitted) else None


def _empty(ask: Get, answer: Answer) -> str | None:
    """An empty value is a value where the file says what an absent one is like."""
    return "" if ask.absent is not None else None

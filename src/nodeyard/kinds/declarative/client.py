"""The clients of declarative kinds: a base that probes and identifies, and one part per client protocol.

``client_class`` puts together exactly the parts that a file declares, so that what a client cannot do it does not have.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.node_client import (
    AcceptsTx,
    Block,
    ChainReader,
    CompareAndSet,
    CountsPeers,
    Identification,
    KeyValue,
    PeerView,
    Probe,
    ReportsHeight,
    ReportsMetrics,
    ReportsRole,
    Rung,
    StateDigest,
    TxSubmit,
    Value,
)
from nodeyard.errors import provider as errors
from nodeyard.kinds._wording import excerpt
from nodeyard.kinds.declarative import picking
from nodeyard.kinds.declarative.asking import Asker, NotPermitted, Question, good
from nodeyard.kinds.declarative.model import RUNGS, BlockAsk, Call, Check, CompareAndSetCall, Get, KindFile, Pick
from nodeyard.kinds.declarative.picking import Answer
from nodeyard.kinds.declarative.variables import Tx

Path_ = tuple[str | int, ...]
Questions = Mapping[Path_, Question]
"""Every question of a file by its place in it, compiled."""


HEIGHT: Path_ = ("height",)
PEER_ID: Path_ = ("peer_id",)
FACTS: tuple[Path_, ...] = (PEER_ID, ("role",), ("network", "id"), ("network", "genesis"),
                            ("network", "protocol"), ("version",), HEIGHT)  # fmt: skip


class _Budget:
    """What is left of a timeout that several questions share."""

    def __init__(self, timeout: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + timeout

    @property
    def left(self) -> float:
        return max(0.001, self._end - self._clock())


class _Look:
    """One look at a node: equal questions are asked once."""

    def __init__(self, asker: Asker, timeout: float) -> None:
        self.budget = _Budget(timeout)
        self._asker = asker
        self._answers: dict[str, Answer] = {}

    async def answer(self, question: Question) -> Answer:
        if question.key not in self._answers:
            self._answers[question.key] = await self._asker.ask(question, timeout=self.budget.left)
        return self._answers[question.key]


class DeclaredClient:
    """What every declarative client can do."""

    def __init__(self, file: KindFile, questions: Questions, asker: Asker) -> None:
        self._file, self._questions, self._asker = file, questions, asker

    async def probe(self, *, timeout: float) -> Probe:
        """The looks under ``ready`` in their order; the first that is not good ends it."""
        look, rung, detail = _Look(self._asker, timeout), Rung.NOTHING, ""
        for position, check in enumerate(self._file.ready or (Check(connect=self._file.api),)):
            try:
                good_, detail = await self._is_good(check, position, look)
            except errors.ProviderError as error:
                return Probe(False, max(rung, _rung_of(error)), error.message, fatal=_never(error))
            if not good_:
                answered = rung if check.connect is not None else max(rung, min(_rung(check), Rung.API_ANSWERS))
                return Probe(False, answered, detail)
            rung = max(rung, _rung(check))
        # All that the file asks of a ready node is answered; the barrier identifies from this rung on.
        return Probe(True, max(rung, Rung.API_ANSWERS), detail)

    async def _is_good(self, check: Check, position: int, look: _Look) -> tuple[bool, str]:
        """Whether a look is good, and what was seen."""
        if check.connect is not None:
            open_ = await self._asker.connects(check.connect, timeout=look.budget.left)
            return open_, f"port '{check.connect}' accepts {'connections' if open_ else 'no connection'}"
        question = self._questions["ready", position]
        answer = good(await look.answer(question))
        if check.log is not None:
            return bool(answer.text), excerpt(answer.text) or f"no line of its log has '{check.log}'"
        if check.match is not None:
            hit = picking.matches(check.match, answer.text)
            said = (
                f"'{check.match}' is not in the answer ({answer.quoted})" if hit is None else " ".join(hit[0].split())
            )
            return hit is not None, f"{question.label}: {excerpt(said, 100)}"
        if check.find is None:
            return True, f"{question.label}: {answer.quoted}"
        found = picking.found_in(check.find, answer)
        shown = excerpt(json.dumps(found), 80)
        if picking.is_true(found):
            return True, f"{question.label}: {answer.quoted}"
        return False, f"{question.label}: '{check.find}' gives {shown} ({answer.quoted})"

    async def identify(self, *, timeout: float) -> Identification:
        """Every fact that the file asks for. Raises a ``ProviderError`` for a node that does not answer one of them."""
        said = await self._said(FACTS, timeout=timeout)
        facts = {path: self._fact(path, *pair) for path, pair in said.items() if path != HEIGHT}
        height = None
        if HEIGHT in said and (answer := said[HEIGHT][1]) is not None:
            height = picking.whole_number_of(said[HEIGHT][0], "height", answer)
        auth = self._asker.endpoint(self._file.api).auth
        network = NetworkFacts(
            id=facts.get(("network", "id")),
            genesis=facts.get(("network", "genesis")),
            protocol=facts.get(("network", "protocol")),
            api=facts.get(("version",)),
            auth=auth.kind if auth is not None else None,
        )
        return Identification(facts.get(("peer_id",)), network, role=facts.get(("role",)), height=height)

    async def _said(self, paths: Sequence[Path_], *, timeout: float) -> dict[Path_, tuple[Any, Answer | None]]:
        """What the file's questions among ``paths`` find; equal ones are asked once, all of them side by side.

        No answer where an optional one was refused. Raises the first error.
        """
        mine = [path for path in paths if path in self._questions]
        distinct = {self._questions[path].key: self._questions[path] for path in mine}

        async def ask(question: Question) -> Answer:
            return good(await self._asker.ask(question, timeout=timeout))

        answers = dict(zip(distinct, await side_by_side(ask, distinct.values()), strict=True))
        found: dict[Path_, tuple[Any, Answer | None]] = {}
        for path in mine:
            question, answer = self._questions[path], answers[self._questions[path].key]
            assert isinstance(question.ask, Pick)
            if isinstance(answer, Answer):
                found[path] = picking.picked(question.ask, answer), answer
            elif question.ask.optional and type(answer) is errors.NodeRefused:
                found[path] = None, None
            else:
                raise answer
        return found

    def _fact(self, path: Path_, value: Any, answer: Answer | None) -> str | None:
        """A fact as text. Raises ``NodeAnswerInvalid`` where one is missing that should be there: it is not guessed."""
        ask = self._questions[path].ask
        assert isinstance(ask, Pick)
        if answer is None:
            return None
        what = " ".join(str(part) for part in path)
        text = picking.text_of(value, what, answer)
        if text is None and not ask.optional and path != ("role",):
            raise answer.invalid(f"tells no {what}", hint="is the kind right? or say 'optional: true' in its file")
        return text

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
        """The file's ``peers`` but the node itself, which some software counts among them."""
        budget = _Budget(timeout)
        value, answer = await self._pick(("peers",), timeout=budget.left)
        said = await self._said((PEER_ID,), timeout=budget.left)
        own = self._fact(PEER_ID, *said[PEER_ID]) if PEER_ID in said else None
        return tuple(peer for peer in picking.texts_of(value, "peers", answer) if peer != own)


class _PeerCount(DeclaredClient):
    async def peer_count(self, *, timeout: float) -> int:
        """The file's ``peer_count``."""
        value, answer = await self._pick(("peer_count",), timeout=timeout)
        return picking.whole_number_of(value, "peer count", answer)


class _Metrics(DeclaredClient):
    async def metrics(self, *, timeout: float) -> str:
        """The answer to the file's ``metrics``."""
        return good(await self._asker.ask(self._questions[("metrics",)], timeout=timeout)).text


class _Digest(DeclaredClient):
    async def digest(self, *, timeout: float) -> Mapping[str, str]:
        """Every text under the file's ``digest``."""
        said = await self._said([("digest", name) for name in self._file.digest], timeout=timeout)
        texts = {str(path[1]): self._fact(path, *pair) for path, pair in said.items()}
        return {name: text for name, text in texts.items() if text is not None}


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
    if file.peer_count is not None:
        parts[CountsPeers] = _PeerCount
    if file.metrics is not None:
        parts[ReportsMetrics] = _Metrics
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


def _rung(check: Check) -> Rung:
    """The rung that a good look reaches."""
    if check.rung is not None:
        return RUNGS[check.rung]
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

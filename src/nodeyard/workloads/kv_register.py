"""The workload ``kv-register``: reads, writes and compare-and-sets over a few keys of a replicated map.

Every written value is a different one, so that a read tells which write it saw. Each key is a register of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import accumulate
from random import Random
from secrets import token_hex
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import CompareAndSet, KeyValue
from nodeyard.domain.quantity import Switch
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import WorkloadOptions
from nodeyard.domain.sources import Spec
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.workloads._load import Client, LoadOptions, Operation, drive, own_history
from nodeyard.workloads._nodes import present

Share = Annotated[float, Field(ge=0)]
READ, WRITE, CAS = "read", "write", "cas"


class Mix(Spec):
    """How often each operation is chosen, as weights."""

    read: Share = Field(default=0.0, description="weight of reads")
    write: Share = Field(default=0.0, description="weight of writes")
    cas: Share = Field(default=0.0, description="weight of compare-and-sets")

    @model_validator(mode="after")
    def _something(self) -> Mix:
        if self.read + self.write + self.cas <= 0:
            raise ValueError("one of read, write and cas must have a weight above 0")
        return self


USUAL = Mix(read=5, write=3, cas=2)
PLAIN = Mix(read=5, write=3)


class RegisterOptions(LoadOptions):
    """Traffic over registers."""

    keys: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=16, description="how many keys there are")
    prefix: str | None = Field(
        default=None, description="what the keys begin with; absent: something that no other run has written to"
    )
    mix: Mix | None = Field(
        default=None,
        description="how often each operation is chosen; absent: reads 5, writes 3, compare-and-sets 2 where nodes can",
    )
    local: Switch = Field(default=False, description="read from the node alone, without agreement: reads may be stale")


class KvRegister:
    """Reads, writes and compare-and-sets over keys."""

    word: ClassVar[str] = "kv-register"
    summary: ClassVar[str] = "reads, writes and compare-and-sets over keys"
    options: ClassVar[type[WorkloadOptions]] = RegisterOptions

    def requires(self, options: RegisterOptions) -> tuple[Requirement, ...]:
        needs = [Requirement(options.target, _capability(options), KeyValue)]
        if options.mix is not None and options.mix.cas > 0:
            needs.append(Requirement(options.target, Capability.SUBMIT, CompareAndSet))
        return tuple(needs)

    async def run(self, options: RegisterOptions, context: StepContext) -> None:
        nodes = await present(options.target, _capability(options), context)
        mix = options.mix or (USUAL if all(node.speaks(CompareAndSet) for node in nodes) else PLAIN)
        prefix = options.prefix or f"{own_history(context).label}-{token_hex(4)}-"
        await drive(options, context, nodes, _Registers(options, mix, prefix).choose)


def _capability(options: RegisterOptions) -> Capability:
    writes = options.mix is None or options.mix.write + options.mix.cas > 0
    return Capability.SUBMIT if writes else Capability.QUERY


class _Registers:
    """What the clients of one workload share: the keys, the values that were last seen, and a counter of values."""

    def __init__(self, options: RegisterOptions, mix: Mix, prefix: str) -> None:
        self._options = options
        self._keys = [f"{prefix}{number}" for number in range(options.keys)]
        self._seen: dict[str, str | None] = {}
        self._stores: dict[str, KeyValue] = {}
        self._written = 0
        self._weights = list(accumulate((mix.read, mix.write, mix.cas)))

    def choose(self, client: Client) -> Operation:
        key = client.random.choice(self._keys)
        op = self._pick(client.random)
        if op == READ:
            return Operation(READ, self._read(self._store(client.node), key), key)
        value = self._fresh(client)
        if op == WRITE:
            return Operation(WRITE, self._write(self._store(client.node), key, value), key, value)
        expected = self._seen.get(key)
        send = self._cas(client.node.client(CompareAndSet), key, expected, value)
        return Operation(CAS, send, key, [expected, value])

    def _store(self, node: Node) -> KeyValue:
        """A node's client, asked for once: each of its calls is authorised when it is made."""
        if node.id not in self._stores:
            self._stores[node.id] = node.client(KeyValue)
        return self._stores[node.id]

    def _pick(self, random: Random) -> str:
        point = random.random() * self._weights[2]
        return READ if point < self._weights[0] else WRITE if point < self._weights[1] else CAS

    def _fresh(self, client: Client) -> str:
        self._written += 1
        return f"{client.name}:{self._written}"

    def _read(self, store: KeyValue, key: str) -> Callable[[], Awaitable[Any]]:
        async def send() -> str | None:
            found = await store.get(key, timeout=self._options.timeout, local=self._options.local)
            self._seen[key] = found.value
            return found.value

        return send

    def _write(self, store: KeyValue, key: str, value: str) -> Callable[[], Awaitable[Any]]:
        async def send() -> int | None:
            revision = await store.put(key, value, timeout=self._options.timeout)
            self._seen[key] = value
            return revision

        return send

    def _cas(self, store: CompareAndSet, key: str, expected: str | None, value: str) -> Callable[[], Awaitable[Any]]:
        async def send() -> bool:
            written = await store.compare_and_set(key, expected, value, timeout=self._options.timeout)
            if written:
                self._seen[key] = value
            return written

        return send


__all__ = ["KvRegister"]

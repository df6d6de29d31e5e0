"""Node selectors: how a step names the nodes that it means. Pure.

A selector is parsed once, its possible targets are known before the run, and it is resolved at call time with the
roles that nodes have then. Random picks come from the generator that is handed in, so a seed repeats them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from random import Random
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from nodeyard.domain.capability import Capability, Decision, Ownership, authorize
from nodeyard.domain.node_handle import NodeHandle, OriginClass
from nodeyard.domain.node_inventory import NodeInventory

WORDS = ("all", "owned", "borrowed", "leader", "followers", "any")
ORIGINS = tuple(f"origin:{origin.value}" for origin in OriginClass)


class SelectorKind(StrEnum):
    """The shape of a selector."""

    NAMES = "names"
    ALL = "all"
    OWNED = "owned"
    BORROWED = "borrowed"
    ORIGIN = "origin"
    LEADER = "leader"
    FOLLOWERS = "followers"
    ANY = "any"
    FRACTION = "fraction"


LIVE_ROLE = frozenset({SelectorKind.LEADER, SelectorKind.FOLLOWERS})
RANDOM = frozenset({SelectorKind.ANY, SelectorKind.FRACTION})


@dataclass(frozen=True)
class Selector:
    """A parsed selector; ``names`` for NAMES, ``origin`` for ORIGIN, ``count`` for ANY, ``share`` for FRACTION."""

    kind: SelectorKind
    names: tuple[str, ...] = ()
    origin: OriginClass | None = None
    count: int = 1
    share: float = 0.0

    def __str__(self) -> str:
        if self.kind is SelectorKind.NAMES:
            return ", ".join(self.names)
        if self.kind is SelectorKind.ORIGIN:
            return f"origin:{self.origin}"
        if self.kind is SelectorKind.ANY:
            return "any" if self.count == 1 else f"any {self.count}"
        return f"fraction {self.share:g}" if self.kind is SelectorKind.FRACTION else self.kind.value

    def written(self) -> Any:
        """The selector as a scenario file writes it."""
        if self.kind is SelectorKind.NAMES:
            return self.names[0] if len(self.names) == 1 and not is_word(self.names[0]) else list(self.names)
        if self.kind is SelectorKind.ANY and self.count != 1:
            return {"any": self.count}
        if self.kind is SelectorKind.FRACTION:
            return {"fraction": self.share}
        return str(self)


ALL = Selector(SelectorKind.ALL)


def is_word(text: str) -> bool:
    """Whether a text alone is a selector of its own; a node with such a name is selected by a list of one name."""
    return text in WORDS or text.startswith("origin:")


def parse_selector(value: Any) -> Selector:
    """A selector from what a file or a caller wrote. Raises ``ValueError`` with the forms that there are."""
    if isinstance(value, Selector):
        return value
    if isinstance(value, str):
        return _parse_word(value)
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) and item for item in value):
        return Selector(SelectorKind.NAMES, tuple(dict.fromkeys(value)))
    if isinstance(value, Mapping) and len(value) == 1:
        [(word, amount)] = value.items()
        if word == "any" and isinstance(amount, int) and not isinstance(amount, bool) and amount >= 1:
            return Selector(SelectorKind.ANY, count=amount)
        if word == "fraction" and isinstance(amount, int | float) and not isinstance(amount, bool) and 0 < amount <= 1:
            return Selector(SelectorKind.FRACTION, share=float(amount))
    raise ValueError(
        "a node selector is a name, a list of names, all, owned, borrowed, origin:managed, leader, followers, any, "
        "{any: 2} or {fraction: 0.3}"
    )


def _parse_word(word: str) -> Selector:
    if word.startswith("origin:"):
        if word not in ORIGINS:
            raise ValueError(f"an origin selector is one of {', '.join(ORIGINS)}")
        return Selector(SelectorKind.ORIGIN, origin=OriginClass(word.removeprefix("origin:")))
    if word in WORDS:
        return Selector(SelectorKind(word))
    if not word:
        raise ValueError("a node selector must not be empty")
    return Selector(SelectorKind.NAMES, (word,))


SelectorField = Annotated[
    Selector,
    BeforeValidator(parse_selector),
    PlainSerializer(lambda s: s.written(), when_used="always"),
    WithJsonSchema(
        {
            "description": "a name, a list of names, all, owned, borrowed, origin:CLASS, leader, followers, any",
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "object", "properties": {"any": {"type": "integer", "minimum": 1}}, "required": ["any"],
                 "additionalProperties": False},
                {"type": "object", "properties": {"fraction": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}},
                 "required": ["fraction"], "additionalProperties": False},
            ],
        }
    ),
]  # fmt: skip
"""A selector inside a spec."""


def candidates(selector: Selector, inventory: NodeInventory) -> tuple[NodeHandle, ...]:
    """Every node that a selector could mean, whatever roles nodes will have. Unknown names are left out."""
    nodes = inventory.nodes
    if selector.kind is SelectorKind.NAMES:
        found = (inventory.get(name) for name in selector.names)
        return tuple(dict.fromkeys(node for node in found if node is not None))
    if selector.kind is SelectorKind.OWNED:
        return tuple(n for n in nodes if n.ownership is Ownership.OWNED)
    if selector.kind is SelectorKind.BORROWED:
        return tuple(n for n in nodes if n.ownership is Ownership.BORROWED)
    if selector.kind is SelectorKind.ORIGIN and selector.origin is not None:
        return tuple(n for n in nodes if n.from_class(selector.origin))
    return nodes


def unknown_names(selector: Selector, inventory: NodeInventory) -> tuple[str, ...]:
    return tuple(name for name in selector.names if inventory.get(name) is None)


def wanted_count(selector: Selector, among: int) -> int:
    """How many nodes a random selector picks among ``among`` authorised ones; a fraction is rounded up, at least 1."""
    if selector.kind is SelectorKind.FRACTION:
        return max(1, ceil(selector.share * among - 1e-9))
    return selector.count


def planned_denials(selector: Selector, capability: Capability, inventory: NodeInventory) -> tuple[Decision, ...]:
    """The decisions that forbid a planned operation, before the run.

    A selector that names or implies certain nodes needs every possible one authorised. A random one picks among the
    authorised ones, and is denied (by all the decisions against it) only when these are too few. A selector that can
    mean no node at all is denied too; names that do not exist are not judged here (see ``unknown_names``).
    """
    decisions = [authorize(node, capability) for node in candidates(selector, inventory)]
    denied = tuple(d for d in decisions if not d.allowed)
    if selector.kind is SelectorKind.NAMES or (selector.kind not in RANDOM and decisions):
        return denied
    allowed = len(decisions) - len(denied)
    wanted = wanted_count(selector, allowed) if selector.kind in RANDOM else 1
    return () if allowed >= wanted else denied or (_too_few(selector, capability, allowed, wanted),)


def _too_few(selector: Selector, capability: Capability, allowed: int, wanted: int) -> Decision:
    return Decision(
        False,
        capability,
        str(selector),
        reason=f"selector '{selector}' needs at least {wanted} node(s), and the inventory has {allowed}",
        hint="choose a selector that the declared nodes can meet",
    )


def resolve(
    selector: Selector,
    inventory: NodeInventory,
    *,
    capability: Capability,
    roles: Mapping[str, str | None],
    random: Random,
    running: Sequence[str] | None = None,
) -> tuple[NodeHandle, ...]:
    """The nodes that a selector means now; an empty tuple where there is none (no leader, too few to pick from).

    ``roles`` maps node ids to their live roles and is read only for ``leader`` and ``followers``. ``running``, where
    given, limits random picks to those nodes.
    """
    found = candidates(selector, inventory)
    limit = None if running is None else frozenset(running)
    if selector.kind is SelectorKind.LEADER:
        return tuple(n for n in found if roles.get(n.id) == "leader")[:1]
    if selector.kind is SelectorKind.FOLLOWERS:
        return tuple(n for n in found if roles.get(n.id) == "follower")
    if selector.kind not in RANDOM:
        return found
    pool = [n for n in found if authorize(n, capability).allowed and (limit is None or n.id in limit)]
    count = wanted_count(selector, len(pool))
    if not pool or count > len(pool):
        return ()
    return tuple(pool[position] for position in sorted(random.sample(range(len(pool)), count)))

"""What a journal knows of a node as an inventory row. Pure.

A journal may be of another version or damaged, so anything of another shape than expected is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodeyard.domain import events as ev
from nodeyard.domain.capability import Ownership
from nodeyard.domain.node_handle import OriginClass


@dataclass(frozen=True)
class OriginFacts:
    """One origin of a node as texts."""

    origin: str
    source: str
    locator: str = ""


@dataclass(frozen=True)
class NodeFacts:
    """A row of the inventory; empty texts stand for what is not known.

    ``published`` is false for facts that were gathered from single events, because the run ended before it published
    its inventory: then nothing is known of capabilities, and ``ownership`` follows from the origin's class alone.
    """

    kind: str = ""
    role: str = ""
    ownership: str = ""
    names: tuple[str, ...] = ()
    origins: tuple[OriginFacts, ...] = ()
    peer_id: str = ""
    endpoint: str = ""
    aliases: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    version: str = ""
    published: bool = False


def published_facts(node: Mapping[str, Any]) -> NodeFacts:
    """The row of one of the ``nodes`` of ``inventory-published``."""
    identity, network = _mapping(node.get("identity")), _mapping(node.get("network"))
    origins = (_mapping(origin) for origin in _items(node.get("origins")))
    return NodeFacts(
        kind=_text(node.get("kind")),
        role=_text(node.get("role")),
        ownership=_text(node.get("ownership")),
        names=_texts(node.get("names")),
        origins=tuple(
            OriginFacts(_text(o.get("origin")), _text(o.get("source")), _text(o.get("locator"))) for o in origins
        ),
        peer_id=_text(identity.get("peer_id")),
        endpoint=_text(identity.get("endpoint")),
        aliases=_texts(identity.get("aliases")),
        supported=_texts(node.get("supported")),
        capabilities=_texts(node.get("capabilities")),
        endpoints={str(port): _text(url) for port, url in _mapping(node.get("endpoints")).items()},
        network=_text(network.get("id")),
        version=_text(network.get("api")),
        published=True,
    )


def gathered(facts: NodeFacts, event: ev.Event) -> NodeFacts:
    """The facts after one more event about the node; a published inventory says more than any of these."""
    if facts.published:
        return facts
    if isinstance(event, ev.NodeProvisioned):
        origin = OriginFacts(OriginClass.MANAGED.value, event.source)
        return _seen(facts, origin, Ownership.OWNED, event.addresses)
    if isinstance(event, ev.NodeDiscovered):
        owned = event.origin == OriginClass.MANAGED
        origin = OriginFacts(event.origin, event.source, event.locator)
        return _seen(facts, origin, Ownership.OWNED if owned else Ownership.BORROWED, event.endpoints)
    if isinstance(event, ev.NodeIdentified):
        return replace(
            facts,
            peer_id=event.peer_id or facts.peer_id,
            network=event.network or facts.network,
            role=event.role or facts.role,
            version=event.api or facts.version,
        )
    return facts


def _seen(facts: NodeFacts, origin: OriginFacts, ownership: Ownership, endpoints: Mapping[str, str]) -> NodeFacts:
    """Borrowed wins over owned, as it does in the inventory."""
    borrowed = Ownership.BORROWED in (facts.ownership, ownership)
    return replace(
        facts,
        origins=tuple(dict.fromkeys((*facts.origins, origin))),
        ownership=(Ownership.BORROWED if borrowed else ownership).value,
        endpoints={**endpoints, **facts.endpoints},
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _items(value))

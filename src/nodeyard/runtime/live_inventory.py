"""The holder of the run's current inventory. The values themselves and how they merge are ``domain.node_inventory``."""

from __future__ import annotations

from collections.abc import Callable

from nodeyard.domain.node_handle import NodeHandle
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.errors.runtime import NodeNotFound
from nodeyard.runtime.naming import nearest

Listener = Callable[[NodeInventory], None]


class LiveInventory:
    """One inventory at a time; a later revision replaces an earlier one and every listener is told.

    Two nodes that are identified side by side give two inventories; the one with the lower revision lacks what the
    other learned, so it never replaces it, whichever comes last.
    """

    def __init__(self, inventory: NodeInventory) -> None:
        self._current = inventory
        self._listeners: list[Listener] = []

    @property
    def current(self) -> NodeInventory:
        return self._current

    @property
    def revision(self) -> int:
        return self._current.revision

    def handle(self, name: str) -> NodeHandle:
        """The present handle of a node, by id or another of its names. Raises ``NodeNotFound``."""
        handle = self._current.get(name)
        if handle is None:
            known = [node.id for node in self._current]
            raise NodeNotFound(f"there is no node '{name}'", evidence=[f"nodes: {', '.join(known) or 'none'}"],
                               hint=nearest(name, known))  # fmt: skip
        return handle

    def accept(self, inventory: NodeInventory) -> bool:
        """Take a newer inventory and tell the listeners; an inventory that is not newer is left aside."""
        if inventory.revision <= self._current.revision:
            return False
        self._current = inventory
        for listener in tuple(self._listeners):
            listener(inventory)
        return True

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` of every later inventory; the result ends that, and may be called twice."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

"""What can be said of a selector from the declared nodes alone: which can never be met. Pure.

For sources whose nodes are all declared; what an attach provider finds, only the run knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeyard.domain.node_handle import OriginClass
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.selectors import Selector, SelectorKind

FEWER = "lower the number, or declare more nodes"
Complaint = tuple[str, str]
"""Message and hint."""


@dataclass(frozen=True)
class Declared:
    """How many nodes a scenario declares."""

    managed: int
    external: int

    def most(self, selector: Selector) -> int:
        """The number of nodes that a selector means if all are there and no two are one."""
        if selector.kind is SelectorKind.NAMES:
            return len(selector.names)
        if selector.kind is SelectorKind.OWNED or selector.origin is OriginClass.MANAGED:
            return self.managed
        if selector.kind is SelectorKind.BORROWED or selector.origin is OriginClass.EXTERNAL:
            return self.external
        return 0 if selector.origin is OriginClass.ATTACHED else self.managed + self.external

    def too_few(self, selector: Selector) -> Complaint | None:
        """Why no run can meet a selector."""
        most = self.most(selector)
        if most == 0:
            return f"'{selector}' means no node here", f"all nodes are {'managed' if self.managed else 'external'}"
        if selector.kind is SelectorKind.ANY and selector.count > most:
            return f"wants {selector.count} nodes, but there are only {most}", FEWER
        return None

    def not_enough(self, need: Requirement) -> Complaint | None:
        """Why the nodes that a selector means are too few for their use, although it can be met."""
        most = self.most(need.selector)
        if self.too_few(need.selector) is not None or most >= need.least:
            return None
        return f"needs {need.least} nodes, but '{need.selector}' means {most} at the most", FEWER

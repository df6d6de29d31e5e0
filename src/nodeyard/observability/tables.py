"""Tables as values: what stands in the inventory, checks, problems, runs and plan tables.

Must not live here: how a table is drawn (``drawing``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_handle import NodeHandle
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.verdict import Check, RunVerdict

UNKNOWN = "-"
"""Stands in a cell for what is not known."""


@dataclass(frozen=True)
class Table:
    """Rows of texts under named columns. ``styles`` names a style per row (``good``, ``bad``, ``warn``, or none).

    A cell may have several lines. ``notes`` stand below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    styles: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def without_empty_columns(self) -> Table:
        """Only the columns in which some row says something."""
        keep = [i for i in range(len(self.columns)) if any(row[i] not in {"", UNKNOWN} for row in self.rows)]
        columns = tuple(self.columns[i] for i in keep)
        rows = tuple(tuple(row[i] for i in keep) for row in self.rows)
        return Table(self.title, columns, rows, self.styles, self.notes)


def inventory_table(inventory: NodeInventory) -> Table:
    """Every node: where it came from, to whom it belongs, what may be done to it, who it is, where it is reached."""
    owned = sum(node.ownership == "owned" for node in inventory)
    title = f"{_count(len(inventory), 'node')}: {owned} owned, {len(inventory) - owned} borrowed"
    columns = ("node", "kind", "role", "ownership", "origin", "capabilities", "identity", "endpoints", "network")
    return Table(title, columns, tuple(_node_row(node) for node in inventory)).without_empty_columns()


def _node_row(node: NodeHandle) -> tuple[str, ...]:
    origins = [
        f"{o.origin.value} {o.source} ({o.locator})" if o.locator else f"{o.origin} {o.source}" for o in node.origins
    ]
    return (
        node.id,
        node.kind,
        node.role or UNKNOWN,
        node.ownership.value,
        "\n".join(dict.fromkeys(origins)),
        capability_words(node.capabilities),
        node.identity.peer_id or UNKNOWN,
        "\n".join(f"{port} {url}" for port, url in node.endpoints.items()) or UNKNOWN,
        node.network.id or UNKNOWN,
    )


def capability_words(held: Iterable[Capability]) -> str:
    """In the order of the documentation."""
    have = frozenset(held)
    return " ".join(c.value for c in Capability if c in have) or UNKNOWN


VERDICT_STYLE = {"pass": "good", "fail": "bad", "unknown": "warn", "vacuous": "warn"}


def checks_table(checks: Sequence[Check]) -> Table:
    """What each check decided and why."""
    rows = tuple((c.verdict.value, c.name, c.reason) for c in checks)
    return Table(_count(len(checks), "check"), ("verdict", "check", "reason"), rows,
                 tuple(VERDICT_STYLE[c.verdict.value] for c in checks))  # fmt: skip


def verdict_table(outcome: RunVerdict) -> Table:
    """The checks of a run under its verdict."""
    table = checks_table(outcome.checks)
    return Table(f"{outcome.run}: {outcome.verdict}", table.columns, table.rows, table.styles)


def problems_table(problems: Sequence[str], *, title: str = "problems") -> Table:
    """A numbered list of everything that stands in the way."""
    rows = tuple((str(number), problem) for number, problem in enumerate(problems, 1))
    return Table(title, ("", "problem"), rows, ("bad",) * len(rows))


@dataclass(frozen=True)
class RunRow:
    """One run as ``ps`` shows it. ``state`` is ``running``, ``up``, ``ended`` or ``dead`` (left things behind)."""

    run: str
    state: str
    verdict: str = ""
    scenario: str = ""
    started: str = ""
    nodes: int = 0
    left: int = 0
    folder: str = ""


RUN_STYLE = {"running": "good", "up": "good", "dead": "bad"}


def runs_table(runs: Sequence[RunRow]) -> Table:
    """Every known run. ``left`` counts resources that still exist."""
    columns = ("run", "state", "verdict", "scenario", "started", "nodes", "resources left", "folder")
    rows = tuple(
        (r.run, r.state, r.verdict or UNKNOWN, r.scenario, r.started, str(r.nodes), str(r.left), r.folder) for r in runs
    )
    styles = tuple(RUN_STYLE.get(r.state, VERDICT_STYLE.get(r.verdict, "")) for r in runs)
    notes = ("'nodeyard gc' removes what dead runs left",) if any(r.state == "dead" for r in runs) else ()
    return Table(_count(len(runs), "run"), columns, rows, styles, notes).without_empty_columns()


def plan_tables(plan: Mapping[str, Any]) -> tuple[Table, ...]:
    """A plan document as tables: nodes that would be made, borrowed ones, resources, steps and checks, problems."""
    tables = [_planned_nodes(plan), _planned_borrowed(plan)]
    if plan.get("resources"):
        tables.append(Table("would be created", ("resource",), tuple((str(r),) for r in plan["resources"])))
    work = [("step", str(step)) for step in plan.get("steps", ())]
    work += [("check", str(check)) for check in plan.get("checks", ())]
    if work:
        numbered = tuple((str(number), what, text) for number, (what, text) in enumerate(work, 1))
        tables.append(Table("would be done", ("", "", "what"), numbered))
    if plan.get("problems"):
        tables.append(problems_table([str(p) for p in plan["problems"]], title="would be refused"))
    return tuple(table for table in tables if table.rows)


def _planned_nodes(plan: Mapping[str, Any]) -> Table:
    columns = ("node", "kind", "role", "start", "seeds", "ports", "files", "command")
    rows = tuple(
        (
            str(node["name"]),
            str(node["kind"]),
            str(node.get("role") or UNKNOWN),
            "on demand" if node.get("on_demand") else "joins" if node.get("joins") else "at once",
            " ".join(node["seeds"]) or UNKNOWN,
            "\n".join(f"{port} {address}" for port, address in node["ports"].items()) or UNKNOWN,
            "\n".join(node["files"]) or UNKNOWN,
            "\n".join(_folded((str(node.get("program", "")), *map(str, node.get("args", ()))))),
        )
        for node in plan.get("nodes", ())
    )
    return Table(f"{_count(len(rows), 'node')} would be started", columns, rows).without_empty_columns()


def _folded(words: Sequence[str]) -> list[str]:
    """A command, one option a line."""
    lines: list[str] = []
    for word in words:
        if lines and not word.startswith("-") and lines[-1].startswith("-") and "=" not in lines[-1]:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _planned_borrowed(plan: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            str(node["name"]),
            str(node.get("kind") or UNKNOWN),
            str(node["source"]),
            " ".join(node.get("granted", ())) or UNKNOWN,
            "\n".join(f"{port} {url}" for port, url in node["endpoints"].items()),
        )
        for node in plan.get("borrowed", ())
    )
    notes = (f"source '{plan['attach']}' is searched at run",) if plan.get("attach") else ()
    return Table(f"{_count(len(rows), 'node')} would be borrowed", ("node", "kind", "source", "granted", "endpoints"),
                 rows, notes=notes)  # fmt: skip


def _count(number: int, word: str) -> str:
    return f"1 {word}" if number == 1 else f"{number} {word}s"

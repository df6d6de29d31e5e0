"""What ``inspect`` shows of a run, as texts and tables. Pure: made of the documents in the run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodeyard.app.looking import RunView
from nodeyard.observability.tables import Table

STYLE = {"pass": "good", "fail": "bad", "unknown": "warn", "vacuous": "warn"}


def inspection(found: RunView) -> Iterator[str | Table]:
    """The run, its verdict and why, its nodes, and where to look further."""
    row = found.row
    yield f"run {row.run} of '{row.scenario}', {row.state}" + (f", began {row.started}" if row.started else "")
    if found.verdict is not None:
        yield from _verdict(found.verdict)
    elif row.state == "ended":
        yield "it has no verdict: it was only brought up, or it was killed before it had one"
    nodes = (found.inventory or {}).get("nodes", [])
    if nodes:
        yield _nodes(nodes)
    yield f"folder:  {found.folder.path}"
    if found.folder.report.is_file():
        yield f"report:  {found.folder.report}"


def _verdict(verdict: dict[str, Any]) -> Iterator[str | Table]:
    yield f"verdict: {verdict.get('verdict')}, seed {verdict.get('seed')}"
    checks = verdict.get("checks", [])
    if checks:
        rows = tuple((c["verdict"], c["name"], c["reason"]) for c in checks)
        yield Table("checks", ("verdict", "check", "reason"), rows, tuple(STYLE.get(row[0], "") for row in rows))
    for check in checks:
        if check["verdict"] != "pass":
            yield from (f"  {check['name']} | {line}" for text in check["evidence"] for line in text.splitlines())
    for error in verdict.get("errors", []):
        where = f"{error['node']}: " if error.get("node") else ""
        first, *rest = str(error["message"]).splitlines() or [""]
        yield f"error: {where}{first} [{error['layer']}/{error['code']}]"
        yield from (f"  | {line}" for line in rest)
        if error.get("hint"):
            yield f"  hint: {error['hint']}"


def _nodes(nodes: list[dict[str, Any]]) -> Table:
    rows = tuple(
        (
            node["id"],
            node["kind"],
            node["ownership"],
            ", ".join(f"{origin['origin']} {origin['source']}" for origin in node["origins"]),
            str(node["identity"].get("peer_id") or ""),
            ", ".join(f"{port} {url}" for port, url in node["endpoints"].items()),
        )
        for node in nodes
    )
    return Table("nodes", ("node", "kind", "ownership", "origin", "identity", "endpoints"), rows)

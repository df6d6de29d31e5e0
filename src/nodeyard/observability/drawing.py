"""How tables are drawn: in colour on a terminal of any width, or as plain aligned lines. Returns text; prints nothing.

``rich`` is imported when something is drawn for a terminal, because importing it costs more than most commands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from nodeyard.observability.tables import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
GAP = "  "
LEAST = 12
"""No column of a table is folded below so many characters."""
MOST = 48
"""A word of more characters may be folded."""
RULE = "    \n    \n ── \n    \n    \n    \n    \n    \n"
"""A box in rich's notation: columns apart by blanks, a rule under the heads."""
STYLES = {"good": "green", "bad": "red", "warn": "yellow", "": ""}


def clean(text: str) -> str:
    """Text without characters that would move a terminal's cursor, change its colours or turn its direction."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", "    ").replace("\r\n", "\n"))


def width_of(text: str) -> int:
    """Columns that a line takes on a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def plain_lines(table: Table) -> tuple[str, ...]:
    """Aligned lines without colours and without truncation, for files, pipes and CI logs."""
    head = (table.title,) if table.title else ()
    if not table.rows:
        return (*head, "  (none)", *table.notes)
    widths = _natural(table)
    lines = [_joined(table.columns, widths)] if any(table.columns) else []
    for row in table.rows:
        lines += [_joined(cells, widths) for cells in _lines_of(row)]
    return (*head, *(f"  {line}" for line in lines), *table.notes)


def _natural(table: Table) -> list[int]:
    every = (table.columns, *table.rows)
    return [
        max(width_of(line) for row in every for line in clean(row[i]).split("\n")) for i in range(len(table.columns))
    ]


def _lines_of(row: Sequence[str]) -> Iterator[tuple[str, ...]]:
    cells = [clean(cell).split("\n") for cell in row]
    for number in range(max(len(cell) for cell in cells)):
        yield tuple(cell[number] if number < len(cell) else "" for cell in cells)


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - width_of(cell)) for cell, width in zip(cells, widths, strict=True))
    return GAP.join(padded).rstrip()


def terminal_text(tables: Sequence[Table], *, width: int, colour: bool = True) -> str:
    """Tables for a terminal of ``width`` columns: never wider, nothing cut off."""
    return drawn(
        *(block for table in tables for block in (terminal_table(table, width), "")), width=width, colour=colour
    )


def drawn(*blocks: RenderableType, width: int, colour: bool) -> str:
    """Rich blocks as text with escape sequences, or without where ``colour`` is off."""
    from rich.console import Console

    system = "standard" if colour else None
    console = Console(
        file=StringIO(), width=width, force_terminal=colour, color_system=system, legacy_windows=False,  # type: ignore[arg-type]
        highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    with console.capture() as captured:
        for block in blocks:
            console.print(block)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def terminal_table(table: Table, width: int) -> RenderableType:
    """A table as a rich block: a grid where it fits, then one without the columns that say the same in each row, then
    one that folds between words, else one card per row."""
    if not table.rows or _span(_natural(table)) <= width:
        return _grid(table, width)
    short = hoisted(table)
    if _span(_least(short)) <= width:
        return _grid(short, width)
    return _cards(table, width)


def hoisted(table: Table) -> Table:
    """The table without columns whose cells are all equal; what they say becomes one note."""
    same = [i for i in range(1, len(table.columns)) if len({row[i] for row in table.rows}) == 1]
    if len(table.rows) < 2 or not same:
        return table
    keep = [i for i in range(len(table.columns)) if i not in same]
    note = "all: " + ", ".join(f"{table.columns[i]} {' '.join(table.rows[0][i].split())}" for i in same)
    rows = tuple(tuple(row[i] for i in keep) for row in table.rows)
    return Table(table.title, tuple(table.columns[i] for i in keep), rows, table.styles, (note, *table.notes))


def _span(widths: Sequence[int]) -> int:
    return sum(widths) + (len(widths) - 1) * len(GAP)


def _least(table: Table) -> list[int]:
    """How narrow each column may become: its longest word, so that a URL stays whole; a very long one is folded."""
    words = (
        [width_of(w) for row in (table.columns, *table.rows) for w in row[i].split()] for i in range(len(table.columns))
    )
    return [min(n, max(LEAST, min(max(w, default=0), MOST))) for n, w in zip(_natural(table), words, strict=True)]


def _shared(table: Table, width: int) -> list[int]:
    """The width of each column: what it needs at least, and of what is left a share by what it would like to have."""
    natural, least = _natural(table), _least(table)
    left = max(0, width - _span(least))
    wanted = sum(natural) - sum(least)
    if wanted <= left:
        return natural
    shares = [low + (high - low) * left // wanted for high, low in zip(natural, least, strict=True)]
    rest = width - _span(shares)
    for i in sorted(range(len(shares)), key=lambda i: shares[i] - natural[i])[:rest]:
        shares[i] += 1
    return shares


def _grid(table: Table, width: int) -> RenderableType:
    from rich.box import Box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(box=Box(RULE), pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    for name, share in zip(table.columns, _shared(table, width) if table.rows else [], strict=False):
        grid.add_column(Text(name), overflow="fold", width=share)
    for number, row in enumerate(table.rows):
        style = STYLES[table.styles[number] if number < len(table.styles) else ""]
        grid.add_row(*(Text(clean(cell), style=style if i == 0 else "") for i, cell in enumerate(row)))
    blocks: list[RenderableType] = [Text(clean(table.title), style="bold")] if table.title else []
    blocks.append(grid if table.rows else Text("(none)", style="dim"))
    return Group(*blocks, *(Text(clean(note), style="dim") for note in table.notes))


def _cards(table: Table, width: int) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    blocks: list[RenderableType] = [Text(clean(table.title), style="bold", overflow="fold")] if table.title else []
    for number, row in enumerate(table.rows):
        style = STYLES[table.styles[number] if number < len(table.styles) else ""]
        blocks.append(Text(clean(row[0]), style=f"bold {style}".strip(), overflow="fold"))
        card = RichTable.grid(padding=(0, 2, 0, 0))
        card.add_column(style="dim", overflow="fold", max_width=max(LEAST, width // 3))
        card.add_column(overflow="fold")
        for name, cell in zip(table.columns[1:], row[1:], strict=True):
            card.add_row(Text(name), Text(clean(cell)))
        blocks.append(Padding(card, (0, 0, 0, 2)))
    return Group(*blocks, *(Text(clean(note), style="dim") for note in table.notes))

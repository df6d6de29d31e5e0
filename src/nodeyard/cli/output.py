"""Everything that the command line prints: tables, documents, errors. Results go to stdout, the rest to stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from nodeyard.errors.base import ExitStatus, InternalError, NodeyardError
from nodeyard.errors.validation import SpecInvalid

if TYPE_CHECKING:
    from nodeyard.observability.tables import Table

WIDEST = 160
"""Columns that a table takes at most on a terminal."""


def is_terminal(stream: TextIO) -> bool:
    """Whether people look at a stream as it is written."""
    return stream.isatty()


def print_json(document: Any) -> None:
    """One document on stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def print_tables(tables: Sequence[Table], stream: TextIO | None = None) -> None:
    """Tables for people: drawn on a terminal, plain lines elsewhere."""
    out = stream or sys.stdout
    click.echo(table_text(tables, out), file=out)


def table_text(tables: Sequence[Table], stream: TextIO) -> str:
    """The text of tables for a stream."""
    from nodeyard.observability.drawing import plain_lines, terminal_text

    if is_terminal(stream):
        return terminal_text(tables, width=min(shutil.get_terminal_size().columns, WIDEST)).rstrip("\n")
    return "\n".join(line for table in tables for line in plain_lines(table))


def say(text: str) -> None:
    """A line beside the result."""
    click.echo(text, err=True)


def show_usage_error(error: click.ClickException, *, as_json: bool) -> int:
    """An error of the command line itself, with where help is."""
    status = int(ExitStatus.USAGE)
    if as_json:
        record = {"layer": "validation", "code": "usage", "node": None, "message": error.format_message(), "hint": None}
        print_json({"exit_status": status, "errors": [record]})
        return status
    context = getattr(error, "ctx", None)
    say(f"error: {error.format_message()}")
    if context is not None:
        say(f"  hint: '{context.command_path} --help' says what there is")
    return status


def show_error(error: BaseException, *, as_json: bool) -> int:
    """A typed error for people, or as a document; a defect leaves its traceback in a file. Returns the exit status."""
    known = error if isinstance(error, NodeyardError) else _defect(error)
    if as_json:
        remedy = {"remedy": known.remedy} if known.remedy else {}
        print_json({"exit_status": int(known.exit_status), "errors": error_records(known), **remedy})
    else:
        if known.remedy:
            click.echo(known.remedy, nl=False)  # a result: it can be piped to what applies it
        for line in error_lines(known):
            say(line)
    return int(known.exit_status)


def error_lines(error: NodeyardError) -> list[str]:
    """An error for people: problems of input stand on lines of their own, so that editors find their places."""
    if isinstance(error, SpecInvalid):
        lines = [str(problem) for problem in error.problems]
        return lines + ([f"  hint: {error.hint}"] if error.hint else [])
    first, *rest = str(error).splitlines()
    return [f"error: {first} [{error.layer}/{error.code}]", *rest]


def error_records(error: NodeyardError) -> list[dict[str, Any]]:
    """An error as ``verdict.json`` has it; each problem of input is one."""
    from nodeyard.domain.verdict import ErrorRecord

    if not isinstance(error, SpecInvalid):
        record = ErrorRecord.of(error)
        return [{"layer": record.layer, "code": record.code, "node": record.node, "message": record.message,
                 "hint": record.hint}]  # fmt: skip
    return [
        {"layer": error.layer, "code": error.code, "node": None, "message": str(p), "hint": p.hint or error.hint,
         "file": p.file, "line": p.line, "column": p.column, "path": p.path}
        for p in error.problems
    ]  # fmt: skip


def _defect(error: BaseException) -> InternalError:
    """A defect as an error; its traceback goes to a file, because it says nothing to whoever uses Nodeyard."""
    where: tuple[str, ...] = ()
    try:
        handle, name = tempfile.mkstemp(prefix="nodeyard-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)))
        where = (f"its traceback is in {Path(name)}",)
    except OSError:
        where = ()
    return InternalError(f"{type(error).__name__}: {error}", evidence=where, hint="please report this defect")

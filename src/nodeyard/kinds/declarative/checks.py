"""What is wrong with a kind file whose model is right: ports, templates, expressions, patterns, each with its place.

Pure. Templates are checked twice: every variable against those that there are, and a trial rendering with samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from nodeyard.domain.document import Document, Path_, nearest
from nodeyard.domain.sources import Spec
from nodeyard.errors.validation import Problem
from nodeyard.kinds.declarative import picking, samples, variables
from nodeyard.kinds.declarative.model import Ask, BlockAsk, Check, KindFile, Pick, When
from nodeyard.kinds.declarative.templates import (
    Flaw,
    Shape,
    TemplateWrong,
    compiled,
    compiled_json,
    flaws,
    rendered_json,
)

Found = Iterator[Problem]
DECLARE = "declare it under 'config' with its default"


def problems(file: KindFile, document: Document) -> list[Problem]:
    """Everything, in no order."""
    return list(_Checks(file, document).all())


class _Checks:
    def __init__(self, file: KindFile, document: Document) -> None:
        self.file, self.document = file, document

    def all(self) -> Found:
        if self.file.api_port is not None:
            yield from self._port(self.file.api_port, ("api_port",))
        if self.file.block is not None and self.file.height is None:
            yield self.document.problem(("block",), "'block' needs 'height', which says how many there are")
        yield from self._launch()
        for path, ask in self.file.asks():
            yield from self._ask(ask, path)

    def _launch(self) -> Found:
        launch = self.file.launch
        if launch is None:
            if self.file.config or self.file.open_config:
                yield self.document.problem(("config",), "settings are of no use without 'launch'")
            return
        shapes, trials = variables.launch_shapes(self.file), samples.launches(self.file)
        for position, arg in enumerate(launch.args):
            mapping = isinstance(self.document.value["launch"]["args"][position], dict)
            at: Path_ = ("launch", "args", position, *(("arg",) if mapping else ()))
            tried = [{**trial, **more} for trial in trials for more in variables.each_of(arg, trial)]
            yield from self._template(at, arg.arg, variables.each_shapes(arg, shapes), tried)
        places: list[tuple[Path_, str]] = [(("launch", "env", name), value) for name, value in launch.env.items()]
        for path, file in launch.files.items():
            if path.startswith("/") or ".." in path.split("/"):
                yield self.document.problem(("launch", "files", path), "a file's path stays below the config folder")
            inner = ("launch", "files", path, "content")
            whole = self.document.value["launch"]["files"][path]
            places.append((inner if isinstance(whole, dict) else inner[:-1], file.content))
        for place, text in places:
            yield from self._template(place, text, shapes, trials)
        yield from self._pattern(launch.version_pattern, ("launch", "version_pattern"), groups=1)

    def _ask(self, ask: Ask, path: Path_) -> Found:
        if ask.port is not None:
            yield from self._port(ask.port, (*path, "port"))
        if isinstance(ask, Check) and ask.connect is not None:
            yield from self._port(ask.connect, (*path, "connect"))
        more = variables.CALL_VARIABLES.get(tuple(str(part) for part in path), ())
        shapes, trials = variables.ask_shapes(self.file, more), [samples.ask(self.file, more)]
        for name in ("get", "post", "put", "delete", "path", "tcp", "body"):
            text = getattr(ask, name)
            if text is not None:
                yield from self._template((*path, name), text, shapes, trials)
        for position, word in enumerate(ask.command or ()):
            yield from self._template((*path, "command", position), word, shapes, trials)
        for name, value in (("json", ask.json_), ("params", ask.params)):
            yield from self._json((*path, name), value, shapes, trials)
        if ask.log is not None:
            yield from self._pattern(ask.log, (*path, "log"))
        yield from self._picks(ask, path)

    def _picks(self, ask: Spec, path: Path_) -> Found:
        """Expressions and patterns of a question, and of what it says of its answers."""
        for name in type(ask).model_fields:
            value = getattr(ask, name)
            if value is None:
                continue
            if isinstance(value, When):
                yield from self._picks(value, (*path, name))
            elif name == "match":
                yield from self._pattern(value, (*path, name))
            elif name in ("find", "revision") or (isinstance(ask, BlockAsk) and name in ("hash", "state")):
                problem = picking.expression_problem(value)
                if problem:
                    yield self.document.problem((*path, name), problem, "see jmespath.org")
        if isinstance(ask, Pick) and ask.way == "tcp" and ask.find is not None:
            hint = "take what is meant by 'match'"
            yield self.document.problem((*path, "find"), "an answer over TCP is text, not JSON", hint)

    def _pattern(self, text: str, path: Path_, *, groups: int | None = None) -> Found:
        problem = picking.pattern_problem(text)
        if problem:
            yield self.document.problem(path, problem)
        elif groups is not None and picking.group_count(text) != groups:
            yield self.document.problem(path, f"the pattern should have {groups} group, in round brackets")

    def _port(self, name: str, path: Path_) -> Found:
        if name not in self.file.ports:
            yield self.document.problem(path, f"there is no port '{name}'", nearest(name, self.file.ports))

    def _json(self, path: Path_, value: Any, shapes: Mapping[str, Shape], trials: list[dict[str, Any]]) -> Found:
        if isinstance(value, dict | list):
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                yield from self._json((*path, key), part, shapes, trials)
        elif isinstance(value, str):
            yield from self._template(path, value, shapes, trials, json=True)

    def _template(
        self, path: Path_, text: str, shapes: Mapping[str, Shape], trials: list[dict[str, Any]], *, json: bool = False
    ) -> Found:
        try:
            made = compiled_json(text) if json else compiled(text)
            if not hasattr(made, "fixed") or not made.fixed:
                unknown = flaws(text, shapes)
                yield from (self._flaw(path, text, flaw) for flaw in unknown)
                failed = (flaw for trial in trials if (flaw := _trial(made, trial)) is not None)
                if not unknown and (first := next(failed, None)) is not None:
                    yield self._flaw(path, text, first)
        except TemplateWrong as wrong:
            yield self._flaw(path, text, wrong.flaw)

    def _flaw(self, path: Path_, text: str, flaw: Flaw) -> Problem:
        """A flaw at its own line and, where its word can be seen there, its own column."""
        line, column = self.document.text_position(path, flaw.line, flaw.word)
        hint = flaw.hint or (DECLARE if flaw.message.startswith("'config' has no") else "")
        problem = self.document.problem(path, flaw.message, hint)
        return Problem(problem.file, line, column, problem.path, problem.message, problem.hint)


def _trial(made: Any, trial: Mapping[str, Any]) -> Flaw | None:
    """What is wrong with a template that these samples show."""
    try:
        rendered_json(made, trial)
    except TemplateWrong as wrong:
        tried = "" if "seeds" not in trial else f"tried for a node with {len(trial['seeds']) or 'no'} seeds"
        return replace(wrong.flaw, hint=wrong.flaw.hint or tried)
    return None

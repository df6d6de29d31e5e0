"""Templates: a sandboxed, strict engine, and the check of a template against the variables that it may use.

A text is compiled once, when its file is read. Nothing that a template can reach opens files, reads the environment or
reveals a secret. Must not live here: which variables there are (``variables``).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nodeyard.domain.document import nearest

SIGNS = ("{{", "{%", "{#")
RETURN = "\ufdd0"
"""Stands for a carriage return while Jinja has the text: it would drop those of line ends, which protocols need."""

RAW = "doubled braces that are no template stand between {% raw %} and {% endraw %}"

Shape = object
"""What a variable is like: ``TEXT``, ``ANY``, a mapping of names to shapes, or a list with the shape of its items."""
TEXT, ANY = "text", "any"


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong with a template; ``line`` counts from 1 within it, ``word`` is what stands there."""

    line: int
    message: str
    hint: str = ""
    word: str = ""


class TemplateWrong(Exception):
    """A template that cannot be rendered; carries what is wrong."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


@dataclass(frozen=True)
class Template:
    """One compiled text. A text without signs stands as it is."""

    source: str
    compiled: jinja2.Template | None

    @property
    def fixed(self) -> bool:
        return self.compiled is None

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text. Raises ``TemplateWrong`` for what only these variables show."""
        if self.compiled is None:
            return self.source
        try:
            return self.compiled.render(variables).replace(RETURN, "\r")
        except Exception as error:  # noqa: BLE001 - an expression of the file may raise anything; each is the file's fault
            raise TemplateWrong(Flaw(_line_of(error), _said(error))) from None


@dataclass(frozen=True)
class Expression:
    """One expression that stands alone in a JSON value: it keeps its type."""

    source: str
    compiled: Any

    def render(self, variables: Mapping[str, Any]) -> Any:
        """The value. Raises ``TemplateWrong``."""
        try:
            found = self.compiled(**variables)
        except Exception as error:  # noqa: BLE001 - as for templates
            raise TemplateWrong(Flaw(1, _said(error))) from None
        if isinstance(found, jinja2.Undefined):
            raise TemplateWrong(Flaw(1, f"{self.source} gives nothing"))
        return found


def variables_of(source: str) -> frozenset[str]:
    """The variables that a template refers to. Raises ``TemplateWrong``."""
    if compiled(source).fixed:
        return frozenset()
    return frozenset(meta.find_undeclared_variables(_engine().parse(source)))


ALONE = re.compile(r"\s*\{\{(?P<expression>((?!\}\}|\{\{).)*)\}\}\s*", re.DOTALL)


def compiled_json(value: Any) -> Any:
    """A JSON value with every text in it compiled. Raises ``TemplateWrong``."""
    if isinstance(value, dict):
        return {key: compiled_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [compiled_json(part) for part in value]
    if not isinstance(value, str):
        return value
    made = compiled(value)
    alone = ALONE.fullmatch(value)
    if alone is None:
        return made
    return Expression(value, _engine().compile_expression(alone["expression"], undefined_to_none=False))


def rendered_json(value: Any, variables: Mapping[str, Any]) -> Any:
    """The value that ``compiled_json`` made, with what its templates say now. Raises ``TemplateWrong``."""
    if isinstance(value, Template | Expression):
        return value.render(variables)
    if isinstance(value, dict):
        return {key: rendered_json(part, variables) for key, part in value.items()}
    return [rendered_json(part, variables) for part in value] if isinstance(value, list) else value


def compiled(source: str) -> Template:
    """Raises ``TemplateWrong`` when the text is no template."""
    if not any(sign in source for sign in SIGNS):
        return Template(source, None)
    try:
        return Template(source, _engine().from_string(source.replace("\r", RETURN)))
    except jinja2.TemplateSyntaxError as error:
        said = (error.message or "").rstrip(".")
        hint = "" if said.startswith(("No filter", "No test")) else RAW
        raise TemplateWrong(
            Flaw(error.lineno or 1, f"not a valid template: {said[:1].lower()}{said[1:]}", hint)
        ) from None


def flaws(source: str, shapes: Mapping[str, Shape]) -> list[Flaw]:
    """Every variable of a template that is not among ``shapes``."""
    engine = _engine()
    return list(_Walk(engine.parse(source)).problems({**shapes, **dict.fromkeys(engine.globals, ANY)}))


@cache
def _engine() -> ImmutableSandboxedEnvironment:
    engine = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_spelled,
    )
    engine.globals = {"range": engine.globals["range"]}
    engine.filters |= {
        "json": lambda value: json.dumps(value, ensure_ascii=False),
        "from_json": json.loads,
        "hex": lambda value: f"0x{int(value):x}",
        "base64": lambda value: base64.b64encode(str(value).encode()).decode(),
        "bytes": lambda value: len(str(value).encode()),
        "urlencode": lambda value: quote(str(value), safe=""),
    }
    return engine


def _spelled(value: Any) -> Any:
    """What stands in a text for a value: switches as most configuration files spell them, nothing for null."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value


def _said(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error)
    if isinstance(error, jinja2.UndefinedError):
        return text
    return f"the template cannot be rendered: {text or type(error).__name__}"


def _line_of(error: BaseException) -> int:
    """The line of the template in which an error was raised; Jinja gives its frames the file ``<template>``."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


class _Walk:
    """Follows names through a parsed template, with what loops and assignments bind."""

    def __init__(self, tree: nodes.Template) -> None:
        self._tree = tree

    def problems(self, shapes: Mapping[str, Shape]) -> Iterator[Flaw]:
        yield from self._visit(self._tree, dict(shapes))

    def _visit(self, node: nodes.Node, scope: dict[str, Shape]) -> Iterator[Flaw]:
        if isinstance(node, nodes.For):
            yield from self._loop(node, scope)
        elif isinstance(node, nodes.Assign):
            yield from self._visit(node.node, scope)
            scope |= dict.fromkeys(_names(node.target), self._shape(node.node, scope))
        elif isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Name):
            yield from self._reference(node, scope)
        elif isinstance(node, nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends):
            yield Flaw(node.lineno, "a template cannot read other templates")
        else:
            inner = dict(scope) if isinstance(node, nodes.Macro | nodes.CallBlock | nodes.With | nodes.Scope) else scope
            if isinstance(node, nodes.Macro):
                scope[node.name] = ANY
                inner |= dict.fromkeys((argument.name for argument in node.args), ANY)
            if isinstance(node, nodes.With):
                inner |= {name: ANY for target in node.targets for name in _names(target)}
            for child in node.iter_child_nodes():
                yield from self._visit(child, inner)

    def _loop(self, node: nodes.For, scope: dict[str, Shape]) -> Iterator[Flaw]:
        yield from self._visit(node.iter, scope)
        over = self._shape(node.iter, scope)
        names = _names(node.target)
        item: Shape = over[0] if isinstance(over, list) and len(names) == 1 else ANY
        inner = {**scope, **dict.fromkeys(names, item), "loop": ANY}
        for part in (*([node.test] if node.test else []), *node.body):
            yield from self._visit(part, inner)
        for part in node.else_:
            yield from self._visit(part, scope)

    def _reference(self, node: nodes.Node, scope: Mapping[str, Shape]) -> Iterator[Flaw]:
        if isinstance(node, nodes.Name):
            if node.ctx == "load" and node.name not in scope:
                known = set(scope) - set(_engine().globals)
                yield Flaw(node.lineno, f"there is no variable '{node.name}'", nearest(node.name, known), node.name)
            return
        assert isinstance(node, nodes.Getattr | nodes.Getitem)
        before = list(self._visit(node.node, dict(scope)))
        yield from before
        part = node.attr if isinstance(node, nodes.Getattr) else _constant(node.arg)
        if isinstance(node, nodes.Getitem):
            yield from self._visit(node.arg, dict(scope))
        owner = self._shape(node.node, scope)
        if not before and isinstance(owner, Mapping) and isinstance(part, str) and not _has(owner, part):
            what = _written(node.node)
            yield Flaw(node.lineno, f"'{what}' has no '{part}'", nearest(part, owner), part)

    def _shape(self, node: nodes.Node, scope: Mapping[str, Shape]) -> Shape:
        if isinstance(node, nodes.Name):
            return scope.get(node.name, ANY)
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            owner = self._shape(node.node, scope)
            part = node.attr if isinstance(node, nodes.Getattr) else _constant(node.arg)
            if isinstance(owner, list):
                return owner[0] if isinstance(part, int) or part is None else ANY
            if isinstance(owner, Mapping):
                return owner.get(part, ANY) if isinstance(part, str) else ANY
        return ANY


def _has(owner: Mapping[str, Shape], part: str) -> bool:
    """Whether a mapping has a name, or is a text beside and the name is a method of texts."""
    return part in owner or (hasattr(str, part) if "host" in owner else hasattr(dict, part))


def _constant(node: nodes.Node) -> str | int | None:
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str | int) else None


def _names(target: nodes.Node) -> list[str]:
    return [name.name for name in (target, *target.find_all(nodes.Name)) if isinstance(name, nodes.Name)]


def _written(node: nodes.Node) -> str:
    """A reference as it is written, for messages."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_written(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        return f"{_written(node.node)}[{_constant(node.arg)}]"
    return "this"

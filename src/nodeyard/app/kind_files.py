"""Kinds that files describe: those that packages ship, and those that a scenario names by a path.

Lives here: finding and reading such files. What may stand in one is a matter of its format, which is a plugin. Must not
live here: loading other plugins (``registry``), and what is wrong with a scenario beside (``spec_checks``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeyard.domain.document import nearest
from nodeyard.errors.validation import PluginInvalid, Problem, SpecInvalid

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from nodeyard.app.registry import Plugins, Registry
    from nodeyard.ports.kind import NodeKind
    from nodeyard.ports.plugins import KindFormat

GROUP = "nodeyard.kind_files"
Maker = Callable[[], "NodeKind"]


def is_file_word(word: str) -> bool:
    """Whether a scenario's ``kind`` is the path of a file: it has a slash, or the suffix of a file."""
    return "/" in word or "." in word


def makers(registry: Registry, points: Iterable[EntryPoint]) -> dict[str, Maker]:
    """The kinds that installed packages describe by files, by the names of their entry points, those of ``GROUP``."""
    return {point.name: _shipped(point, registry) for point in points}


def _shipped(point: EntryPoint, registry: Registry) -> Maker:
    def make() -> NodeKind:
        if point.name in registry.kinds:
            raise PluginInvalid(f"two packages register the kind '{point.name}'", hint="remove one of them")
        folder = files(point.value)
        for suffix in registry.kind_formats:
            file = folder / f"{point.name}.{suffix}"
            if file.is_file():
                return _checked(point, file, registry.kind_formats[suffix])
        said = f"the package '{point.value}' has no file {point.name}.{' or .'.join(registry.kind_formats)}"
        raise PluginInvalid(said, hint="reinstall or remove the package that provides it")

    return make


def _checked(point: EntryPoint, file: Traversable, format_: KindFormat) -> NodeKind:
    try:
        kind = read_kind(file.read_text(encoding="utf-8"), file.name, format_)
    except SpecInvalid as error:
        said = f"the kind file {file.name} of package '{point.value}' has problems: {error.problems[0]}"
        raise PluginInvalid(said, evidence=error.evidence, hint="update or remove that package") from error
    if kind.name != point.name:
        raise PluginInvalid(f"the kind file of '{point.name}' calls itself '{kind.name}'", hint="give it its name")
    return kind


def read_kind(text: str, file: str, format_: KindFormat) -> NodeKind:
    """The kind that a text describes; ``file`` is what messages call it. Raises ``SpecInvalid`` with every problem."""
    from nodeyard.app.reading import parsed_document, validated  # a reaper needs the registry, and reads no file

    parsed = parsed_document(text, file, what="a kind file")
    written = validated(format_.model, parsed, what="a kind file")
    return format_.kind(written, parsed.document)


def kind_schema(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of kind files; of several formats, whichever fits. Editors complete and check by it."""
    models = {format_.model for format_ in registry.kind_formats.usable().values()}
    made = [model.model_json_schema(by_alias=True) for model in sorted(models, key=lambda model: model.__name__)]
    whole = made[0] if len(made) == 1 else {"anyOf": made}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "title": "Nodeyard kind"}


def named_by(words: Mapping[str, tuple[str, int, int, str]], registry: Registry, base: Path) -> Registry:
    """The registry with every kind whose file a scenario names. ``words`` say where: file, line, column, path.

    A kind is known by the path and by the name in its file. What is wrong with a file stands in its place among the
    kinds, so that it is told together with all else.
    """
    more: dict[str, Maker] = {}
    taken: dict[str, str] = {}
    read: dict[Path, NodeKind] = {}
    for word, place in words.items():
        path = (base / word).resolve()
        try:
            kind = read[path] if path in read else read_file(word, registry.kind_formats, base)
            if path not in read:
                _check_name(kind.name, word, taken, registry)
        except SpecInvalid as error:
            more[word] = _refuse(SpecInvalid([_placed(problem, place) for problem in error.problems]))
        else:
            taken[kind.name], read[path] = word, kind
            more |= {word: _given(kind), kind.name: _given(kind)}
    return registry.with_kinds(more)


def read_file(
    word: str, formats: Plugins[KindFormat], base: Path, *, base_is: str = "the scenario's folder"
) -> NodeKind:
    """The kind in the file at a path from ``base``, which messages call ``base_is``.

    Raises ``SpecInvalid``; a problem without a file is one of the path itself.
    """
    from nodeyard.app.reading import read_text

    path = base / word
    suffix = path.suffix.removeprefix(".")
    if suffix not in formats:
        known = ", ".join(f".{name}" for name in formats)
        raise SpecInvalid([Problem(message=f"'{word}' is no kind file", hint=f"kind files end in {known}")])
    if not path.exists():
        close = nearest(path.name, _beside(path, suffix))
        hint = close if "did you mean" in close else f"the path is relative to {base_is}"
        raise SpecInvalid([Problem(message=f"there is no kind file '{word}'", hint=hint)])
    return read_kind(read_text(path, "a kind file", shown=word), word, formats[suffix])


def _check_name(name: str, word: str, taken: Mapping[str, str], registry: Registry) -> None:
    if name in taken:
        raise SpecInvalid([Problem(message=f"'{taken[name]}' and '{word}' both describe a kind '{name}'")])
    if name in registry.kinds:
        said = f"the kind file '{word}' calls itself '{name}', which is an installed kind"
        raise SpecInvalid([Problem(message=said, hint="give it another name")])


def _placed(problem: Problem, place: tuple[str, int, int, str]) -> Problem:
    """A problem of the path itself stands where the scenario names it."""
    return problem if problem.file else Problem(*place, problem.message, problem.hint)


def _beside(path: Path, suffix: str) -> Iterator[str]:
    try:
        yield from (file.name for file in path.parent.glob(f"*.{suffix}"))
    except OSError:
        return


def _given(kind: NodeKind) -> Maker:
    return lambda: kind


def _refuse(error: SpecInvalid) -> Maker:
    def refuse() -> NodeKind:
        raise error

    return refuse

"""Plugins by name, from entry points; each is loaded when it is first asked for: a broken one harms nobody else.

Lives here: finding, loading, refusing. Must not live here: what a scenario may say of them (``scenario_model``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nodeyard.app import kind_files
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.validation import PluginInvalid, SpecInvalid

if TYPE_CHECKING:
    from nodeyard.ports.kind import NodeKind
    from nodeyard.ports.ledger import Remover
    from nodeyard.ports.plugins import AttachPlugin, DeployerPlugin, KindFormat
    from nodeyard.ports.transport import Transport
    from nodeyard.runtime.steps.protocols import Expectation, Fault, Operation, Workload

T = TypeVar("T")
EXPECT = "expect"
STRUCTURE = (EXPECT, "run", "parallel")
"""The step words that no operation has: a check of an expectation, a phase of traffic, a group of steps."""


class Plugins(Mapping[str, T], Generic[T]):
    """The plugins of one group. ``[name]`` loads; raises ``KeyError`` for an unknown name, ``PluginInvalid``."""

    def __init__(self, group: str, makers: Mapping[str, Callable[[], T]], needs: tuple[str, ...] = ()) -> None:
        self.group = group
        self._makers = dict(sorted(makers.items()))
        self._needs = needs
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._made:
            self._made[name] = self._load(name, self._makers[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def usable(self) -> dict[str, T]:
        """All that can be loaded."""
        return {name: plugin for name in self if not isinstance(plugin := self.attempt(name), NodeyardError)}

    def attempt(self, name: str) -> T | NodeyardError:
        """A plugin, or what is wrong with it."""
        try:
            return self[name]
        except (PluginInvalid, SpecInvalid) as error:
            return error

    def among(self, words: Collection[str]) -> Plugins[T]:
        """Those of these names. What one of the two loads, both have."""
        found = Plugins(self.group, {name: make for name, make in self._makers.items() if name in words}, self._needs)
        found._made = self._made
        return found

    def beside(self, makers: Mapping[str, Callable[[], T]]) -> Plugins[T]:
        """These and others; what was loaded stays."""
        made = Plugins(self.group, {**self._makers, **makers}, self._needs)
        made._made.update((name, plugin) for name, plugin in self._made.items() if name not in makers)
        return made

    def _load(self, name: str, make: Callable[[], T]) -> T:
        what = f"the plugin '{name}' of group '{self.group}'"
        try:
            made = make()
        except NodeyardError:
            raise
        except Exception as error:
            raise PluginInvalid(
                f"{what} cannot be loaded: {type(error).__name__}: {error}",
                hint="reinstall or remove the package that provides it",
            ) from error
        missing = [attribute for attribute in self._needs if not hasattr(made, attribute)]
        if missing:
            raise PluginInvalid(
                f"{what} lacks {', '.join(missing)}", hint="docs/extending.md says what a plugin of this group needs"
            )
        return made


@dataclass(frozen=True, eq=False)
class Registry:
    """Everything that is installed, by the words of a scenario."""

    kinds: Plugins[NodeKind]
    kind_formats: Plugins[KindFormat]
    deployers: Plugins[DeployerPlugin]
    attach: Plugins[AttachPlugin]
    operations: Plugins[Operation]
    workloads: Plugins[Workload]
    faults: Plugins[Fault]
    expectations: Plugins[Expectation]

    def with_kinds(self, makers: Mapping[str, Callable[[], NodeKind]]) -> Registry:
        """The same with more kinds."""
        return replace(self, kinds=self.kinds.beside(makers)) if makers else self

    def among(self, words: Collection[str]) -> Registry:
        """The same without the plugins whose names are none of these words; every kind stays."""
        named = {name for group in NARROWED for name in getattr(self, group) if name in words}
        return _among(self, frozenset(named))

    def removers(self, transport: Transport) -> Callable[[str], Remover | None]:
        """Gives the remover of ``GROUP:NAME``, loading that plugin alone; ``None`` where there is none."""

        @cache
        def find(by: str) -> Remover | None:
            group, _, name = by.partition(":")
            if group == "deployer" and name in self.deployers:
                return self.deployers[name].remover()
            if group == "attach" and name in self.attach:
                return self.attach[name].remover()
            if group == "kind" and name in self.kinds:
                make = getattr(self.kinds[name], "remover", None)
                remover: Remover | None = make(transport) if make is not None else None
                return remover
            return None

        return find


GROUPS: Mapping[str, tuple[str, ...]] = {
    "kinds": ("name", "ports", "api_port", "program", "roles", "protocols", "matters", "config_problems", "material",
              "render", "client"),
    "kind_formats": ("summary", "model", "kind"),
    "deployers": ("name", "summary", "options", "capabilities", "create", "remover"),
    "attach": ("name", "summary", "options", "capabilities", "create", "remover"),
    "operations": ("word", "summary", "options", "requires", "run"),
    "workloads": ("word", "summary", "options", "requires", "run"),
    "faults": ("word", "summary", "options", "disables", "lasts", "requires", "guard"),
    "expectations": ("word", "summary", "options", "from_record", "requires", "check"),
}  # fmt: skip
"""The entry-point groups ``nodeyard.GROUP`` and what a plugin of each must have."""


NARROWED = tuple(group for group in GROUPS if group not in ("kinds", "kind_formats"))


@lru_cache(maxsize=64)
def _among(registry: Registry, names: frozenset[str]) -> Registry:
    """One object for the same names, so that what is made from it is made once."""
    return replace(registry, **{group: getattr(registry, group).among(names) for group in NARROWED})


@cache
def installed() -> Registry:
    """What the packages of this environment register."""
    points: Any = entry_points()  # once for all groups, since it takes a look at each package
    registry = _registry({group: _found(group, needs, points) for group, needs in GROUPS.items()})
    return registry.with_kinds(kind_files.makers(registry, points.select(group=kind_files.GROUP)))


def registry_of(**groups: Mapping[str, Callable[[], Any]]) -> Registry:
    """A registry of given makers, by group; for tests, and for embedding without entry points."""
    return _registry(
        {group: Plugins(f"nodeyard.{group}", groups.get(group, {}), needs) for group, needs in GROUPS.items()}
    )


def _registry(groups: Mapping[str, Plugins[Any]]) -> Registry:
    return Registry(**groups)


def _found(group: str, needs: tuple[str, ...], points: Any) -> Plugins[Any]:
    makers: dict[str, Callable[[], Any]] = {}
    places: dict[str, str] = {}
    for point in points.select(group=f"nodeyard.{group}"):
        if point.name in makers and places[point.name] != point.value:
            makers[point.name] = _refuse(point, places[point.name])
            continue
        places[point.name] = point.value
        makers[point.name] = _maker(point)
    return Plugins(f"nodeyard.{group}", makers, needs)


def _maker(point: EntryPoint) -> Callable[[], Any]:
    def make() -> Any:
        return point.load()()

    return make


def _refuse(point: EntryPoint, other: str) -> Callable[[], Any]:
    def refuse() -> Any:
        raise PluginInvalid(
            f"two packages register '{point.name}' in '{point.group}': {other} and {point.value}",
            hint="remove one of the two packages",
        )

    return refuse

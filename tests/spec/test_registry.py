"""Plugins by entry point: loaded when asked for, refused when broken, and no harm to the others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodeyard.app.registry import GROUPS, Plugins, installed, registry_of
from nodeyard.app.scenario_model import scenario_model
from nodeyard.app.spec_loader import parse_scenario
from nodeyard.errors.validation import PluginInvalid, SpecInvalid
from nodeyard.kinds.etcd import EtcdKind
from nodeyard.providers.deployer.local import LocalPlugin

SCENARIO = "nodeyard: 1\nkind: KIND\nsource: {mode: managed, deployer: {type: TYPE}, nodes: {count: 1}}\n"


class Good:
    name = "good"


def broken() -> Any:
    raise ImportError("no module named 'libfoo'")


def test_a_plugin_is_made_when_it_is_first_asked_for_and_once() -> None:
    made: list[str] = []

    def make() -> Good:
        made.append("good")
        return Good()

    plugins = Plugins("nodeyard.kinds", {"good": make, "broken": broken}, ("name",))
    assert (list(plugins), len(plugins), "good" in plugins, "other" in plugins) == (["broken", "good"], 2, True, False)
    assert made == []
    assert plugins["good"] is plugins["good"]
    assert made == ["good"]


def test_a_broken_plugin_is_a_typed_error_and_harms_no_other() -> None:
    plugins = Plugins("nodeyard.kinds", {"good": Good, "broken": broken}, ("name",))
    with pytest.raises(PluginInvalid) as caught:
        plugins["broken"]
    assert caught.value.message == (
        "the plugin 'broken' of group 'nodeyard.kinds' cannot be loaded: ImportError: no module named 'libfoo'"
    )
    assert caught.value.hint == "reinstall or remove the package that provides it"
    assert isinstance(plugins.attempt("broken"), PluginInvalid)
    assert list(plugins.usable()) == ["good"]


def test_a_plugin_that_lacks_attributes_is_refused_with_all_of_them() -> None:
    plugins = Plugins("nodeyard.kinds", {"good": Good}, ("name", "ports", "render"))
    with pytest.raises(PluginInvalid, match=r"the plugin 'good' of group 'nodeyard.kinds' lacks ports, render"):
        plugins["good"]


def test_an_unknown_name_is_a_key_error() -> None:
    plugins: Plugins[Good] = Plugins("nodeyard.kinds", {})
    with pytest.raises(KeyError):
        plugins["good"]
    assert plugins.usable() == {}


def test_every_built_in_plugin_loads() -> None:
    found = installed()
    for group in GROUPS:
        plugins = getattr(found, group)
        assert len(plugins) > 0
        assert list(plugins.usable()) == list(plugins)


@pytest.mark.parametrize("maker", [broken, Good], ids=["fails", "lacks"])
def test_a_broken_kind_is_a_problem_of_the_scenario_that_names_it(maker: Callable[[], Any]) -> None:
    found = registry_of(kinds={"etcd": EtcdKind, "bad": maker}, deployers={"local": LocalPlugin})
    text = SCENARIO.replace("TYPE", "local")
    parse_scenario(text.replace("KIND", "etcd"), Path("s.yaml"), found, {})
    with pytest.raises(SpecInvalid) as caught:
        parse_scenario(text.replace("KIND", "bad"), Path("s.yaml"), found, {})
    [problem] = caught.value.problems
    assert problem.path == "kind"
    assert "the plugin 'bad' of group 'nodeyard.kinds'" in problem.message


def test_a_broken_deployer_is_told_where_it_is_named_and_harms_no_other() -> None:
    found = registry_of(kinds={"etcd": EtcdKind}, deployers={"local": LocalPlugin, "bad": broken})
    text = SCENARIO.replace("KIND", "etcd")
    parse_scenario(text.replace("TYPE", "local"), Path("s.yaml"), found, {})
    with pytest.raises(SpecInvalid) as caught:
        parse_scenario(text.replace("TYPE", "bad"), Path("s.yaml"), found, {})
    assert [str(problem) for problem in caught.value.problems] == [
        "s.yaml:3:36: source.deployer.type: the plugin 'bad' of group 'nodeyard.deployers' cannot be loaded: "
        "ImportError: no module named 'libfoo' (reinstall or remove the package that provides it)"
    ]


def test_an_operation_must_not_take_the_word_for_checks() -> None:
    class Expect:
        word, summary, options, requires, run = "expect", "", dict, None, None

    with pytest.raises(PluginInvalid, match="an operation is called 'expect'"):
        scenario_model(registry_of(operations={"expect": Expect}))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs packages that register plugins, for this test alone."""
    monkeypatch.syspath_prepend(str(tmp_path))
    installed.cache_clear()

    def install(package: str, group: str, name: str, value: str) -> None:
        folder = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[nodeyard.{group}]\n{name} = {value}\n")
        module = value.partition(":")[0]
        (tmp_path / f"{module}.py").write_text("class Thing:\n    name = 'thing'\n")

    yield install  # type: ignore[misc]
    installed.cache_clear()
    for module in [name for name in sys.modules if name.startswith("planted_")]:
        del sys.modules[module]


def test_two_packages_with_one_name_are_refused_and_the_others_work(site: Callable[..., None]) -> None:
    site("planted-one", "kinds", "thing", "planted_one:Thing")
    site("planted-two", "kinds", "thing", "planted_two:Thing")
    found = installed()
    with pytest.raises(PluginInvalid) as caught:
        found.kinds["thing"]
    assert caught.value.message.startswith("two packages register 'thing' in 'nodeyard.kinds': ")
    assert "planted_one:Thing" in caught.value.message
    assert "planted_two:Thing" in caught.value.message
    assert found.kinds["etcd"].name == "etcd"


@pytest.mark.parametrize("value", ["planted_none:Missing", "planted_bad-name:Thing", "planted_only"])
def test_an_entry_point_that_leads_nowhere_is_refused_when_asked_for(site: Callable[..., None], value: str) -> None:
    site("planted-bad", "attach", "bad", value)
    found = installed()
    assert "bad" in found.attach
    assert isinstance(found.attach.attempt("bad"), PluginInvalid)
    assert set(found.attach.usable()) == set(found.attach) - {"bad"}


def test_finding_plugins_imports_none_of_them(site: Callable[..., None]) -> None:
    site("planted-lazy", "deployers", "lazy", "planted_lazy:Thing")
    assert "lazy" in installed().deployers
    assert "planted_lazy" not in sys.modules


def test_removers_load_the_one_plugin_that_is_asked_for() -> None:
    found = registry_of(kinds={"etcd": EtcdKind, "bad": broken}, deployers={"local": LocalPlugin, "bad": broken})
    find = found.removers(None)  # type: ignore[arg-type]
    assert find("deployer:local") is find("deployer:local")
    assert find("kind:etcd") is not None
    assert find("deployer:none") is None
    assert find("nonsense") is None
    with pytest.raises(PluginInvalid):
        find("deployer:bad")

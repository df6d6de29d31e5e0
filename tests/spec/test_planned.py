"""What a whole scenario will need of the network, collected from every place where something is used."""

from __future__ import annotations

from pathlib import Path

from nodeyard.app.registry import installed
from nodeyard.app.spec_loader import dump_resolved, parse_scenario
from nodeyard.app.wiring import planned_operations, step_labels
from nodeyard.domain.scenario_spec import RunOptions

HEAD = """
nodeyard: 1
kind: etcd
source: {mode: managed, deployer: {type: local}, nodes: {count: 3}}
"""
STEPS = """
steps:
  - run:
      for: 20s
      workloads: [{use: kv-register, rate: 200/s, mix: {read: 1}}, {use: kv-register, mix: {cas: 1}}]
      faults: [{use: pause, target: leader, at: 5s, for: 5s}]
      always: [{use: no-crash}, {use: reachable}]
  - parallel:
      - restart: {target: n1}
      - run: {workloads: [{use: kv-register, operations: 5, target: n2}]}
      - expect: {use: converged}
expectations: [{use: converged}]
"""
SHORT = """
run: {for: 5s, workloads: [{use: kv-register, rate: 20/s}]}
"""


def planned(text: str) -> list[str]:
    spec = parse_scenario(HEAD + text, Path("s.yaml"), installed(), {}).spec
    needs = planned_operations(spec, installed())
    return [f"{one.label}: {one.needs.capability} {one.needs.selector}" for one in needs]


def test_needs_of_nested_uses_are_collected_with_their_places() -> None:
    found = planned(STEPS)
    assert "steps.0.run.workloads.0.kv-register: query all" in found
    assert found.count("steps.0.run.workloads.1.kv-register: submit all") == 2  # the map, and compare-and-set
    assert "steps.0.run.faults.0.pause: pause leader" in found
    assert "steps.0.run.always.1.reachable: query all" in found
    assert "steps.1.parallel.0.restart: restart n1" in found
    assert "steps.1.parallel.1.run.workloads.0.kv-register: submit n2" in found
    assert any(one.startswith("steps.1.parallel.2.expect.converged: ") for one in found)
    assert any(one.startswith("expectations.0.converged: ") for one in found)


def test_the_short_form_is_one_step() -> None:
    assert planned(SHORT) == ["run.workloads.0.kv-register: submit all"]
    spec = parse_scenario(HEAD + SHORT, Path("s.yaml"), installed(), {}).spec
    [step] = spec.all_steps
    assert isinstance(step.options, RunOptions)
    assert step_labels(spec) == ["run kv-register"]


def test_a_resolved_scenario_with_phases_is_the_same_again() -> None:
    for text in (STEPS, SHORT):
        spec = parse_scenario(HEAD + text, Path("s.yaml"), installed(), {}).spec
        again = parse_scenario(dump_resolved(spec), Path("s.yaml"), installed(), {}).spec
        assert again.model_dump() == spec.model_dump()

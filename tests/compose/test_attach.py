"""A project that somebody else started by ``docker compose up``: used, and left as it was."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nodeyard.kinds.etcd import EtcdKind

from .command import Yard
from .engine import docker
from .projects import Foreign, document, etcd_project, free_subnet

pytestmark = pytest.mark.real


def attached(project: Foreign, **options: Any) -> dict[str, Any]:
    return {"mode": "attached", "attach": {"type": "compose", "project": project.name, **options}}


def value_of(project: Foreign, key: str) -> str:
    """Read past Nodeyard."""
    import base64
    import urllib.request

    port = docker("port", project.containers()[0], "2379").rpartition(":")[2]
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v3/kv/range", body, timeout=10) as answer:
        found = json.load(answer).get("kvs", [])
    return base64.b64decode(found[0]["value"]).decode() if found else ""


def test_a_scenario_passes_and_changes_nothing_but_what_it_writes(yard: Yard, foreign: Foreign) -> None:
    before = foreign.portrait()
    done = yard.run(
        {
            "source": attached(foreign, expect=3),
            "steps": [{"put": {"key": "from", "value": "nodeyard"}}, {"get": {"key": "from", "target": "all"}}],
            "expectations": [{"use": "reachable"}, {"use": "converged"}],
        }
    )
    assert done.status == 0, done.out
    assert foreign.portrait() == before
    assert value_of(foreign, "from") == "nodeyard"


@pytest.mark.parametrize(
    ("step", "needs"),
    [({"restart": {"target": "n0"}}, "restart"), ({"pause": {"target": "n0"}}, "pause"),
     ({"kill": {"target": "n0"}}, "kill")],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_before_anything_is_done(
    yard: Yard, foreign: Foreign, step: Mapping[str, Any], needs: str
) -> None:
    before = foreign.portrait()
    others = sorted({"restart", "pause", "kill"} - {needs})
    done = yard.run({"source": attached(foreign, allow=others), "steps": [step]})
    assert done.status == 7
    assert f"'{needs}' is not granted on borrowed node" in done.out
    assert foreign.portrait() == before


def test_what_is_allowed_is_done_and_undone(yard: Yard, etcd_image: str, tmp_path: Path) -> None:
    """A node that is left paused, and one that is left killed, run again at the end; the killed runner's, too."""
    allow = ["restart", "pause", "kill", "start", "logs", "exec"]
    with etcd_project(tmp_path / "project", etcd_image) as project:
        source = attached(project, services=["n0", "n1", "n2"], expect=3, allow=allow)
        steps = [{"restart": {"target": "n0"}}, {"pause": {"target": "n1"}}, {"kill": {"target": "n2"}}]
        ids = project.containers()
        done = yard.run({"source": source, "steps": steps})
        assert "cleanup" not in done.out
        assert [state(one) for one in ids] == ["running"] * 3
        shutil.rmtree(yard.home.output)  # whoever waits for a run's events takes those of the only one
        runner = yard.start({"source": source, "steps": [*steps, {"wait": {"for": "60s"}}]})
        runner.until("step-started", index=3)
        assert sorted(state(one) for one in ids) == ["exited", "paused", "running"]
        runner.process.send_signal(signal.SIGKILL)
        runner.process.wait()
        yard.gone_soon()
        assert [state(one) for one in ids] == ["running"] * 3
        assert project.containers() == ids


def state(container: str) -> str:
    return docker("inspect", "--format", "{{.State.Status}}", container)


def test_stopped_and_unhealthy_nodes_are_a_partial_discovery(yard: Yard, foreign: Foreign) -> None:
    (victim,) = [one for one in foreign.containers() if "n2" in docker("inspect", "--format", "{{.Name}}", one)]
    docker("stop", victim)
    try:
        strict = yard.run({"source": attached(foreign, expect=3)})
        assert strict.status == 7
        assert f"n2 (container {foreign.name}-n2-1) does not run: it is exited" in strict.out
        softer = {"membership": "degradable", "readiness": {"policy": "quorum", "min": 2}}
        steps = [{"put": {"key": "a", "value": "b"}}]
        done = yard.run({"source": attached(foreign, expect=3), **softer, "steps": steps,
                         "expectations": [{"use": "reachable"}]})  # fmt: skip
        assert done.status == 0, done.out
    finally:
        docker("start", victim)


def test_an_unknown_service_or_project_tells_what_there_is(yard: Yard, foreign: Foreign) -> None:
    service = yard.home("attach", yard.home.write({"source": attached(foreign, services=["n0", "m1"])}))
    assert service.status == 7
    assert "has no service 'm1'" in service.err
    assert "its services: n0, n1, n2" in service.err
    wrong = {"source": {"mode": "attached", "attach": {"type": "compose", "project": "nobody"}}}
    project = yard.home("attach", yard.home.write(wrong))
    assert project.status == 7
    assert foreign.name in project.err


def test_two_copies_of_one_project_are_an_identity_conflict(yard: Yard, etcd_image: str, tmp_path: Path) -> None:
    """Member ids follow from peer URLs and the token, so a copy beside its original has the same ones."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    file = document(etcd_image, free_subnet(), count=1)
    del file["networks"], file["services"]["n0"]["networks"]  # each copy gets a network of its own
    file["services"]["n0"]["labels"] = {"test": tmp_path.name}
    with (
        etcd_project(tmp_path / "one", etcd_image, content=file) as one,
        etcd_project(tmp_path / "two", etcd_image, content=file) as two,
    ):
        before = one.portrait() | two.portrait()
        source = {"mode": "attached", "attach": {"type": "compose", "labels": {"test": tmp_path.name}}}
        done = yard.run({"source": source})
        assert done.status == 7
        assert "[bootstrap/identity-conflict]" in done.out
        assert one.portrait() | two.portrait() == before


def test_replicas_and_addresses_of_containers(yard: Yard, etcd_image: str, tmp_path: Path) -> None:
    """Nodes that publish nothing are reached by their own addresses, where that is allowed."""
    with etcd_project(tmp_path / "project", etcd_image, published=False) as project:
        refused = yard.run({"source": attached(project)})
        assert f"does not publish port {EtcdKind.ports[0].number} (client; published: none)" in refused.out
        done = yard.run(
            {
                "source": attached(project, address="container", expect=3),
                "steps": [{"put": {"key": "a", "value": "b"}}],
                "expectations": [{"use": "reachable"}],
            }
        )
        assert done.status == 0, done.out

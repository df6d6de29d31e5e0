"""An engine that goes away in the middle of a run ends it as a failure of the infrastructure, never as a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support import Nodeyard

from .command import Yard, environment
from .engine import docker, ids
from .proxy import Proxy

pytestmark = pytest.mark.real
WAITING = [{"put": {"key": "a", "value": "b"}}, {"wait": {"for": "60s"}}]


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    made = Proxy(tmp_path / "engine.sock")
    made.up()
    yield made
    made.down()


@pytest.fixture
def behind(yard: Yard, proxy: Proxy, tmp_path: Path) -> Yard:
    """Nodeyard whose engine can go away."""
    home = Nodeyard(tmp_path, range(0), extra={**environment(), "DOCKER_HOST": proxy.url})
    yard.home = home
    return yard


def test_it_ends_the_run_and_cleanup_is_finished_when_it_is_back(behind: Yard, proxy: Proxy) -> None:
    runner = behind.start({"source": behind.managed(count=1), "steps": WAITING})
    runner.until("step-started", index=1)
    proxy.down()
    done = runner.wait()
    assert done.status == 7, done.out
    assert "UNKNOWN" in done.out
    assert "[provider/backend-unavailable]" in done.out
    assert f"the Docker engine at {proxy.url} ($DOCKER_HOST) went away and did not come back" in done.out
    assert "hint: start it" in done.out
    assert [thing for thing in behind.left() if thing.startswith("container")]
    proxy.up()
    behind.gone_soon()


def test_a_connection_that_breaks_while_nothing_else_happens_is_no_failure(behind: Yard, proxy: Proxy) -> None:
    steps = [{"put": {"key": "a", "value": "b"}}, {"wait": {"for": "3s"}}, {"restart": {"target": "n0"}}]
    runner = behind.start({"source": behind.managed(count=1), "steps": steps, "expectations": [{"use": "no-crash"}]})
    runner.until("step-started", index=1)
    proxy.down()
    proxy.up()
    done = runner.wait()
    assert done.status == 0, done.out


def test_an_engine_that_comes_back_without_its_containers_running_is_to_blame_and_not_they(
    behind: Yard, proxy: Proxy
) -> None:
    runner = behind.start({"source": behind.managed(count=1), "steps": WAITING})
    runner.until("step-started", index=1)
    proxy.down()
    docker("kill", *ids("container", f"nodeyard.run={runner.run}"))
    proxy.up()
    done = runner.wait()
    assert done.status == 7, done.out
    assert "went away and came back, and containers ended meanwhile" in done.out
    assert not [event for event in runner.events() if event["event"] == "node-exited" and not event["expected"]]


def test_a_killed_runner_is_cleaned_up_after_when_the_engine_is_back(behind: Yard, proxy: Proxy) -> None:
    runner = behind.start({"source": behind.managed(count=1), "steps": WAITING})
    runner.until("step-started", index=1)
    proxy.down()
    runner.kill()
    proxy.up()
    behind.gone_soon()

"""Runners that are killed side by side in one cluster, and what belongs to others there."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from e2e.support import FairTime, Json, Nodeyard, Runner, found, wait_for

from .clusters import a_namespace, image, kubectl, objects

SOON = 15.0
"""Seconds within which nothing of a killed runner may be left."""
AT_ONCE = 8
"""Most of a trial is waiting for a namespace to go away."""
RUN = "nodeyard.dev/run"
THINGS = "namespaces,pods,services,configmaps,secrets,leases"
FOREIGN = "configmaps,pods,services,secrets,serviceaccounts"
LOOKALIKE = """
apiVersion: v1
kind: {kind}
metadata:
  name: {name}
  labels: {{app.kubernetes.io/managed-by: nodeyard, nodeyard.dev/run: somebody-elses, nodeyard.dev/node: n0}}
  annotations: {{nodeyard.dev/mark: somebody-elses@elsewhere/boot}}
---
"""


class Census:
    """What runs have in a cluster. All who ask while an answer is on its way share the next one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._begun = 0.0
        self._found: list[Json] = []

    def of(self, home: Nodeyard) -> list[str]:
        """The objects of any run from there; those of another run are none of our business."""
        asked = time.monotonic()
        with self._turn:
            if self._begun < asked:
                self._begun = time.monotonic()
                self._found = objects(THINGS, "-A", "-l", RUN)
            labelled = self._found
        runs = {path.name for path in home.output.glob("*")}
        metas = [(item["kind"], item["metadata"]) for item in labelled if item["metadata"]["labels"][RUN] in runs]
        return [f"{kind} {meta.get('namespace', '')}/{meta['name']}" for kind, meta in metas]


def gone_soon(home: Nodeyard, census: Census) -> None:
    """The cluster is asked when nothing is left on this machine: until then somebody is at work."""
    time_ = FairTime()
    while left := home.leftovers() or census.of(home):
        assert time_.tick() < SOON, f"after {SOON:g} s there are still: {left}"
        select.select([], [], [], 0.25)


def unwatched(home: Nodeyard) -> None:
    """Before a reaper watches nothing is made: there can be the first line of a ledger, which ``gc`` removes."""
    wait_for(lambda: not home.processes(), "a reaper that was just begun has ended")
    ledgers = sorted((home.state / "ledgers").glob("*.jsonl"))
    assert all(len(path.read_text().splitlines()) == 1 for path in ledgers), ledgers
    assert not ledgers or home("gc").status == 0


@dataclass(frozen=True)
class Canaries:
    """A pod that runs and things named and labelled like those of a run, in somebody else's namespace."""

    namespace: str

    def portrait(self) -> list[Json]:
        """All of it with uids, restarts and versions: the server counts each change that anybody makes."""
        theirs = [item for item in objects(FOREIGN, "-n", self.namespace) if not _passing(item)]
        (namespace,) = objects("namespace", self.namespace)
        return [*sorted(theirs, key=lambda item: (item["kind"], item["metadata"]["name"])), namespace]


def _passing(item: Json) -> bool:
    """Whether it belongs to a run that uses the namespace now."""
    return (item["metadata"].get("labels") or {}).get(RUN, "somebody-elses") != "somebody-elses"


@contextmanager
def some_canaries() -> Iterator[Canaries]:
    with a_namespace("nodeyard-lookalike") as name:
        lookalikes = [("ConfigMap", "nodeyard"), ("Secret", "nodeyard-n0"), ("ServiceAccount", "nodeyard")]
        text = "".join(LOOKALIKE.format(kind=kind, name=word) for kind, word in lookalikes)
        kubectl("apply", "-n", name, "-f", "-", stdin=text)
        labels = f"--labels=app.kubernetes.io/managed-by=nodeyard,{RUN}=somebody-elses,nodeyard.dev/node=n0"
        kubectl("run", "n0", "-n", name, f"--image={image()}", "--image-pull-policy=Never", labels, "--", "etcd")
        kubectl("wait", "--for=condition=Ready", "pod/n0", "-n", name, "--timeout=60s")
        yield Canaries(name)


@dataclass(frozen=True)
class Trial:
    """Start ``begin``, wait until ``ripe``, and kill."""

    home: Nodeyard
    begin: Callable[[Nodeyard], Runner]
    ripe: Callable[[Runner], object]


def carry_out(trials: Mapping[str, Trial], canaries: Canaries) -> dict[str, list[Json]]:
    """The journal of each trial. Fails by naming every trial that left or harmed anything."""
    before, census = canaries.portrait(), Census()
    failed: dict[str, str] = {}

    def one(trial: Trial) -> list[Json]:
        try:
            runner = trial.begin(trial.home)
            trial.ripe(runner)
            runner.kill()
            if not found(runner.events(), "reaper-ready"):
                unwatched(trial.home)
            gone_soon(trial.home, census)
            assert canaries.portrait() == before, "the canaries are not as they were"
            return runner.events()
        finally:
            trial.home.close()

    journals: dict[str, list[Json]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {name: pool.submit(one, trial) for name, trial in trials.items()}
        for name, future in futures.items():
            if error := future.exception():
                failed[name] = str(error)
            else:
                journals[name] = future.result()
    assert not failed, "\n".join(f"{name}: {error}" for name, error in failed.items())
    return journals

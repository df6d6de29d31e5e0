"""Kubernetes attach passes the shipped suite, on a real cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from attach.support import context
from k8s.clusters import a_namespace, image, kubeconfig
from nodeyard.ports.attach import AttachProvider
from nodeyard.ports.plugins import CanClose
from nodeyard.providers.attach.k8s import K8sAttachOptions, K8sAttachPlugin
from nodeyard.testing.conformance_attach import AttachConformance, AttachSetting

from .borrowed import apply_alone, state_of

pytestmark = pytest.mark.real
T = TypeVar("T")


@pytest.fixture(scope="module")
def devnet() -> Iterator[str]:
    kubeconfig()
    with a_namespace("conform") as name:
        apply_alone(name, image(), "StatefulSet", "etcd")
        yield name


class TestK8s(AttachConformance):
    plugin = K8sAttachPlugin()

    @pytest.fixture(autouse=True)
    def _given(self, tmp_path: Path, devnet: str) -> Iterator[None]:
        self.folder, self.namespace = tmp_path, devnet
        self._made: list[AttachProvider] = []
        with asyncio.Runner() as runner:  # one loop for all of a test: a provider's watch lives in it
            self._runner = runner
            yield
            for provider in self._made:
                assert isinstance(provider, CanClose)
                runner.run(provider.close())

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coro)

    def made(self, setting: AttachSetting) -> AttachProvider:
        self._made.append(super().made(setting))
        return self._made[-1]

    def _setting(self, config: str, **options: Any) -> AttachSetting:
        given = {"namespace": self.namespace, "access": "port-forward", **options}
        there = replace(context(self.folder), environment={"KUBECONFIG": config})
        return AttachSetting(K8sAttachOptions(**{"type": "k8s", **given}), there)

    def some_nodes(self) -> AttachSetting:
        return self._setting(kubeconfig(), selector="app=etcd")

    def no_nodes(self) -> AttachSetting:
        return self._setting(kubeconfig(), selector="app=nothing")

    def unreachable(self) -> AttachSetting:
        return self._setting(str(self.folder / "no-such-kubeconfig"))

    def world(self) -> object:
        return state_of(self.namespace)

"""The Compose project of one run: its file, and having containers made from it.

Lives here: what all controls of a deployer share. Must not live here: what a single node does after it was made.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nodeyard._aio import poll
from nodeyard._aio.tasks import raise_first, side_by_side
from nodeyard.domain.launch_plan import LaunchPlan, NodePlan
from nodeyard.domain.secrets import Secret
from nodeyard.errors.provider import BackendUnavailable, ProvisioningFailed
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients import node_files
from nodeyard.providers._clients.docker import calls, labels
from nodeyard.providers._clients.docker.containers import Container
from nodeyard.providers._clients.docker.engine import Engine, EngineFacts
from nodeyard.providers.deployer.compose.command import ComposeCommand
from nodeyard.providers.deployer.compose.document import NetworkSpec, ServiceSpec, document, dump
from nodeyard.providers.deployer.compose.images import Image, Images
from nodeyard.providers.deployer.compose.options import ComposeOptions
from nodeyard.providers.deployer.compose.resources import (
    BY,
    CONTAINER,
    DATA_DIR,
    FILE,
    SECRETS,
    VOLUME,
    network_name,
    project_name,
    volume_name,
)
from nodeyard.providers.deployer.compose.subnets import Subnet

MAKING = 900.0
"""Seconds that making containers may take: images may have to be pulled or built first."""
RETURNING = 5.0
"""Seconds that an engine may be away before the run is given up."""


class Project:
    """The project of one run. ``closed``: nothing may be started any more."""

    def __init__(self, options: ComposeOptions, context: PluginContext, engine: Engine) -> None:
        self.options, self.context, self.engine = options, context, engine
        self.images = Images(options, context, engine)
        self.command = ComposeCommand(engine.address, context)
        self.image_of: dict[str, Image] = {}
        self.subnet: Subnet | None = None
        self.facts: EngineFacts | None = None
        self.closed = False
        self.lost: BackendUnavailable | None = None
        self._services: dict[str, ServiceSpec] = {}
        self._secrets: dict[str, Secret] = {}
        self._entered: set[str] = set()
        self._turn = asyncio.Lock()

    @property
    def file(self) -> Path:
        """The Compose file, in the run's folder."""
        return (self.context.folder / FILE).absolute()

    def config_dir(self, node: str) -> Path:
        """The folder of a node's rendered files on this machine."""
        return (self.context.folder / "nodes" / node / "config").absolute()

    def add(self, node: NodePlan, launch: LaunchPlan, address: str) -> None:
        """Take a node into the file, or take over its new launch plan."""
        image = self.image_of[node.name]
        declared = {**node.env, **launch.env}
        secrets = {name: Secret(value) for name, value in declared.items() if Secret(value).is_reference}
        variables = {name: _variable(node.name, name) for name in secrets}
        self._secrets |= {variables[name]: secret for name, secret in secrets.items()}
        ours = os.getuid()
        self._services[node.name] = ServiceSpec(
            node=node,
            launch=launch,
            image=image.reference,
            build=image.build,
            pull="never" if image.ours else self.options.pull,
            address=address,
            config=str(self.config_dir(node.name)) if launch.files or self.engine.address.local else None,
            volume=volume_name(self.context.mark.run, node.name),
            labels=labels.labels(self.context.mark, self.context.scenario, node.name),
            grace=self.options.stop_grace or launch.stop.grace,
            # Files that a container writes into the run's folder must be the tester's to remove.
            user=f"{ours}:{os.getgid()}" if image.program is not None and ours else None,
            env={name: value for name, value in declared.items() if name not in secrets},
            secrets=variables,
            published={
                port.number: number
                for port in node.ports
                if (number := self.options.ports.get(node.name, {}).get(port.name)) is not None
            },
        )

    async def up(self, nodes: Sequence[str], *, anew: bool = False) -> Mapping[str, Container]:
        """Make and start the containers of these nodes; ``anew`` replaces those there are. Returns them by node.

        Everything is in the ledger before. Raises ``ProvisioningFailed``, ``BackendUnavailable``.
        """
        async with self._turn:
            await self._write_files(nodes)
            images = [self.image_of[node] for node in nodes]
            if self.facts is None:
                self.facts = await self.engine.facts()
            await self.images.prepare(images, self.facts)
            await self._enter(nodes)
            if self.closed:
                raise ProvisioningFailed(
                    "is not started: its network is being taken down", node=nodes[0], operation="start",
                    hint="start a new run",
                )  # fmt: skip
            await self._compose(nodes, images, anew)
            return await self._made(nodes)

    async def _write_files(self, nodes: Sequence[str]) -> None:
        for node in nodes:
            spec, target = self._services[node], self.config_dir(node)
            secret = [file.path for file in spec.launch.files if file.secret]
            if secret:
                data = {"folder": str(target), "paths": secret}
                await self.context.ledger.record(BY, SECRETS, node=node, data=data)
            try:
                target.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise node_files.unusable(node, target, error) from error
            node_files.write_files(target, spec.launch.files, node=node)
        self._write()

    def _write(self) -> None:
        """Write the Compose file, whole or not at all."""
        if self.subnet is None:
            raise ProvisioningFailed("has no network yet", operation="start", hint="provision it first")
        run = self.context.mark.run
        network = NetworkSpec(network_name(run), self.subnet.cidr, self.subnet.gateway)
        marks = labels.labels(self.context.mark, self.context.scenario)
        services = [self._services[name] for name in sorted(self._services)]
        text = dump(document(project_name(run), services, network, marks), run=run, file=FILE)
        draft = self.file.with_name(f".{FILE}.draft")
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.file)
        except OSError as error:
            raise node_files.unusable("", self.file, error) from error

    async def _enter(self, nodes: Sequence[str]) -> None:
        new = [node for node in nodes if node not in self._entered]
        data = {"engine": self.engine.address.data()}

        async def enter(entry: tuple[str, str]) -> None:
            await self.context.ledger.record(BY, entry[0], node=entry[1], data=data)

        raise_first(await side_by_side(enter, [(kind, node) for kind in (VOLUME, CONTAINER) for node in new]))
        self._entered |= set(new)

    async def _compose(self, nodes: Sequence[str], images: Sequence[Image], anew: bool) -> None:
        secrets = {name: self.context.secrets.reveal(secret) for name, secret in self._secrets.items()}
        base = ["--project-name", project_name(self.context.mark.run), "--file", str(self.file)]
        built = [node for node, image in zip(nodes, images, strict=True) if image.build and image.program is None]
        if built:
            await self.command.run(
                [*base, "build", *built], within=MAKING, secrets=secrets, operation="build", nodes=built
            )
        # Files that a data folder must begin with can be written only between making a container and starting it.
        begun = not any(self._services[node].launch.initial for node in nodes)
        words = ["up", "--detach" if begun else "--no-start", "--no-deps", "--no-build", "--quiet-pull"]
        words += ["--force-recreate" if anew else "--no-recreate", *nodes]
        await self.command.run([*base, *words], within=MAKING, secrets=secrets, operation="start", nodes=nodes)
        if not begun:
            raise_first(await side_by_side(self._begin, nodes, at_once=16))

    async def _begin(self, node: str) -> None:
        for found in await calls.containers(self.engine, {**labels.marked(self.context.mark), labels.NODE: node}):
            initial = self._services[node].launch.initial
            await calls.put_missing(self.engine, found.id, DATA_DIR, initial, node=node)
            await calls.start(self.engine, found.id, node=node)

    async def _made(self, nodes: Sequence[str]) -> Mapping[str, Container]:
        """The containers of these nodes, looked at, and their entries amended."""
        listed = await calls.containers(self.engine, labels.marked(self.context.mark))
        ids = {one.labels.get(labels.NODE): one.id for one in listed}
        looked = await side_by_side(lambda node: calls.look(self.engine, ids[node]), [n for n in nodes if n in ids])
        found = {one.labels[labels.NODE]: one for one in raise_first(looked) if one is not None}
        for node in nodes:
            if node not in found:
                raise ProvisioningFailed("its container is gone already", node=node, operation="start",
                                         hint="was it removed by hand?")  # fmt: skip
        for entry in self.context.ledger.open_entries():
            if entry.by == BY and entry.type in (CONTAINER, VOLUME) and entry.node in found:
                self.context.ledger.amend(entry, {"made": True})
        return found

    async def returns(self, error: BackendUnavailable) -> None:
        """Wait for an engine that broke off. Raises ``BackendUnavailable`` and gives the run up when it stays away."""
        if self.closed or self.lost is not None:
            raise self.lost or error

        async def answers() -> poll.Done[None] | str:
            try:
                await self.engine.facts()
            except BackendUnavailable as still:
                return still.message
            return poll.Done(None)

        clock = self.context.clock
        try:
            await poll.until(answers, clock=clock, deadline=clock.now() + RETURNING)
        except poll.Timeout:
            away = self.engine.unavailable(
                f"went away and did not come back within {RETURNING:g}s", "watch nodes", evidence=[error.message]
            )
            self.give_up(away)
            raise away from None

    def give_up(self, error: BackendUnavailable) -> None:
        """End the run because of its engine, once."""
        if not self.closed and self.lost is None:
            self.lost = error
            self.context.give_up(error)


def _variable(node: str, name: str) -> str:
    """The variable of the command that holds the value of a node's secret."""
    return "NODEYARD_SECRET_" + re.sub(r"\W", "_", f"{node}_{name}").upper()

"""Makes, starts and removes the nodes of one run as containers of one Compose project."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nodeyard.domain.identity import LOOPBACK, HostPort
from nodeyard.domain.launch_plan import AT_RUN, Endpoint, LaunchPlan, NodePlan, Place
from nodeyard.domain.network_rules import Effect
from nodeyard.errors.provider import NodeUnreachable, ProvisioningFailed
from nodeyard.ports.deployer import DeploymentPlan
from nodeyard.ports.kind import ProgramSpec
from nodeyard.ports.node_control import NodeControl
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.docker.address import engine_address
from nodeyard.providers._clients.docker.engine import Engine
from nodeyard.providers._clients.docker.networks import network_problems
from nodeyard.providers._clients.node_problems import secret_problems
from nodeyard.providers._clients.removing import remove_own
from nodeyard.providers.deployer.compose.control import ComposeControl
from nodeyard.providers.deployer.compose.document import HOST_NAME
from nodeyard.providers.deployer.compose.network import make_network
from nodeyard.providers.deployer.compose.options import ComposeOptions
from nodeyard.providers.deployer.compose.project import Project
from nodeyard.providers.deployer.compose.remover import ComposeRemover
from nodeyard.providers.deployer.compose.resolve import option_problems
from nodeyard.providers.deployer.compose.resources import (
    BY,
    ComposePlace,
    network_name,
    project_name,
    volume_name,
)

REMOVING = 40.0
"""Seconds for removing everything; 20 containers take two or three."""
TELLING = 5.0
"""Seconds for the ends of removed containers to be told."""


class ComposeDeployer:
    """The Compose deployer of one run; see ``ports.deployer.Deployer``."""

    def __init__(self, options: ComposeOptions, context: PluginContext) -> None:
        self._options = options
        self._context = context
        self._made: Project | None = None
        self._controls: dict[str, ComposeControl] = {}

    @property
    def source(self) -> str:
        return "compose"

    @property
    def _project(self) -> Project:
        """Made at its first use, because finding the engine may fail. Raises ``BackendUnavailable``."""
        if self._made is None:
            address = engine_address(self._context.environment, host=self._options.host, context=self._options.context)
            self._made = Project(self._options, self._context, Engine(address))
        return self._made

    async def resolve(self, nodes: Sequence[NodePlan], programs: Mapping[str, ProgramSpec]) -> Sequence[str]:
        project = self._project
        project.facts, missing = await asyncio.gather(project.engine.facts(), project.command.problem())
        chosen = await project.images.choose(nodes, programs)
        project.image_of.update(chosen.images)
        problems = [missing] if missing else []
        problems += [
            *chosen.problems,
            *option_problems(nodes, self._options),
            *secret_problems(nodes, self._context.secrets.reveal),
        ]
        return list(dict.fromkeys(problems))

    async def network_problems(self, effects: Collection[Effect]) -> Sequence[str]:
        local = self._project.engine.address.local
        return await network_problems(effects, self._context.environment, local=local)

    def plan(self, nodes: Sequence[NodePlan]) -> DeploymentPlan:
        run = self._context.mark.run
        places = {node.name: ComposePlace({p.name: p.number for p in node.ports}) for node in nodes}
        chosen = self._made.image_of if self._made is not None else {}
        programs = {node.name: chosen[node.name].shown if node.name in chosen else AT_RUN for node in nodes}
        resources = [f"compose project {project_name(run)}", f"network {network_name(run)}"]
        resources += sorted({f"image {image.reference}" for image in chosen.values() if image.ours})
        for node in nodes:
            resources += [f"volume {volume_name(run, node.name)}", f"container {node.name} {programs[node.name]}"]
            fixed = self._options.ports.get(node.name, {})
            resources += [f"port {node.name}.{p.name} 127.0.0.1:{fixed.get(p.name, AT_RUN)}" for p in node.ports]
        return DeploymentPlan(tuple(nodes), places, programs, tuple(resources))

    async def provision(self, plan: DeploymentPlan) -> Mapping[str, Place]:
        project = self._project
        project.subnet = await make_network(self._options.subnets, len(plan.nodes), project.engine, self._context)
        places: dict[str, Place] = {}
        for node, address in zip(plan.nodes, project.subnet.addresses, strict=True):
            place = ComposePlace({p.name: p.number for p in node.ports}, address)
            self._controls[node.name] = ComposeControl(node, place, project)
            places[node.name] = place
        return places

    async def start(self, launches: Sequence[LaunchPlan]) -> None:
        for launch in launches:
            self.prepare(launch)
        if not launches:
            return
        names = [launch.node for launch in launches]
        made = await self._project.up(names)
        for name in names:
            self._controls[name].adopt(made[name])

    def prepare(self, launch: LaunchPlan) -> None:
        control = self._known(launch.node)
        control.prepare(launch)

    def control(self, node: str) -> NodeControl:
        return self._known(node)

    def endpoint(self, node: str, port: str) -> Endpoint:
        if node not in self._controls:
            raise NodeUnreachable("was not provisioned", node=node, operation="endpoint", hint="see 'nodeyard plan'")
        return self._controls[node].endpoint(port)

    def log_files(self, node: str) -> Sequence[Path]:
        """The engine keeps the output; ``HasLogs`` of the control reads it."""
        return ()

    def version_answer(self, node: str) -> str:
        """Known for an image that was made of a program of this machine; one with a name was asked by nobody."""
        image = self._project.image_of.get(node)
        return self._project.images.version_answer(image) if image is not None else ""

    def from_inside(self, address: HostPort) -> HostPort:
        """A container's own loopback is not the host's."""
        return HostPort(HOST_NAME, address.port) if address.host == LOOPBACK else address

    async def destroy(self) -> Sequence[str]:
        if self._made is None:
            return []
        self._made.closed = True
        for control in self._controls.values():
            control.expect_end()
        context = self._context
        project = project_name(context.mark.run)
        problems = await remove_own(
            context, BY, ComposeRemover(), within=REMOVING, where=lambda entry: entry.node or project
        )
        within = 0.0 if problems else TELLING
        await asyncio.gather(*(control.close(within=within) for control in self._controls.values()))
        return problems

    def _known(self, node: str) -> ComposeControl:
        if node not in self._controls:
            raise ProvisioningFailed("was not provisioned", node=node, operation="control", hint="provision it first")
        return self._controls[node]

"""Makes, starts and removes the nodes of one run as processes of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.launch_plan import AT_RUN, Endpoint, LaunchPlan, NodePlan, Place, Scheme
from nodeyard.domain.network_rules import Effect
from nodeyard.errors.provider import NodeUnreachable, ProvisioningFailed
from nodeyard.ports.deployer import DeploymentPlan
from nodeyard.ports.kind import ProgramSpec
from nodeyard.ports.ledger import LedgerEntry
from nodeyard.ports.node_control import NodeControl
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.program_sources import Source, told
from nodeyard.providers._clients.program_store import obtain
from nodeyard.providers._clients.removing import remove_own
from nodeyard.providers.deployer.local import folders
from nodeyard.providers.deployer.local.asking import versions_of
from nodeyard.providers.deployer.local.control import FORCED, LocalControl, Run
from nodeyard.providers.deployer.local.isolation import Isolation, network_problems
from nodeyard.providers.deployer.local.options import LocalOptions
from nodeyard.providers.deployer.local.remover import LocalRemover
from nodeyard.providers.deployer.local.reserve import Reservation
from nodeyard.providers.deployer.local.resolve import resolve
from nodeyard.providers.deployer.local.resources import BY, FOLDERS, LocalPlace, process_of

REMOVING = 30.0
"""Seconds for removing everything; 200 processes and their folders need less than one."""


class LocalDeployer:
    """The local deployer of one run; see ``ports.deployer.Deployer``."""

    def __init__(self, options: LocalOptions, context: PluginContext) -> None:
        self._options = options
        self._context = context
        self._run = Run(options, context)
        self._versions = versions_of(context)
        self._nodes: dict[str, NodePlan] = {}
        self._controls: dict[str, LocalControl] = {}
        self._specs: dict[str, ProgramSpec] = {}
        self._missing: tuple[Source, ...] = ()

    @property
    def source(self) -> str:
        return "local"

    async def resolve(self, nodes: Sequence[NodePlan], programs: Mapping[str, ProgramSpec]) -> Sequence[str]:
        found = await resolve(nodes, programs, self._options, self._context)
        self._run.programs.update(found.programs)
        self._specs.update(programs)
        self._missing = found.missing
        return found.problems

    def plan(self, nodes: Sequence[NodePlan]) -> DeploymentPlan:
        places = {node.name: self._planned_place(node) for node in nodes}
        programs = {node.name: self._run.programs.get(node.name, AT_RUN) for node in nodes}
        resources: list[str] = []
        for node in nodes:
            place = places[node.name]
            resources.append(f"folder {place.folder}")
            resources += [f"port {node.name}.{name} {number or AT_RUN}" for name, number in place.ports.items()]
            resources += [f"network namespace {node.name}"] if self._isolated else []
            resources.append(f"process {node.name} {programs[node.name]}")
        resources += [f"program {told(source)}, kept in the user's cache" for source in self._missing]
        notes = {node.name: "the image is not used by the local deployer" for node in nodes if node.image}
        return DeploymentPlan(tuple(nodes), places, programs, tuple(resources), notes)

    async def provision(self, plan: DeploymentPlan) -> Mapping[str, Place]:
        await self._get_missing(plan.nodes)
        mark, ledger = self._context.mark, self._context.ledger
        paths = {node.name: self._folder(node.name) for node in plan.nodes}
        await ledger.record(BY, FOLDERS, node=None, data={"paths": [str(path) for path in paths.values()]})
        for name, path in paths.items():
            folders.make(path, mark, node=name)
        made = await self._made_places(plan.nodes)
        places: dict[str, Place] = {}
        for node in plan.nodes:
            place = made[node.name]
            self._nodes[node.name] = node
            self._controls[node.name] = LocalControl(node, place, self._run)
            places[node.name] = place
        return places

    @property
    def _isolated(self) -> bool:
        return self._options.isolation == "netns"

    def _planned_place(self, node: NodePlan) -> LocalPlace:
        fixed = self._options.ports.get(node.name, {})
        if self._isolated:
            return LocalPlace(self._folder(node.name), own_ports(node, fixed), AT_RUN)
        return LocalPlace(self._folder(node.name), {port.name: fixed.get(port.name) for port in node.ports})

    async def _made_places(self, nodes: Sequence[NodePlan]) -> Mapping[str, LocalPlace]:
        """Where each node lives. One with an address of its own has its kind's own ports, and needs none reserved."""
        if self._isolated:
            homes = await Isolation(self._context).make([node.name for node in nodes])
            fixed = self._options.ports
            return {
                node.name: LocalPlace(
                    self._folder(node.name),
                    own_ports(node, fixed.get(node.name, {})),
                    homes[node.name].address,
                    homes[node.name].namespace,
                )
                for node in nodes
            }
        reserved = await Reservation(self._options, self._context).reserve(nodes)
        return {
            node.name: LocalPlace(self._folder(node.name), {p.name: reserved[node.name, p.name] for p in node.ports})
            for node in nodes
        }

    async def network_problems(self, effects: Collection[Effect]) -> Sequence[str]:
        return await network_problems(effects, self._context.environment, isolated=self._isolated)

    async def _get_missing(self, nodes: Sequence[NodePlan]) -> None:
        """Get the programs that were not there when they were looked for, and ask these for their versions too."""
        if not self._missing:
            return
        await obtain(self._missing, self._context)
        for program, kind in sorted({(self._run.programs[node.name], node.kind) for node in nodes}):
            if problem := await self._versions.problem(Path(program), self._specs[kind]):
                raise ProvisioningFailed(problem, operation="provision", hint="name another version of the program")

    def version_answer(self, node: str) -> str:
        program, plan = self._run.programs.get(node), self._nodes.get(node)
        spec = self._specs.get(plan.kind) if plan else None
        if program is None or spec is None or not spec.version_args:
            return ""
        return self._versions.answer(Path(program), spec)

    async def start(self, launches: Sequence[LaunchPlan]) -> None:
        for launch in launches:
            self.prepare(launch)
        outcomes = await side_by_side(lambda launch: self._controls[launch.node].launch_first(), launches)
        failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        for error in failed:
            if not isinstance(error, ProvisioningFailed):
                raise error
        if failed:
            raise failed[0]

    def prepare(self, launch: LaunchPlan) -> None:
        self._known(launch.node).launch = launch

    def control(self, node: str) -> NodeControl:
        return self._known(node)

    def endpoint(self, node: str, port: str) -> Endpoint:
        control = self._controls.get(node)
        number = control.place.ports.get(port) if control else None
        if control is None or number is None:
            fact = f"has no port '{port}'" if control else "was not provisioned"
            raise NodeUnreachable(fact, node=node, operation="endpoint", hint="see 'nodeyard plan' for nodes and ports")
        schemes = {spec.name: spec.scheme for spec in self._nodes[node].ports}
        return Endpoint(f"{'http' if schemes[port] is Scheme.HTTP else 'tcp'}://{control.place.listen(port)}")

    def log_files(self, node: str) -> Sequence[Path]:
        control = self._controls.get(node)
        return [path for path in control.place.log_files if path.exists()] if control else []

    async def destroy(self) -> Sequence[str]:
        self._run.closed = True
        controls = list(self._controls.values())
        # All at once and by force: members that say goodbye one after the other hand leadership to dying peers.
        for control in controls:
            control.end_now()
        await asyncio.gather(*(control.close(within=FORCED) for control in controls))
        return await remove_own(self._context, BY, LocalRemover(), within=REMOVING, where=_where)

    def _folder(self, name: str) -> Path:
        return self._context.folder / "nodes" / name

    def _known(self, node: str) -> LocalControl:
        if node not in self._controls:
            raise ProvisioningFailed("was not provisioned", node=node, operation="control", hint="provision it first")
        return self._controls[node]


def own_ports(node: NodePlan, fixed: Mapping[str, int]) -> Mapping[str, int]:
    """The ports of a node that has an address of its own: those of its kind, unless others were asked for."""
    return {port.name: fixed.get(port.name, port.number) for port in node.ports}


def _where(entry: LedgerEntry) -> str:
    who = process_of(entry.data)
    return f"pid:{who.pid}" if who else entry.node or entry.by

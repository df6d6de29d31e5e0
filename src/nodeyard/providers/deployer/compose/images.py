"""Which image each node runs, and having it in the engine before a container is made of it.

By reference (the scenario's, or the environment's), by build context, else made of the kind's own static program.
An image that a run makes is the run's own: it carries the run's mark and goes with it. The layers are the engine's to
share, so that runs side by side hold the program once.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeyard._aio.tasks import raise_first, side_by_side
from nodeyard.domain.launch_plan import NodePlan
from nodeyard.errors.provider import ImageNotFound
from nodeyard.ports.kind import ProgramSpec
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.docker import objects
from nodeyard.providers._clients.docker.engine import Engine, EngineFacts
from nodeyard.providers._clients.docker.labels import labels
from nodeyard.providers._clients.images import named_image
from nodeyard.providers._clients.program_sources import Source, place_of, told
from nodeyard.providers._clients.program_store import obtain
from nodeyard.providers._clients.program_versions import Versions
from nodeyard.providers._clients.programs import locate
from nodeyard.providers.deployer.compose import making
from nodeyard.providers.deployer.compose.document import Build
from nodeyard.providers.deployer.compose.options import ComposeOptions
from nodeyard.providers.deployer.compose.resources import BY, IMAGE, made_image

INHERITED = ("PATH", "HOME", "LANG")


@dataclass(frozen=True)
class Image:
    """The image of some nodes. ``program``: made of this program of the machine. ``build``: built from a folder."""

    reference: str
    shown: str
    program: Path | None = None
    word: str = ""
    spec: ProgramSpec | None = None
    build: Build | None = None
    source: Source | None = None
    """How ``program`` is had first, where it is not there yet."""

    @property
    def ours(self) -> bool:
        """Whether the run makes it, and so owns it."""
        return self.program is not None or self.build is not None


@dataclass(frozen=True)
class Chosen:
    """``images`` by node; ``problems`` as lines."""

    images: Mapping[str, Image]
    problems: tuple[str, ...]


class Images:
    """The images of one run."""

    def __init__(self, options: ComposeOptions, context: PluginContext, engine: Engine) -> None:
        self._options = options
        self._context = context
        self._engine = engine
        self._ready: set[str] = set()
        given = context.environment
        self._versions = Versions(context.cache, {name: given[name] for name in INHERITED if name in given})

    def version_answer(self, image: Image) -> str:
        """What the program of an image that the run makes answered when it was asked for its version, else nothing."""
        if image.program is None or image.spec is None or not image.spec.version_args:
            return ""
        return self._versions.answer(image.program, image.spec)

    async def choose(self, nodes: Sequence[NodePlan], specs: Mapping[str, ProgramSpec]) -> Chosen:
        """Decide for every node. Creates nothing; asks the engine for images that are named."""
        images: dict[str, Image] = {}
        problems: list[str] = []
        known: dict[tuple[str, str | None, str | None], Image | str] = {}
        for node in nodes:
            key = (node.kind, node.image, node.binary)
            if key not in known:
                known[key] = await self._one(node, specs.get(node.kind))
            found = known[key]
            if isinstance(found, Image):
                images[node.name] = found
            elif not any(line.endswith(found) for line in problems):
                problems.append(f"{_names(nodes, key)} ({node.kind}): {found}")
        return Chosen(images, tuple(problems))

    async def _one(self, node: NodePlan, spec: ProgramSpec | None) -> Image | str:
        named = named_image(node, spec, self._context.environment)
        folder = self._options.build.get(node.kind)
        if node.image or (named is not None and folder is None):
            assert named is not None
            return await self._named(named.reference, named.origin)
        if folder is not None:
            return self._built(node.kind, folder)
        return await self._made(node, spec)

    async def _named(self, reference: str, origin: str) -> Image | str:
        if self._options.pull == "never" and await objects.image(self._engine, reference) is None:
            return f"image '{reference}' (from {origin}) is not there, and 'pull: never' forbids to fetch it"
        return Image(reference, reference)

    def _built(self, kind: str, folder: str) -> Image | str:
        context = (self._context.base / folder).absolute()
        if not (context / "Dockerfile").is_file():
            return f"{context} (from deployer.build.{kind}) has no Dockerfile"
        reference = made_image(kind, self._context.mark.run, "built")
        return Image(reference, f"{reference} (built from {context})", build=Build(str(context)))

    async def _made(self, node: NodePlan, spec: ProgramSpec | None) -> Image | str:
        environment = self._context.environment
        found = locate(node.binary, spec, base=self._context.base, environment=environment, cache=self._context.cache)
        if found.source is not None:
            return self._later(found.source, spec)
        remedy = f"name an image with 'image' or {spec.image_variable}" if spec else "name an image with 'image'"
        if found.path is None:
            return f"{found.text}; or {remedy}"
        if problem := making.static_problem(found.path):
            return f"no image can be made of the kind's program: {problem} ({remedy})"
        if spec is not None and (problem := await self._versions.problem(found.path, spec)):
            return problem
        word = spec.program if spec is not None else found.path.name
        content = await asyncio.to_thread(making.content_hash, found.path)
        reference = made_image(word, self._context.mark.run, content)
        dockerfile = making.dockerfile(word, found.path.name)
        build = Build(str(found.path.parent), dockerfile)
        return Image(reference, f"{reference} (made of {found.path})", found.path, word, spec, build)

    def _later(self, source: Source, spec: ProgramSpec | None) -> Image:
        """An image of a program that is got when the run provisions; until then it is known by where it comes from."""
        program = place_of(source, self._context.cache)
        word = spec.program if spec is not None else program.name
        content = hashlib.sha256(told(source).encode()).hexdigest()
        reference = made_image(word, self._context.mark.run, content)
        build = Build(str(program.parent), making.dockerfile(word, program.name))
        return Image(reference, f"{reference} (made by {told(source)})", program, word, spec, build, source)

    async def _get_programs(self, images: Sequence[Image]) -> None:
        later = {image.program: image for image in images if image.source is not None}
        await obtain([image.source for image in later.values() if image.source is not None], self._context)
        for program, image in later.items():
            problem = making.static_problem(program) if program is not None else ""
            if program is not None and not problem and image.spec is not None:
                problem = await self._versions.problem(program, image.spec)
            if problem:
                raise ImageNotFound(
                    f"no image can be made of the kind's program: {problem}",
                    operation="provision",
                    hint="name an image with 'image'",
                )

    async def prepare(self, images: Sequence[Image], facts: EngineFacts) -> None:
        """Have the run's own images made, each once. Raises ``ProvisioningFailed``."""
        await self._get_programs(images)
        wanted = {image.reference: image for image in images if image.ours and image.reference not in self._ready}
        raise_first(await side_by_side(lambda image: self._prepare(image, facts), wanted.values(), at_once=4))

    async def _prepare(self, image: Image, facts: EngineFacts) -> None:
        ledger = self._context.ledger
        entry = await ledger.record(
            BY, IMAGE, node=None, data={"engine": self._engine.address.data(), "reference": image.reference}
        )
        if image.program is not None:
            await self._load(image, facts)
            ledger.amend(entry, {"made": True})
        self._ready.add(image.reference)

    async def _load(self, image: Image, facts: EngineFacts) -> None:
        assert image.program is not None
        marks = labels(self._context.mark, self._context.scenario)
        program = image.program
        data = await asyncio.to_thread(
            lambda: making.archive(program, image.word, reference=image.reference, machine=facts.machine, labels=marks)
        )

        async def load(docker: Any) -> list[Any]:
            return list(await docker.images.import_image(io.BytesIO(data)))

        said = await self._engine.call(load, "load an image")
        wrong = [line["error"] for line in said if "error" in line]
        if wrong:
            raise ImageNotFound(f"no image could be made of {image.program}", operation="provision", evidence=wrong,
                                hint="name an image with 'image'")  # fmt: skip


def _names(nodes: Sequence[NodePlan], key: tuple[str, str | None, str | None]) -> str:
    """The first few nodes with the same image."""
    names = [node.name for node in nodes if (node.kind, node.image, node.binary) == key]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

"""The calls about what is not a container: networks, volumes, images; and removing all that carries some labels."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeyard._aio.tasks import raise_first, side_by_side
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import ImageNotFound
from nodeyard.providers._clients.docker import labels
from nodeyard.providers._clients.docker.engine import Engine, Missing, label_filter


@dataclass(frozen=True)
class Thing:
    """A resource that is to be removed: its id, its name, and the node that it belongs to."""

    id: str
    name: str
    node: str | None = None


@dataclass(frozen=True)
class Gone:
    """One resource was dealt with: removed, or why not."""

    thing: Thing
    error: NodeyardError | None = None


async def subnets(engine: Engine) -> list[str]:
    """The subnets of all networks of the engine."""
    found = await engine.call(lambda docker: docker.networks.list(), "list networks")
    pools = [pool for network in found for pool in ((network.get("IPAM") or {}).get("Config") or ())]
    return [pool["Subnet"] for pool in pools if pool.get("Subnet")]


async def create_network(engine: Engine, name: str, *, subnet: str, gateway: str, labels: Mapping[str, str]) -> None:
    """Make a bridge network. Raises ``AddressesExhausted`` when the subnet overlaps another network's."""
    config = {
        "Name": name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Labels": dict(labels),
        "IPAM": {"Driver": "default", "Config": [{"Subnet": subnet, "Gateway": gateway}]},
    }
    await engine.call(lambda docker: docker.networks.create(config), "create a network")


async def image(engine: Engine, reference: str) -> Mapping[str, Any] | None:
    """What the engine knows of an image; ``None`` if it is not there."""
    try:
        said: Mapping[str, Any] = await engine.call(lambda docker: docker.images.inspect(reference), "inspect an image")
    except (Missing, ImageNotFound):
        return None
    return said


async def entries(engine: Engine, volume: str, container: str, folder: str) -> int:
    """How many files and folders lie directly in a volume, which ``container`` has as ``folder``; 0 if it is not there.

    Looked at where this machine holds it, else read through the container, which takes the whole of it.
    """

    async def place(docker: Any) -> str:
        return str((await (await docker.volumes.get(volume)).show()).get("Mountpoint", ""))

    async def names(docker: Any) -> set[str]:
        with await docker.containers.container(container).get_archive(folder) as tar:
            return {name.split("/")[1] for name in tar.getnames() if name.count("/") == 1}

    try:
        mounted = await engine.call(place, "look at a volume")
        if engine.address.local and os.access(mounted, os.R_OK | os.X_OK):
            return len(os.listdir(mounted))
        return len(await engine.call(names, "look into a volume"))
    except Missing:
        return 0


async def remove_containers(engine: Engine, wanted: Mapping[str, str]) -> list[Gone]:
    """Kill and remove all containers with these labels, side by side, with their anonymous volumes."""

    async def find(docker: Any) -> list[Thing]:
        found = await docker.containers.list(all=True, filters=json.dumps(label_filter(wanted)))
        return [_thing(one._container) for one in found]

    return await _remove(engine, "container", find, lambda docker, thing: _delete_container(docker, thing.id))


async def _delete_container(docker: Any, container: str) -> None:
    await docker.containers.container(container).delete(force=True, v=True)


async def remove_networks(engine: Engine, wanted: Mapping[str, str]) -> list[Gone]:
    """Remove all networks with these labels."""

    async def find(docker: Any) -> list[Thing]:
        return [_thing(one) for one in await docker.networks.list(filters=label_filter(wanted))]

    async def delete(docker: Any, thing: Thing) -> None:
        await (await docker.networks.get(thing.id)).delete()

    return await _remove(engine, "network", find, delete)


async def remove_volumes(engine: Engine, wanted: Mapping[str, str]) -> list[Gone]:
    """Remove all volumes with these labels."""

    async def find(docker: Any) -> list[Thing]:
        found = await docker.volumes.list(filters=label_filter(wanted))
        return [_thing(one) for one in found.get("Volumes") or ()]

    async def delete(docker: Any, thing: Thing) -> None:
        await (await docker.volumes.get(thing.id)).delete()

    return await _remove(engine, "volume", find, delete)


async def remove_images(engine: Engine, wanted: Mapping[str, str]) -> list[Gone]:
    """Remove all images with these labels that no container uses."""

    async def find(docker: Any) -> list[Thing]:
        found = await docker.images.list(filters=label_filter(wanted))
        return [_thing({**one, "Names": one.get("RepoTags")}) for one in found]

    return await _remove(engine, "image", find, lambda docker, thing: docker.images.delete(thing.id, force=True))


def _thing(said: Mapping[str, Any]) -> Thing:
    names: Sequence[str] = said.get("Names") or [said.get("Name") or ""]
    found = said.get("Id") or said.get("Name") or ""
    return Thing(found, names[0].lstrip("/"), (said.get("Labels") or {}).get(labels.NODE))


async def _remove(
    engine: Engine,
    what: str,
    find: Callable[[Any], Awaitable[list[Thing]]],
    delete: Callable[[Any, Thing], Awaitable[object]],
) -> list[Gone]:
    """Find and remove; a thing that went away meanwhile was removed. Raises ``BackendUnavailable`` for the search."""

    async def search(docker: Any) -> list[Thing]:
        return await find(docker)

    async def one(thing: Thing) -> Gone:
        async def act(docker: Any) -> None:
            await delete(docker, thing)

        try:
            await engine.call(act, f"remove the {what} {thing.name}", node=thing.node)
        except Missing:
            return Gone(thing)
        except NodeyardError as error:
            if "already in progress" in str(error):
                return Gone(thing)  # somebody else removes it at this moment; whoever looks again sees it gone
            return Gone(thing, error)
        return Gone(thing)

    things = await engine.call(search, f"list {what}s")
    return raise_first(await side_by_side(one, things, at_once=16))

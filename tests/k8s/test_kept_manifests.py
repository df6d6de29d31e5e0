"""What a run keeps of its manifests, on a real cluster."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from nodeyard.domain.launch_plan import FileToWrite

from .clusters import image, kubeconfig
from .world import World, plans, script

pytestmark = pytest.mark.real


def test_the_manifests_in_the_folder_of_a_run_hold_no_secret_files(tmp_path: Path, namespace: str) -> None:
    world = World(tmp_path, kubeconfig(), {"namespace": namespace, "pull": "never"})
    files = (FileToWrite("shown", b"shown content"), FileToWrite("key", b"hidden content", secret=True))

    async def scene() -> None:
        try:
            await world.up(
                plans(1, image(shell=True)), script("cat /nodeyard/work/config/key; sleep 1000", files=files)
            )
        finally:
            await world.deployer.destroy()

    asyncio.run(scene())
    kept = (world.context.folder / "manifests.yaml").read_text()
    assert base64.b64encode(b"shown content").decode() in kept
    assert base64.b64encode(b"hidden content").decode() not in kept
    assert world.mark.text not in kept

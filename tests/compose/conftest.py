"""Images that tests use, and a Compose project that somebody else started."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import nodeyard as nodeyard
from e2e.conftest import ports as ports
from e2e.support import Nodeyard
from etcd.etcd_processes import BINARY

from .command import Yard, environment
from .engine import BUSYBOX, docker, needs_engine
from .projects import Foreign, etcd_project


@pytest.fixture(scope="session")
def engine() -> None:
    needs_engine()


def _image(folder: Path, name: str, program: Path) -> Iterator[str]:
    reference = f"nodeyard-test/{name}:{os.getpid()}-{uuid.uuid4().hex[:8]}"
    (folder / "Dockerfile").write_text(
        f'FROM scratch\nCOPY {program.name} /bin/{name}\nENV PATH=/bin\nCMD ["{name}"]\n'
    )
    (folder / program.name).write_bytes(program.read_bytes())
    (folder / program.name).chmod(0o755)
    docker("build", "--quiet", "--tag", reference, str(folder), env={**os.environ, "DOCKER_BUILDKIT": "0"})
    yield reference
    docker("rmi", "--force", reference)


@pytest.fixture(scope="session")
def etcd_image(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with etcd, as a user would have built it."""
    yield from _image(tmp_path_factory.mktemp("etcd-image"), "etcd", Path(BINARY))


@pytest.fixture(scope="session")
def busybox_image(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with busybox."""
    yield from _image(tmp_path_factory.mktemp("busybox-image"), "busybox", BUSYBOX)


@pytest.fixture(scope="module")
def foreign(etcd_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Three etcd nodes that somebody else started by ``docker compose up``."""
    with etcd_project(tmp_path_factory.mktemp("foreign"), etcd_image) as project:
        yield project


@pytest.fixture
def yard(etcd_image: str, tmp_path: Path) -> Iterator[Yard]:
    """Nodeyard with an output folder of its own; a test that passes has left nothing in the engine."""
    home = Nodeyard(tmp_path, range(0), extra=environment())
    made = Yard(home, etcd_image)
    try:
        yield made
        made.gone_soon()
    finally:
        made.close()

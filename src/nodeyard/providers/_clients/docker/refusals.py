"""What a refusal of the engine, or of the compose command, means: from its words to a typed error. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nodeyard.errors.provider import (
    AddressesExhausted,
    BackendUnavailable,
    DiskFull,
    ImageNotFound,
    PortTaken,
    ProviderError,
    ProvisioningFailed,
)


@dataclass(frozen=True)
class Meaning:
    """Words of the engine, the error that they mean, the fact and the hint in ours."""

    words: re.Pattern[str]
    error: type[ProviderError]
    fact: str
    hint: str


def _meaning(words: str, error: type[ProviderError], fact: str, hint: str) -> Meaning:
    return Meaning(re.compile(words, re.IGNORECASE), error, fact, hint)


MEANINGS = (
    _meaning(
        r"cannot connect to the docker daemon|error during connect|is the docker daemon running", BackendUnavailable,
        "the Docker engine does not answer", "start it ('docker version' shows whether it answers), or set DOCKER_HOST",
    ),
    _meaning(
        r"permission denied while trying to connect", BackendUnavailable,
        "the Docker engine may not be used by this user",
        "add your user to the group 'docker' and log in again, or set DOCKER_HOST",
    ),
    _meaning(
        r"port is already allocated|address already in use|ports are not available", PortTaken,
        "a port that the scenario asks for is in use",
        "give that node another port, or none: then the engine chooses a free one",
    ),
    _meaning(
        r"non-overlapping .*address pool|all predefined address pools|pool overlaps|no available network",
        AddressesExhausted, "the engine has no addresses for another network",
        "remove networks that nobody uses ('docker network prune'), or give the deployer another 'subnets'",
    ),
    _meaning(
        r"no space left on device|disk quota exceeded", DiskFull, "the engine's disk is full",
        "free space there ('docker system df' shows what takes it)",
    ),
    _meaning(
        r"no such image|pull access denied|manifest (for .* )?(not found|unknown)|repository does not exist"
        r"|failed to resolve reference|image .* not found|lookup .* (no such host|i/o timeout|server misbehaving)"
        r"|Client\.Timeout exceeded while awaiting headers|Get \"?https?://\S+/v2/",
        ImageNotFound, "an image is not there and cannot be pulled",
        "correct 'image', pull or build it by hand, or leave it out where the kind's program can be made into one",
    ),
    _meaning(
        r"executable file not found|exec: .*(no such file or directory|permission denied)|OCI runtime create failed",
        ProvisioningFailed, "its program cannot be started in its image",
        "the image must have the program on its PATH; try it with 'docker run --rm --entrypoint PROGRAM IMAGE'",
    ),
)  # fmt: skip
LINES = 8


def of_message(message: str, *, node: str | None, operation: str) -> ProviderError:
    """The error that a refusal means, with the engine's own words as evidence."""
    words = [line.strip() for line in message.splitlines() if line.strip()]
    for known in MEANINGS:
        if known.words.search(message):
            return known.error(
                known.fact, node=node, operation=operation, evidence=_telling(words, known), hint=known.hint
            )
    shown = words[-1] if words else "without a reason"
    return ProvisioningFailed(
        f"the engine refused to {operation}: {shown}",
        node=node,
        operation=operation,
        evidence=words[-LINES:-1],
        hint="the engine's own log may say more",
    )


def _telling(words: Sequence[str], known: Meaning) -> list[str]:
    """The lines that say it, else the last ones."""
    return [line for line in words if known.words.search(line)][:LINES] or list(words[-LINES:])

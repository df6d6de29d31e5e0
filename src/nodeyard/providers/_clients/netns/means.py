"""What this machine can do to networks, found by trying it in a network namespace that nobody else sees."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nodeyard.domain.network_rules import Effect
from nodeyard.providers._clients.netns.namespace import Commands

UNSHARED = ("unshare", "--net", "--")
TRIALS = {
    "drop": ("iptables", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP"),
    "statistic": ("iptables", "-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", "0.5", "-j",
                  "DROP"),
    "comment": ("iptables", "-A", "INPUT", "-m", "comment", "--comment", "nodeyard", "-j", "DROP"),
    "nfqueue": ("iptables", "-A", "INPUT", "-j", "NFQUEUE", "--queue-num", "1", "--queue-bypass"),
    "netem": ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"),
    "htb": ("tc", "qdisc", "add", "dev", "lo", "root", "htb", "default", "1"),
}  # fmt: skip
"""What proves each means: the kernel or the program refuses it where it is missing."""
DENIED, ROOT = "not permitted", " (it takes root)"
NEEDS: dict[Effect, tuple[tuple[str, ...], ...]] = {
    Effect.CUT: (("drop", "comment"),),
    Effect.LOSS: (("drop", "comment", "statistic"),),
    Effect.DELAY: (("htb", "netem"), ("comment", "nfqueue")),
    Effect.BANDWIDTH: (("htb",),),
}
"""The ways to each effect, the best one first, and the means that each way takes."""


@dataclass(frozen=True)
class Means:
    """What was found: the means that work, and why each of the others does not."""

    working: frozenset[str]
    missing: dict[str, str]

    def way_to(self, effect: Effect) -> tuple[str, ...] | None:
        """The means of the best way to an effect; ``None`` where there is no way."""
        return next((way for way in NEEDS[effect] if self.working >= set(way)), None)

    def problems(self, effects: Collection[Effect]) -> tuple[str, ...]:
        """Why effects cannot be had, one text each."""
        found = []
        for effect in sorted(effects):
            if self.way_to(effect) is None:
                lacking: dict[str, list[str]] = {}
                for name in dict.fromkeys(name for way in NEEDS[effect] for name in way if name not in self.working):
                    lacking.setdefault(self.missing.get(name, "unknown"), []).append(name)
                why = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in lacking.items())
                found.append(f"this machine cannot do '{effect}' to a network ({why})")
        return tuple(found)


async def look(commands: Commands) -> Means:
    """Try everything. Nothing of it outlives the look, and no existing network is touched."""
    path = commands.environment.get("PATH")
    absent = [name for name in ("unshare", "nsenter", "ip", "iptables", "iptables-restore", "tc")
              if shutil.which(name, path=path) is None]  # fmt: skip
    working: set[str] = set()
    missing: dict[str, str] = {}
    for name, argv in TRIALS.items():
        why = _absence(absent, ("unshare", "nsenter", "ip", *_programs(argv[0]))) or await _try(commands, argv)
        if why:
            missing[name] = why
        else:
            working.add(name)
    return Means(frozenset(working), missing)


def _programs(program: str) -> tuple[str, ...]:
    return (program, "iptables-restore") if program == "iptables" else (program,)


def _absence(absent: Sequence[str], needed: Sequence[str]) -> str:
    lacking = [name for name in needed if name in absent]
    return f"the program '{lacking[0]}' is not installed" if lacking else ""


async def _try(commands: Commands, argv: Sequence[str]) -> str:
    """Why a command fails in a namespace of its own, or an empty text."""
    try:
        done = await commands.run((*UNSHARED, *argv))
    except (OSError, TimeoutError) as error:
        return str(error) or "it does not end"
    if done.code == 0:
        return ""
    said = (done.stderr.strip() or done.stdout.strip() or done.status).splitlines()
    return f"{said[0][:150]}{ROOT if DENIED in said[0] else ''}"

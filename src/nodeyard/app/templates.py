"""The scenarios that ``init`` writes: commented, and ready to run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nodeyard.app.kind_files import is_file_word, read_file
from nodeyard.domain.document import nearest
from nodeyard.domain.node_client import KeyValue, StateDigest
from nodeyard.errors.validation import SpecInvalid, UsageError
from nodeyard.ports.kind import speaks

if TYPE_CHECKING:
    from nodeyard.app.registry import Registry
    from nodeyard.ports.kind import NodeKind

PLAIN = re.compile(r"[\w./][\w./ -]*[\w./-]")
"""What YAML takes as text without quotes."""
MODES = ("managed", "attached", "external-only")

HEAD = """\
# yaml-language-server: $schema=./nodeyard.schema.json
# An editor completes and checks this file once 'nodeyard schema > nodeyard.schema.json' was run beside it.
nodeyard: 1                       # format version
name: {name}
kind: {kind}                        # default kind of all nodes; 'nodeyard kinds' lists what is installed
# seed: 7                         # repeats the random choices of a run; chosen and printed if absent

"""
SOURCES = {
    "managed": """\
source:
  mode: managed                   # nodes that Nodeyard starts, and takes down again
  deployer: {{type: local}}         # as processes of this machine
  nodes:
    count: 3
    name: "n{{index}}"              # n0, n1, n2
  external: []                    # nodes that exist already and stand beside them, by their endpoints
""",
    "attached": """\
source:
  mode: attached                  # nodes that exist already and are looked for
  attach:
    type: static                  # listed in a file: a nodes file, a run's inventory.json, or Prometheus file_sd
    file: nodes.yaml
    # expect: 3                   # how many there should be
    # allow: [restart]            # what else than reading and writing may be done to them
  external: []
""",
    "external-only": """\
source:
  mode: external-only             # nodes that exist already, by their endpoints; they are only read and written
  external:
    - {{name: a, endpoints: {{{port}: "${{A:-http://127.0.0.1:{number}}}"}}}}
    # - name: b
    #   endpoints: {{{port}: "https://b.example:{number}"}}
    #   auth: {{basic: {{username: "env:NODE_USER", password: "env:NODE_PASSWORD"}}}}
    #   tls: {{ca: ca.pem, cert: client.pem, key: client.key}}
""",
}
BODY = """
readiness: {{policy: all, timeout: 60s}}
deadline: 5m                      # bootstrap and steps together

"""
KEY_VALUE = "  - put: {{key: greeting, value: hello}}\n  - get: {{key: greeting, expect: hello, target: all}}\n"
RESTART = "  - restart: {{target: n1}}         # returns when n1 is ready again\n"
CHECKS = """\
expectations:                     # evaluated at the end, whatever the steps came to
  - {{use: reachable}}
"""
MANAGED_CHECKS = "  - {{use: no-crash}}\n"


def known_kind(registry: Registry, kind: str) -> NodeKind:
    """An installed kind, or that of a file whose path starts from the present folder.

    Raises ``UsageError`` for one that is not there, ``SpecInvalid`` for a file with problems.
    """
    if is_file_word(kind):
        try:
            return read_file(kind, registry.kind_formats, Path.cwd(), base_is="the present folder")
        except SpecInvalid as error:
            wrong = error.problems[0]
            if wrong.file:
                raise
            raise UsageError(wrong.message, hint=wrong.hint) from error
    if kind not in registry.kinds:
        raise UsageError(f"no kind '{kind}' is installed", hint=nearest(kind, registry.kinds))
    return registry.kinds[kind]


def word_of_kind(kind: str, scenario: Path) -> str:
    """How a scenario calls a kind that was given from the present folder: the path of a file starts at the scenario's.

    A folder that is a link counts as what it leads to, as ``..`` does.
    """
    if not is_file_word(kind):
        return kind
    if not Path(kind).is_absolute():
        file, folder = Path(kind), scenario.absolute().parent.resolve()
        kind = os.path.relpath(file.absolute().parent.resolve() / file.name, folder)
        kind = kind if kind.startswith("..") else f"./{kind}"
    return kind if PLAIN.fullmatch(kind) else json.dumps(kind, ensure_ascii=False)


def template(known: NodeKind, *, kind: str, mode: str | None, name: str) -> str:
    """A scenario for a kind, which it calls ``kind``: a word as YAML has it.

    Without a mode, its nodes are started if it says how. Raises ``UsageError`` for nodes that cannot be started.
    """
    if mode == "managed" and known.program is None:
        raise UsageError(f"kind '{known.name}' names no program to start", hint="choose --mode external-only")
    mode = mode or ("managed" if known.program is not None else "external-only")
    number = next((port.number for port in known.ports if port.name == known.api_port), 80)
    writes, copies = speaks(known, KeyValue), speaks(known, StateDigest)
    steps = (KEY_VALUE if writes else "") + (RESTART if mode == "managed" else "")
    if writes and copies and mode == "managed":
        steps += "  - expect: {{use: converged, within: 10s}}\n"
    parts = [HEAD, SOURCES[mode], BODY, f"steps:\n{steps}\n" if steps else "steps: []\n\n", CHECKS]
    parts += [MANAGED_CHECKS] if mode == "managed" else []
    return "".join(parts).format(name=name, kind=kind, port=known.api_port, number=number)

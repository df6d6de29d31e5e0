"""A kind that a file describes, as containers: addresses, files, environment and commands reach it there too."""

from __future__ import annotations

import json

import pytest

from e2e.support import found

from .command import Yard

pytestmark = pytest.mark.real
KIND = """\
nodeyard-kind: 1
name: pages
summary: the web server of busybox
ports: {http: 8000}
launch:
  program: busybox
  args: [httpd, -f, -p, "{{ listen.http }}", -h, "{{ config_dir }}"]
  env: {TOY: "x-{{ name }}"}
  files:
    self.json: |
      {"name": "{{ name }}", "peers": ["{{ peers | map(attribute='advertise.http') | join('", "') }}"]}
  stop: {signal: KILL, grace: 1s}
ready:
  - {get: /self.json, find: name}
  - {command: [busybox, sh, -c, "echo $TOY"], match: 'x-n\\d'}
peer_id: {get: /self.json, find: name}
peers: {get: /self.json, find: peers}
"""


def test_a_declared_kind_runs_as_containers(yard: Yard, busybox_image: str) -> None:
    (yard.home.path / "pages.yaml").write_text(KIND)
    source = yard.managed(count=2, image=busybox_image)
    done = yard.run({"kind": "./pages.yaml", "source": source, "expectations": [{"use": "reachable"}]})
    assert done.status == 0, done.err
    folder = yard.home.output / yard.runs()[0]
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert found(events, "node-identified", node="n0", peer_id="n0")
    assert found(events, "node-identified", node="n1", peer_id="n1")

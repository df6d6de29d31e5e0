"""Nodes that somebody else runs and that do not fit, and runs side by side on one machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from etcd.etcd_processes import EtcdCluster, started_cluster

from .support import Json, Nodeyard, Portrait

pytestmark = pytest.mark.real
RUNS = 8


def borrowing(**urls: str) -> Json:
    external = [{"name": name, "endpoints": {"client": url}} for name, url in urls.items()]
    return {
        "source": {"mode": "external-only", "external": external},
        "readiness": {"timeout": "5s"},
        "expectations": [{"use": "reachable"}],
    }


def cluster_id(cluster: EtcdCluster) -> str:
    """As etcd's own tools print it."""
    header = cluster.nodes[0].ask("/v3/maintenance/status", {})["header"]
    assert isinstance(header, dict)
    return f"{int(header['cluster_id']):x}"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A web server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


def test_two_clusters_are_refused_with_a_table_that_names_both(
    nodeyard: Nodeyard, canary: EtcdCluster, tmp_path: Path
) -> None:
    with started_cluster(tmp_path, 1, token="other", names="other") as other:
        before = Portrait.of(canary), Portrait.of(other)
        urls = {"one": str(canary.nodes[0].endpoint.url), "two": str(other.nodes[0].endpoint.url)}
        done = nodeyard("run", nodeyard.write(borrowing(**urls)))
        assert (Portrait.of(canary), Portrait.of(other)) == before
        ids = {cluster_id(cluster) for cluster in (canary, other)}
    assert done.status == 7
    verdict = json.loads((nodeyard.only_run() / "verdict.json").read_text())
    assert [error["code"] for error in verdict["errors"]] == ["incompatible"]
    table = [line for line in done.out.splitlines() if line.lstrip().startswith("|")]
    told = "\n".join(table)
    assert "one" in told or "two" in told
    assert all(number in told for number in ids)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(200, b"<html>welcome</html>", "answer-invalid"), (401, b"who are you?", "authentication-failed")],
)
def test_an_endpoint_that_is_no_node_is_told_from_one_that_refuses_us(
    nodeyard: Nodeyard, status: int, body: bytes, code: str
) -> None:
    with answering(status, body) as url:
        checked = nodeyard("preflight", nodeyard.write(borrowing(e0=url)), "--json")
        done = nodeyard("run", nodeyard.write(borrowing(e0=url)))
    assert done.status == checked.status == 7
    assert "Traceback" not in done.err + checked.err
    wanted = {"answer-invalid": "<html>welcome</html>", "authentication-failed": "credentials"}[code]
    assert wanted in done.out
    assert "e0" in done.out
    assert "hint:" in done.out
    assert nodeyard.leftovers() == []


def test_credentials_that_are_wrong(nodeyard: Nodeyard) -> None:
    """Told without being shown."""
    nodeyard.extra = {**nodeyard.extra, "PASSWORD": "open sesame"}
    with answering(401, b"who are you?") as url:
        scenario = borrowing(e0=url)
        scenario["source"]["external"][0]["auth"] = {"basic": {"username": "env:PASSWORD", "password": "env:PASSWORD"}}
        done = nodeyard("run", nodeyard.write(scenario))
    assert done.status == 7
    assert "[node/authentication-failed]" in done.out
    assert "refused our basic credentials" in done.out
    assert "check what 'auth:' of this node's source refers to" in done.out
    written = [path.read_text() for path in nodeyard.only_run().rglob("*") if path.is_file()]
    assert not [text for text in (done.out, done.err, *written) if "open sesame" in text]


def test_eight_networks_at_once_share_no_port(nodeyard: Nodeyard) -> None:
    scenario = nodeyard.write({"source": nodeyard.managed()})
    runners = [nodeyard.start("up", scenario, "--ttl", "10m", "--json") for _ in range(RUNS)]
    done = [runner.wait() for runner in runners]
    assert [one.status for one in done] == [0] * RUNS
    taken = [url for one in done for node in one.document["nodes"] for url in node["endpoints"].values()]
    assert len(set(taken)) == len(taken) == 2 * RUNS
    ending = [nodeyard.start("down", one.document["run"]) for one in done]
    assert [runner.wait().status for runner in ending] == [0] * RUNS
    assert nodeyard.leftovers() == []

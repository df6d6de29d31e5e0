"""The form of CometBFT's RPC answers (0.37 and 0.38): numbers are texts, bytes are hexadecimal or base64. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.node_client import Block
from nodeyard.errors import provider as errors
from nodeyard.kinds._wording import excerpt
from nodeyard.ports.transport import Reply

UNCERTAIN = ("timed out waiting", "timeout waiting")
"""Refusals after which a transaction may still be included."""
CACHED = "tx already exists in cache"


@dataclass(frozen=True)
class Status:
    """The answer of ``/status``. ``earliest`` is the lowest height that the node still has."""

    peer_id: str
    network: str
    version: str
    listens: str
    protocol: str
    height: int
    earliest: int
    block: str
    state: str
    catching_up: bool
    power: int


def parse_status(reply: Reply) -> Status:
    """Raises ``NodeAnswerInvalid`` when the answer is not CometBFT's."""
    result = result_of(reply)
    info, sync = section(result, "node_info", reply), section(result, "sync_info", reply)
    versions = section(info, "protocol_version", reply)
    validator = result.get("validator_info")
    peer_id, network = info.get("id"), info.get("network")
    if not isinstance(peer_id, str) or not peer_id or not isinstance(network, str) or not network:
        raise not_cometbft(reply, "it names no node id and network")
    return Status(
        peer_id=peer_id.lower(),
        network=network,
        version=str(info.get("version", "")),
        listens=str(info.get("listen_addr", "")),
        protocol=protocol_text(number(versions, "block", reply), number(versions, "p2p", reply)),
        height=number(sync, "latest_block_height", reply),
        earliest=number(sync, "earliest_block_height", reply),
        block=str(sync.get("latest_block_hash", "")),
        state=str(sync.get("latest_app_hash", "")),
        catching_up=sync.get("catching_up") is True,
        power=number(validator, "voting_power", reply) if isinstance(validator, dict) else 0,
    )


def protocol_text(block: int, p2p: int) -> str:
    """The protocol versions that all nodes of a network must share. That of the application may rise while it runs."""
    return f"block {block}, p2p {p2p}"


def program_facts(answer: str) -> NetworkFacts:
    """What ``cometbft version --verbose`` tells of the node that the program will be; possibly nothing."""
    try:
        told = json.loads(answer)
        return NetworkFacts(protocol=protocol_text(int(told["block_protocol"]), int(told["p2p_protocol"])))
    except (KeyError, TypeError, ValueError):
        return NetworkFacts()


def parse_block(reply: Reply) -> Block:
    """The block of a ``/block`` answer. Its content is the digest of header and transactions, which all versions of
    CometBFT write alike.
    """
    result = result_of(reply)
    block = section(result, "block", reply)
    header = section(block, "header", reply)
    served = json.dumps([header, section(block, "data", reply)], sort_keys=True, separators=(",", ":"))
    found = section(result, "block_id", reply).get("hash")
    if not isinstance(found, str) or not found:
        raise not_cometbft(reply, "its block has no hash")
    return Block(
        number(header, "height", reply),
        found.upper(),
        str(header.get("app_hash", "")).upper(),
        hashlib.sha256(served.encode()).hexdigest(),
    )


def parse_transactions(reply: Reply) -> tuple[str, ...]:
    """The ids of the transactions in the block of a ``/block`` answer."""
    data = section(section(result_of(reply), "block", reply), "data", reply)
    listed = data.get("txs") or []
    if not isinstance(listed, list):
        raise not_cometbft(reply, "its transactions are no list")
    return tuple(tx_id(bytes_of(tx, reply)) for tx in listed)


def tx_id(tx: bytes) -> str:
    """The id of a transaction: its SHA-256 in upper-case hexadecimal, as every node tells it."""
    return hashlib.sha256(tx).hexdigest().upper()


def parse_peers(reply: Reply) -> tuple[str, ...]:
    """The peer ids of a ``/net_info`` answer, sorted."""
    peers = result_of(reply).get("peers") or []
    if not isinstance(peers, list):
        raise not_cometbft(reply, "its peers are no list")
    infos = (section(peer, "node_info", reply) for peer in peers if isinstance(peer, dict))
    return tuple(sorted(str(info.get("id", "")).lower() for info in infos))


def section(answer: Mapping[str, Any], key: str, reply: Reply) -> dict[str, Any]:
    found = answer.get(key)
    if not isinstance(found, dict):
        raise not_cometbft(reply, f"it has no '{key}'")
    return found


def number(answer: Mapping[str, Any], key: str, reply: Reply) -> int:
    """A 64-bit number, which JSON carries as text."""
    value = answer.get(key, 0)
    try:
        return int(value) if isinstance(value, str | int) else int("")
    except ValueError:
        raise not_cometbft(reply, f"'{key}' is no number") from None


def text_of(value: object, reply: Reply) -> str:
    """Text from base64; ``null`` is empty."""
    return bytes_of(value, reply).decode("utf-8", "replace")


def bytes_of(value: object, reply: Reply) -> bytes:
    """Bytes from base64; ``null`` is empty."""
    try:
        return base64.b64decode(value or "", validate=True)  # type: ignore[arg-type]
    except (binascii.Error, TypeError, ValueError):
        raise not_cometbft(reply, "a value is not base64") from None


def result_of(reply: Reply) -> dict[str, Any]:
    """The ``result`` of a good answer.

    Raises ``NodeRefused`` or ``NodeTimeout`` for an error that CometBFT tells, and ``NodeAnswerInvalid`` for
    everything that it never says.
    """
    answer = reply.json()
    if not isinstance(answer, dict) or "jsonrpc" not in answer:
        raise not_cometbft(reply, "it is no JSON-RPC")
    error = answer.get("error")
    if isinstance(error, dict):
        raise refusal(reply, error)
    result = answer.get("result")
    if not isinstance(result, dict):
        raise not_cometbft(reply, "it has no result")
    return result


def refusal(reply: Reply, error: Mapping[str, Any]) -> errors.ProviderError:
    """The typed error for an error that CometBFT answered."""
    said = str(error.get("data") or error.get("message") or "no reason told")
    evidence = [f"HTTP {reply.status}: {said}"]
    if any(sign in said for sign in UNCERTAIN):
        return errors.NodeTimeout(
            f"{reply.url} could not say whether it was included: {said}",
            evidence=evidence,
            hint="does the chain still make blocks?",
        )
    return errors.NodeRefused(f"{reply.url} refused: {said}", evidence=evidence)


def not_cometbft(reply: Reply, why: str) -> errors.NodeAnswerInvalid:
    start = excerpt(reply.text)
    return errors.NodeAnswerInvalid(
        f"{reply.url} does not answer like CometBFT: {why}",
        evidence=[f"HTTP {reply.status}: {start or '(an empty body)'}"],
        hint="is this the RPC port of a CometBFT node, and is the kind right?",
    )

"""CometBFT's settings as data: which a scenario may give, of which type, and which belong to Nodeyard. Pure.

Names are those of ``config.toml`` with the section before a dot, and those of the genesis document. They and the types
are of CometBFT 0.37 to 0.38 (``config/config.go``, ``types/params.go``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from nodeyard.domain.sources import Scalar

ADDRESS = "addresses come from the deployer"
PEERS = "the bootstrap policy chooses them"
FOLDER = "Nodeyard puts a node's files where it can remove them"
TLS = "Nodeyard reaches managed nodes over plain HTTP"

CONTROLLED: Mapping[str, str] = {
    **dict.fromkeys(("rpc.laddr", "p2p.laddr", "p2p.external_address"), ADDRESS),
    **dict.fromkeys(("rpc.grpc_laddr", "rpc.pprof_laddr", "priv_validator_laddr"), ADDRESS),
    **dict.fromkeys(("instrumentation.prometheus", "instrumentation.prometheus_listen_addr"), ADDRESS),
    **dict.fromkeys(("p2p.persistent_peers", "p2p.seeds"), PEERS),
    **dict.fromkeys(("home", "db_dir", "genesis_file", "node_key_file", "p2p.addr_book_file"), FOLDER),
    **dict.fromkeys(("priv_validator_key_file", "priv_validator_state_file"), FOLDER),
    **dict.fromkeys(("mempool.wal_dir", "consensus.wal_file", "statesync.temp_dir"), FOLDER),
    **dict.fromkeys(("rpc.tls_cert_file", "rpc.tls_key_file"), TLS),
    "moniker": "a node is called as the scenario calls it",
    "chain_id": "set it with 'network: {id: ...}'",
    "log_format": "Nodeyard reads plain lines",
}
"""Settings that a scenario must not give, and why."""

POWER = "power"
"""Voting power of a validator in the genesis."""
POWER_DEFAULT = 10
INITIAL_HEIGHT = "initial_height"
GENESIS_NUMBERS: Mapping[str, int] = {
    INITIAL_HEIGHT: 1,
    "consensus_params.block.max_bytes": 22_020_096,
    "consensus_params.block.max_gas": -1,
    "consensus_params.evidence.max_age_num_blocks": 100_000,
    "consensus_params.evidence.max_bytes": 1_048_576,
    "consensus_params.version.app": 0,
    "consensus_params.abci.vote_extensions_enable_height": 0,
}
"""Settings of the genesis, one for the whole network, with CometBFT's own defaults."""
GENESIS_LEAST: Mapping[str, int] = {
    POWER: 1,
    INITIAL_HEIGHT: 1,
    "consensus_params.block.max_bytes": -1,
    "consensus_params.block.max_gas": -1,
    "consensus_params.evidence.max_age_num_blocks": 1,
}

NUMBERS = frozenset(
    [
        "event_bus_buffer_capacity",
        "rpc.grpc_max_open_connections",
        "rpc.max_open_connections",
        "rpc.max_subscription_clients",
        "rpc.max_subscriptions_per_client",
        "rpc.experimental_subscription_buffer_size",
        "rpc.experimental_websocket_write_buffer_size",
        "rpc.max_request_batch_size",
        "rpc.max_body_bytes",
        "rpc.max_header_bytes",
        "p2p.max_num_inbound_peers",
        "p2p.max_num_outbound_peers",
        "p2p.max_packet_msg_payload_size",
        "p2p.send_rate",
        "p2p.recv_rate",
        "mempool.size",
        "mempool.max_txs_bytes",
        "mempool.cache_size",
        "mempool.max_tx_bytes",
        "mempool.max_batch_bytes",
        "mempool.experimental_max_gossip_connections_to_persistent_peers",
        "mempool.experimental_max_gossip_connections_to_non_persistent_peers",
        "statesync.trust_height",
        "statesync.chunk_fetchers",
        "statesync.max_snapshot_chunks",
        "consensus.double_sign_check_height",
        "instrumentation.max_open_connections",
    ]
)
SWITCHES = frozenset(
    [
        "filter_peers",
        "rpc.unsafe",
        "rpc.experimental_close_on_slow_client",
        "p2p.addr_book_strict",
        "p2p.pex",
        "p2p.seed_mode",
        "p2p.allow_duplicate_ip",
        "p2p.test_dial_fail",
        "p2p.test_fuzz",
        "mempool.recheck",
        "mempool.broadcast",
        "mempool.keep-invalid-txs-in-cache",
        "statesync.enable",
        "consensus.skip_timeout_commit",
        "consensus.create_empty_blocks",
        "storage.discard_abci_responses",
    ]
)
DURATIONS = frozenset(
    [
        "rpc.timeout_broadcast_tx_commit",
        "p2p.persistent_peers_max_dial_period",
        "p2p.flush_throttle_timeout",
        "p2p.handshake_timeout",
        "p2p.dial_timeout",
        "mempool.recheck_timeout",
        "statesync.trust_period",
        "statesync.discovery_time",
        "statesync.chunk_request_timeout",
        "consensus.timeout_propose",
        "consensus.timeout_propose_delta",
        "consensus.timeout_prevote",
        "consensus.timeout_prevote_delta",
        "consensus.timeout_precommit",
        "consensus.timeout_precommit_delta",
        "consensus.timeout_commit",
        "consensus.create_empty_blocks_interval",
        "consensus.peer_gossip_sleep_duration",
        "consensus.peer_query_maj23_sleep_duration",
    ]
)
TEXTS = frozenset(
    [
        "version",
        "proxy_app",
        "log_level",
        "rpc.cors_allowed_origins",
        "rpc.cors_allowed_methods",
        "rpc.cors_allowed_headers",
        "p2p.unconditional_peer_ids",
        "p2p.private_peer_ids",
        "statesync.rpc_servers",
        "statesync.trust_hash",
        "tx_index.psql-conn",
        "instrumentation.namespace",
    ]
)
CHOICES: Mapping[str, tuple[str, ...]] = {
    "abci": ("socket", "grpc"),
    "db_backend": ("goleveldb", "cleveldb", "boltdb", "rocksdb", "badgerdb", "pebbledb"),
    "mempool.type": ("flood", "nop"),
    "blocksync.version": ("v0",),
    "tx_index.indexer": ("kv", "null", "psql"),
}
GENESIS = frozenset({POWER, *GENESIS_NUMBERS})
"""Settings that only count when a network is made: they go into its genesis."""
KNOWN = frozenset().union(NUMBERS, SWITCHES, DURATIONS, TEXTS, CHOICES, GENESIS)

FAST: Mapping[str, Scalar] = {
    "consensus.timeout_propose": "1s",
    "consensus.timeout_commit": "200ms",
    "consensus.peer_gossip_sleep_duration": "10ms",
    "p2p.flush_throttle_timeout": "5ms",
    "p2p.addr_book_strict": False,
    "p2p.allow_duplicate_ip": True,
}
"""What a managed node gets unless its config says otherwise: several blocks a second, and peers on one host."""

GO_DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+|0s?")
MOST_POWER = 2**63 // 8 - 1
"""CometBFT's bound for the sum of all powers (``types.MaxTotalVotingPower``)."""


def config_problems(config: Mapping[str, Scalar]) -> Sequence[tuple[str, str]]:
    """Each wrong key of a node's config with what is wrong about it."""
    return [(key, problem) for key, value in config.items() if (problem := setting_problem(key, value))]


def setting_problem(key: str, value: Scalar) -> str:
    """What is wrong with one setting, or an empty text."""
    if key in CONTROLLED:
        return f"is set by Nodeyard: {CONTROLLED[key]}"
    if key not in KNOWN:
        return unknown_problem(key)
    if key in CHOICES:
        return "" if value in CHOICES[key] else f"is one of {', '.join(CHOICES[key])}"
    if key in SWITCHES:
        return "" if isinstance(value, bool) else "is true or false"
    if key in DURATIONS:
        return (
            "" if isinstance(value, str) and GO_DURATION.fullmatch(value) else "is a duration, as in 250ms, 20s or 5m"
        )
    if key in TEXTS:
        return "" if isinstance(value, str) else "is a text"
    return _number_problem(key, value)


def _number_problem(key: str, value: Scalar) -> str:
    least = GENESIS_LEAST.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        return f"is a whole number, {least} or more"
    if key == POWER and value > MOST_POWER:
        return f"is at most {MOST_POWER}"
    return ""


def unknown_problem(key: str) -> str:
    """An unknown setting, with the nearest one that a scenario may give."""
    word = key.lower()
    leaves = {name.rpartition(".")[2]: name for name in sorted(KNOWN)}
    if word.replace("-", "_") in leaves:
        near = [leaves[word.replace("-", "_")]]
    else:
        near = difflib.get_close_matches(word, sorted(KNOWN | set(CONTROLLED)), n=1)
        near = near or [leaves[leaf] for leaf in difflib.get_close_matches(word, sorted(leaves), n=1)]
    return f"is no setting of CometBFT; did you mean '{near[0]}'?" if near else "is no setting of CometBFT"


def as_toml(values: Mapping[str, Scalar]) -> str:
    """Settings as the text of a ``config.toml``: top-level ones first, then section by section, sorted."""
    return "\n".join(_toml_lines(values)) + "\n"


def _toml_lines(values: Mapping[str, Scalar]) -> Iterator[str]:
    section = ""
    for key in sorted(values, key=lambda name: ("." in name, name)):
        table, _, leaf = key.rpartition(".")
        if table != section:
            section = table
            yield ""
            yield f"[{table}]"
        yield f"{leaf} = {_toml_value(values[key])}"


def _toml_value(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\' or ord(c) == 127 else c for c in value)
    return f'"{escaped}"'

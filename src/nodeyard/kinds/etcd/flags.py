"""etcd's command line as data: which settings a scenario may give, of which type, and which belong to Nodeyard. Pure.

Names and types are those of etcd 3.4 to 3.6 (``etcd --help`` and ``server/etcdmain/config.go``). A flag that the
installed version does not know is refused by etcd itself at its start.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from nodeyard.domain.sources import Scalar

ADDRESS = "addresses come from the deployer"
MEMBERSHIP = "Nodeyard decides who the members are"
TLS = "Nodeyard reaches managed etcd nodes over plain HTTP on their own ports"
FOLDER = "Nodeyard puts a node's files where it can remove them"
LOGS = "Nodeyard keeps a node's log where it can find it"

CONTROLLED: Mapping[str, str] = {
    **dict.fromkeys(("name", "initial-cluster", "initial-cluster-state", "initial-cluster-token"), MEMBERSHIP),
    **dict.fromkeys(("force-new-cluster", "discovery", "discovery-endpoints", "discovery-fallback"), MEMBERSHIP),
    **dict.fromkeys(("discovery-proxy", "discovery-srv", "discovery-srv-name", "discovery-token"), MEMBERSHIP),
    **dict.fromkeys(("listen-client-urls", "listen-peer-urls", "listen-metrics-urls"), ADDRESS),
    **dict.fromkeys(("advertise-client-urls", "initial-advertise-peer-urls", "listen-client-http-urls"), ADDRESS),
    **dict.fromkeys(("data-dir", "wal-dir"), FOLDER),
    "config-file": "etcd ignores every other flag beside it; write its settings here",
    "proxy": "a proxy is no member",
    **dict.fromkeys(("logger", "log-outputs", "enable-log-rotation", "log-rotation-config-json"), LOGS),
    **dict.fromkeys(("cert-file", "key-file", "trusted-ca-file", "client-cert-auth", "client-crl-file"), TLS),
    **dict.fromkeys(("client-cert-file", "client-key-file", "client-cert-allowed-hostname", "auto-tls"), TLS),
    **dict.fromkeys(("peer-cert-file", "peer-key-file", "peer-trusted-ca-file", "peer-client-cert-auth"), TLS),
    **dict.fromkeys(("peer-client-cert-file", "peer-client-key-file", "peer-crl-file", "peer-auto-tls"), TLS),
    **dict.fromkeys(("peer-cert-allowed-cn", "peer-cert-allowed-hostname", "self-signed-cert-validity"), TLS),
    **dict.fromkeys(("cipher-suites", "tls-min-version", "tls-max-version"), TLS),
}
"""Flags that a scenario must not set, and why."""

NUMBERS = frozenset(
    [
        "snapshot-count",
        "heartbeat-interval",
        "election-timeout",
        "max-snapshots",
        "max-wals",
        "quota-backend-bytes",
        "backend-batch-limit",
        "max-txn-ops",
        "max-request-bytes",
        "max-concurrent-streams",
        "bcrypt-cost",
        "auth-token-ttl",
        "max-learners",
        "compaction-batch-limit",
        "experimental-compaction-batch-limit",
        "experimental-max-learners",
        "experimental-snapshot-catchup-entries",
        "snapshot-catchup-entries",
        "bootstrap-defrag-threshold-megabytes",
        "experimental-bootstrap-defrag-threshold-megabytes",
        "distributed-tracing-sampling-rate",
        "experimental-distributed-tracing-sampling-rate",
    ]
)
SWITCHES = frozenset(
    [
        "initial-election-tick-advance",
        "socket-reuse-port",
        "socket-reuse-address",
        "strict-reconfig-check",
        "pre-vote",
        "enable-v2",
        "enable-pprof",
        "enable-grpc-gateway",
        "experimental-enable-distributed-tracing",
        "enable-distributed-tracing",
        "experimental-initial-corrupt-check",
        "experimental-compact-hash-check-enabled",
        "compact-hash-check-enabled",
        "experimental-enable-lease-checkpoint",
        "experimental-enable-lease-checkpoint-persist",
        "experimental-memory-mlock",
        "memory-mlock",
        "experimental-peer-skip-client-san-verification",
        "peer-skip-client-san-verification",
        "experimental-txn-mode-write-with-shared-buffer",
        "experimental-stop-grpc-service-on-defrag",
        "unsafe-no-fsync",
    ]
)
DURATIONS = frozenset(
    [
        "backend-batch-interval",
        "grpc-keepalive-min-time",
        "grpc-keepalive-interval",
        "grpc-keepalive-timeout",
        "experimental-corrupt-check-time",
        "corrupt-check-time",
        "experimental-compact-hash-check-time",
        "compact-hash-check-time",
        "experimental-watch-progress-notify-interval",
        "watch-progress-notify-interval",
        "experimental-warning-apply-duration",
        "warning-apply-duration",
        "experimental-warning-unary-request-duration",
        "warning-unary-request-duration",
        "experimental-compaction-sleep-interval",
        "compaction-sleep-interval",
        "experimental-downgrade-check-time",
        "downgrade-check-time",
        "experimental-wait-cluster-ready-timeout",
        "raft-read-timeout",
        "raft-write-timeout",
    ]
)
TEXTS = frozenset(
    [
        "auto-compaction-retention",
        "cors",
        "host-whitelist",
        "auth-token",
        "experimental-enable-v2v3",
        "feature-gates",
        "experimental-distributed-tracing-address",
        "experimental-distributed-tracing-service-name",
        "experimental-distributed-tracing-instance-id",
        "distributed-tracing-address",
        "distributed-tracing-service-name",
        "distributed-tracing-instance-id",
    ]
)
CHOICES: Mapping[str, tuple[str, ...]] = {
    "auto-compaction-mode": ("periodic", "revision"),
    "backend-bbolt-freelist-type": ("map", "array"),
    "log-level": ("debug", "info", "warn", "error", "panic", "fatal"),
    "log-format": ("json", "console"),
    "metrics": ("basic", "extensive"),
    "v2-deprecation": ("not-yet", "write-only", "write-only-drop-data", "gone"),
}
KNOWN = frozenset().union(NUMBERS, SWITCHES, DURATIONS, TEXTS, CHOICES)

GO_DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+|0")
HEARTBEAT_DEFAULT, ELECTION_DEFAULT = 100, 1000
"""Milliseconds; what etcd takes when nothing is said."""
ELECTION_MOST = 50_000
ELECTION_LEAST_RATIO = 5
"""etcd refuses an election timeout under five heartbeats or above 50 s (``embed.Config.Validate``)."""


def config_problems(config: Mapping[str, Scalar]) -> Sequence[tuple[str, str]]:
    """Each wrong key of a node's config with what is wrong about it."""
    found = [(key, problem) for key, value in config.items() if (problem := flag_problem(key, value))]
    if not found:
        found = [(key, problem) for key, problem in (election_problem(config),) if problem]
    return found


def flag_problem(key: str, value: Scalar) -> str:
    """What is wrong with one setting, or an empty text."""
    plain = key.removeprefix("--")
    if plain in CONTROLLED:
        return f"is set by Nodeyard: {CONTROLLED[plain]}"
    if key not in KNOWN:
        return unknown_problem(key)
    if key in CHOICES:
        return "" if value in CHOICES[key] else f"is one of {', '.join(CHOICES[key])}"
    if key in SWITCHES:
        return "" if isinstance(value, bool) else "is true or false"
    if key in NUMBERS:
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return "" if whole else "is a whole number, 0 or more"
    if key in DURATIONS:
        fits = isinstance(value, str) and GO_DURATION.fullmatch(value)
        return "" if fits else "is a duration, as in 250ms, 20s or 5m"
    return "is a text" if isinstance(value, bool) else ""


def unknown_problem(key: str) -> str:
    """An unknown flag, with the nearest one that a scenario may set."""
    word = key.lstrip("-").replace("_", "-").lower()
    if word in KNOWN:
        return f"is no flag of etcd; did you mean '{word}'?"
    near = difflib.get_close_matches(word, sorted(KNOWN | set(CONTROLLED)), n=1)
    return f"is no flag of etcd; did you mean '{near[0]}'?" if near else "is no flag of etcd"


def election_problem(config: Mapping[str, Scalar]) -> tuple[str, str]:
    """The rule that ties both election settings, which etcd checks only at its start."""
    heartbeat = config.get("heartbeat-interval", HEARTBEAT_DEFAULT)
    election = config.get("election-timeout", ELECTION_DEFAULT)
    named = "election-timeout" if "election-timeout" in config else "heartbeat-interval"
    if not isinstance(heartbeat, int) or not isinstance(election, int):
        return named, ""
    if heartbeat == 0:
        return "heartbeat-interval", "is a whole number of milliseconds above 0"
    if election > ELECTION_MOST:
        return named, f"of {election} ms is above etcd's limit of {ELECTION_MOST} ms"
    if election < ELECTION_LEAST_RATIO * heartbeat:
        return named, (
            f"leaves an election timeout of {election} ms under {ELECTION_LEAST_RATIO} heartbeats of {heartbeat} ms, "
            "which etcd refuses"
        )
    return named, ""


def as_args(config: Mapping[str, Scalar]) -> tuple[str, ...]:
    """The settings as arguments, in the order of their names, so that equal configs give equal command lines."""
    return tuple(f"--{key}={written(config[key])}" for key in sorted(config))


def written(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""TLS towards nodes: one context per ``Tls`` value, and plain words for what a handshake says.

Must not live here: connections (``_http``), and TLS of managed nodes, which is a matter of their launch.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.sources import Tls
from nodeyard.errors.provider import TlsFailed

CLIENT_CERTIFICATE_ALERTS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "HANDSHAKE_FAILURE")
"""Alerts of servers that demand a certificate of ours; older Go servers call a missing one a bad one."""
OUR_CERTIFICATE_ALERTS = ("UNKNOWN_CA", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED",
                          "UNSUPPORTED_CERTIFICATE")  # fmt: skip
FILE_REASONS = {
    "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate in PEM form",
    "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
    "BAD_DECRYPT": "the key has a passphrase",
    "BAD_PASSWORD_READ": "the key has a passphrase",
}
FILES_HINT = "name readable PEM files under 'tls:'; a key belongs to its certificate and has no passphrase"
EXPIRED, NOT_YET_VALID, WRONG_HOST, WRONG_ADDRESS = 10, 9, 62, 64
"""Verification codes of OpenSSL (``x509_vfy.h``)."""


class TlsContexts:
    """Contexts by ``Tls`` value. Reading files takes milliseconds, so each is made once. Paths start from ``base``."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._made: dict[Tls, ssl.SSLContext] = {}

    def of(self, endpoint: Endpoint) -> ssl.SSLContext:
        """The context for an endpoint. Raises ``TlsFailed`` when a file cannot be read or does not fit."""
        tls = endpoint.tls or Tls()
        context = self._made.get(tls)
        if context is None:
            context = self._made[tls] = make_context(tls, self._base)
        return context


def make_context(tls: Tls, base: Path) -> ssl.SSLContext:
    """A verifying client context. Raises ``TlsFailed`` naming the file that is of no use. Paths start from ``base``."""
    what = f"ca '{tls.ca}'"
    try:
        context = ssl.create_default_context(cafile=None if tls.ca is None else base / tls.ca)
        if tls.cert is not None and tls.key is not None:
            what = f"cert '{tls.cert}' with key '{tls.key}'"
            # An empty passphrase makes a locked key an error; without one OpenSSL would ask on the terminal.
            context.load_cert_chain(base / tls.cert, base / tls.key, password="")
    except (OSError, ValueError) as error:
        raise TlsFailed(f"the TLS {what} cannot be used: {_file_reason(error)}", hint=FILES_HINT) from error
    return context


def _file_reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return FILE_REASONS.get(error.reason or "", "what it holds is not PEM")
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def tls_reason(error: ssl.SSLError, tls: Tls | None) -> tuple[str, str]:
    """What a failed handshake means, and a hint. Pure."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification_reason(error)
    text = str(error).upper()
    ours = tls is not None and tls.cert is not None
    if any(alert in text for alert in CLIENT_CERTIFICATE_ALERTS) and not ours:
        return "it demands a client certificate", "add 'cert' and 'key' under 'tls:' of this node's source"
    if any(alert in text for alert in (*CLIENT_CERTIFICATE_ALERTS, *OUR_CERTIFICATE_ALERTS)):
        return (
            "it refused our client certificate",
            "is 'cert' under 'tls:' signed by the node's authority, still valid, and meant for clients?",
        )
    if any(sign in text for sign in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")):
        return "it does not speak TLS on this port", "write the endpoint with http:// if it is meant to be plain"
    return f"the handshake failed ({getattr(error, 'reason', None) or error})", "compare the TLS settings of both sides"


def _verification_reason(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    code, detail = error.verify_code, error.verify_message
    if code in (WRONG_HOST, WRONG_ADDRESS):
        return (
            f"its certificate is for another host name ({detail})",
            "use the name in the certificate as the host, or set 'server_name' under 'tls:'",
        )
    if code == EXPIRED:
        return "its certificate has expired", "renew the node's certificate"
    if code == NOT_YET_VALID:
        return "its certificate is not valid yet", "compare the clocks of both machines"
    return (
        f"its certificate is from an unknown authority ({detail})",
        "name the PEM file of the authority as 'ca' under 'tls:' of this node's source",
    )

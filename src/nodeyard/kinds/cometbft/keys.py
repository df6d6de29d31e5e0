"""Keys of nodes and validators: derived, so that the same run makes the same ones and a peer id is known before start.

A key follows from the run's id, the run's seed and the node's name, and is worth as much as these: it protects a
network that lives as long as a test. Forms are those of CometBFT's ``p2p/key.go`` and ``privval/file.go``. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field

from nodeyard.errors.validation import SourceUnsupported

NODE, VALIDATOR = "node", "validator"
"""What a key is for."""
ADDRESS_BYTES = 20
PUBLIC_TYPE, PRIVATE_TYPE = "tendermint/PubKeyEd25519", "tendermint/PrivKeyEd25519"


@dataclass(frozen=True)
class Key:
    """One ed25519 key pair."""

    secret: bytes = field(repr=False)
    public: bytes

    @property
    def address(self) -> str:
        """The first 20 bytes of the public key's SHA-256 in lower-case hexadecimal: of a node key, the peer id."""
        return hashlib.sha256(self.public).digest()[:ADDRESS_BYTES].hex()

    @property
    def public_json(self) -> dict[str, str]:
        return {"type": PUBLIC_TYPE, "value": base64.b64encode(self.public).decode()}

    @property
    def private_json(self) -> dict[str, str]:
        return {"type": PRIVATE_TYPE, "value": base64.b64encode(self.secret + self.public).decode()}


def derive(origin: str, node: str, purpose: str) -> Key:
    """The key of one node for one purpose. ``origin`` tells this run from every other.

    Raises ``SourceUnsupported`` when the package that computes public keys is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise SourceUnsupported(
            "kind 'cometbft' makes keys with the package 'cryptography', which is not installed",
            hint="pip install 'nodeyard[cometbft]'",
        ) from None
    secret = hashlib.sha256(f"nodeyard/{origin}/{node}/{purpose}".encode()).digest()
    return Key(secret, Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw())


def node_key_file(key: Key) -> bytes:
    """The content of ``node_key.json``."""
    return _written({"priv_key": key.private_json})


def validator_key_file(key: Key) -> bytes:
    """The content of ``priv_validator_key.json``."""
    return _written({"address": key.address.upper(), "pub_key": key.public_json, "priv_key": key.private_json})


def unsigned_state_file() -> bytes:
    """The content of ``priv_validator_state.json`` of a validator that has signed nothing yet."""
    return _written({"height": "0", "round": 0, "step": 0})


def _written(document: object) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()

"""An authority of a test's own, and the certificates that it issues: right ones, and each way to be wrong."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
HOUR = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """Made in a folder; ``ca`` is the file that trusts it. Its certificates serve servers and clients."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self._signed(self._name, self._key, [], ca=True, age=HOUR, life=2 * HOUR))

    def issue(
        self, name: str, *, host: str = "127.0.0.1", age: datetime.timedelta = HOUR, life: datetime.timedelta = 2 * HOUR
    ) -> Pair:
        """``NAME.pem`` and ``NAME-key.pem``, for an address or a host name, valid for ``life`` since ``age`` ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        try:
            names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(host))]
        except ValueError:
            names = [x509.DNSName(host)]
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}-key.pem")
        pair.cert.write_bytes(self._signed(subject, key, names, ca=False, age=age, life=life))
        plain = serialization.NoEncryption()
        pair.key.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
        return pair

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: list[x509.GeneralName],
        *,
        ca: bool,
        age: datetime.timedelta,
        life: datetime.timedelta,
    ) -> bytes:
        begin = datetime.datetime.now(datetime.UTC) - age
        number = x509.random_serial_number()
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), number, begin, begin + life)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(own, critical=False)
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(known, critical=False)
        usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
        builder = builder.add_extension(usage, critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(PEM)

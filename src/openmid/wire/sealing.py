"""Secrets on their way to one MID Server: JWE (RFC 7516), RSA-OAEP-256 + A256GCM, nothing negotiated.

The protected header binds the MID Server, the record, the column and the key, so that a sealed secret that is moved
to another record, or handed to another MID Server, does not open. It is opened in `openmid.midserver.agent_key`.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from joserfc.jwe import JWERegistry

ALGORITHM = "RSA-OAEP-256"
ENCRYPTION = "A256GCM"


@dataclass(frozen=True)
class SealedFor:
    """What a sealed secret is bound to: `mid` and `record` are sys_ids, `table` and `column` as the Table API says."""

    mid: str
    table: str
    record: str
    column: str


def fingerprint(public_key: str) -> str:
    """SHA-256 over the SubjectPublicKeyInfo (DER) of a PEM public key, as `AB:CD:…`: what an administrator compares.

    Raises:
        ValueError: not a PEM public key.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    key = load_pem_public_key(public_key.encode())
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest().hex(":").upper()


def seal(secret: str, public_key: str, bound: SealedFor) -> str:
    """`secret` as a compact JWE that only the holder of `public_key` (PEM) opens, and only as what it is bound to."""
    from joserfc import jwe
    from joserfc.jwk import RSAKey

    header = {"alg": ALGORITHM, "enc": ENCRYPTION, "kid": fingerprint(public_key), **asdict(bound)}
    return jwe.encrypt_compact(header, secret.encode(), RSAKey.import_key(public_key), registry=registry())


def registry() -> JWERegistry:
    """The only algorithms that exist here."""
    from joserfc import jwe

    return jwe.JWERegistry(algorithms=[ALGORITHM, ENCRYPTION], strict_check_header=False)

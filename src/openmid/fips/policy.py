"""What FIPS Enforced Mode approves, decided here and not by the provider alone: providers of the 3.0 series accept
more than the standards do. Every rule carries the clause that it comes from. Refusals are sentences.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes


@dataclass(frozen=True)
class Rule:
    """What is approved, and the clause that says so."""

    approves: str
    clause: str


RSA_SIZE = Rule("RSA keys of 2048 bits or more", "NIST SP 800-131A Rev. 2, section 3; FIPS 186-5, section 5.1")
CURVE = Rule(
    "the curves P-256, P-384 and P-521", "NIST SP 800-186, section 3.2.1; NIST SP 800-52 Rev. 2, section 3.2.1"
)
NO_DSA = Rule("no DSA", "FIPS 186-5, section 4")
NO_EDDSA = Rule("no Ed25519 or Ed448, which the validated 3.x modules do not offer as approved", "FIPS 140-3 IG, C.K")
SIGNATURE = Rule("signatures with SHA-2 or SHA-3", "NIST SP 800-131A Rev. 2, section 9; FIPS 186-5, section 5.4")
TLS = Rule("TLS 1.2 and later", "NIST SP 800-52 Rev. 2, section 3.1")
SUITE = Rule("AES-GCM, AES-CCM and AES-CBC with SHA-2 over (EC)DHE", "NIST SP 800-52 Rev. 2, section 3.3.1")
KDF = Rule("PBKDF2 for keystores, no scrypt", "NIST SP 800-132, section 5")

PROTECTION = Rule(
    "keystores under PBKDF2 with SHA-2 or SHA-3, and AES",
    "NIST SP 800-132, section 5; NIST SP 800-131A Rev. 2, sections 2 and 9",
)

RSA_MINIMUM_BITS = 2048
CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
HASHES = frozenset({"sha224", "sha256", "sha384", "sha512", "sha3-224", "sha3-256", "sha3-384", "sha3-512"})

TLS_MINIMUM = ssl.TLSVersion.TLSv1_2
TLS13_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256")
TLS12_SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES128-CCM",
    "DHE-RSA-AES256-CCM",
    "DHE-RSA-AES128-CCM",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "DHE-RSA-AES256-SHA256",
    "DHE-RSA-AES128-SHA256",
)
SUITES = frozenset(TLS12_SUITES) | frozenset(TLS13_SUITES)
GROUPS = ("P-256", "P-384", "P-521")
# No SHA-1, no SHA-224, no EdDSA.
TLS_SIGNATURES = tuple(
    name
    for bits in (256, 384, 512)
    for name in (f"ECDSA+SHA{bits}", f"RSA-PSS+SHA{bits}", f"rsa_pss_pss_sha{bits}", f"RSA+SHA{bits}")
)


def restrict(context: ssl.SSLContext) -> None:
    """Narrow a context to the approved TLS versions and suites. Groups and signature schemes cannot be set from
    Python 3.11; the staged configuration sets those."""
    context.minimum_version = TLS_MINIMUM
    context.set_ciphers(":".join(TLS12_SUITES))


def approve_suite(name: str, version: str) -> list[str]:
    """Refusals of a negotiated suite (OpenSSL's name) and TLS version (`ssl`'s name, `TLSv1.3`)."""
    refusals = []
    if version not in ("TLSv1.2", "TLSv1.3"):
        refusals.append(_refusal(version, TLS))
    if name not in SUITES:
        refusals.append(_refusal(f"the suite {name}", SUITE))
    return refusals


def approve_kdf(name: str) -> list[str]:
    """Refusals of a keystore's key derivation, `PBKDF2` or `scrypt` (any case)."""
    return [] if name.upper().startswith("PBKDF2") else [_refusal(f"the key derivation {name}", KDF)]


def refuse_protection(what: str) -> str:
    """The refusal of something else that protects a keystore: an old cipher, digest or key derivation."""
    return _refusal(what, PROTECTION)


def approve_key(key: bytes) -> list[str]:
    """Refusals of a private key (PKCS#8 DER, clear). A key that cannot be read is refused as well."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        loaded = load_der_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ["the private key is of a kind that the FIPS provider cannot read"]
    return _refuse_key(loaded, "the private key")


def approve_certificate(certificate: bytes) -> list[str]:
    """Refusals of a certificate (DER): its public key, and the algorithm that signed it."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        loaded = x509.load_der_x509_certificate(certificate)
        what = f"the certificate {loaded.subject.rfc4514_string() or 'without a subject'}"
    except (ValueError, UnsupportedAlgorithm):
        return ["the certificate cannot be read"]
    try:
        refusals = _refuse_key(loaded.public_key(), f"the public key of {what}")
    except (ValueError, UnsupportedAlgorithm):
        refusals = [f"the public key of {what} is of a kind that the FIPS provider cannot read"]
    return refusals + _refuse_signature(loaded, what)


def _refuse_key(key: PrivateKeyTypes | PublicKeyTypes, what: str) -> list[str]:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    match key:
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey():
            small = key.key_size < RSA_MINIMUM_BITS
            return [_refusal(f"{what}, RSA of {key.key_size} bits,", RSA_SIZE)] if small else []
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey():
            other = key.curve.name not in CURVES
            return [_refusal(f"{what}, on the curve {key.curve.name},", CURVE)] if other else []
        case dsa.DSAPrivateKey() | dsa.DSAPublicKey():
            return [_refusal(f"{what}, DSA,", NO_DSA)]
        case (
            ed25519.Ed25519PrivateKey() | ed25519.Ed25519PublicKey() | ed448.Ed448PrivateKey() | ed448.Ed448PublicKey()
        ):
            return [_refusal(f"{what}, an Edwards curve,", NO_EDDSA)]
    return [_refusal(f"{what}, neither RSA nor an elliptic curve for signatures,", CURVE)]


def _refuse_signature(certificate: x509.Certificate, what: str) -> list[str]:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        used = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        used = None
    if used is None:
        name = certificate.signature_algorithm_oid.dotted_string
        return [_refusal(f"{what}, signed by the algorithm {name} without an approved hash,", SIGNATURE)]
    approved = used.name in HASHES
    return [] if approved else [_refusal(f"{what}, signed with {used.name.upper()},", SIGNATURE)]


def _refusal(what: str, rule: Rule) -> str:
    return f"{what} is not approved in FIPS Enforced Mode ({rule.approves}: {rule.clause})"

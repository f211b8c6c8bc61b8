"""A certificate's fields as keytool prints them, from its DER: no other library is loaded for it.

Java prints what its provider says: Sun's ("SHA256withRSA", the curve's name, extensions) for its own store types,
and Bouncy Castle's ("SHA256WITHRSA", neither curve nor extensions) for BCFKS and BKS. Both are here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from openmid.keystore import certificate as x509
from openmid.keystore import der
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged
from openmid.keystore.keytool import names

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SIGNATURES = {
    "1.2.840.113549.1.1.2": "MD2withRSA", "1.2.840.113549.1.1.4": "MD5withRSA", "1.2.840.113549.1.1.5": "SHA1withRSA",
    "1.2.840.113549.1.1.10": "RSASSA-PSS", "1.2.840.113549.1.1.11": "SHA256withRSA",
    "1.2.840.113549.1.1.12": "SHA384withRSA", "1.2.840.113549.1.1.13": "SHA512withRSA",
    "1.2.840.113549.1.1.14": "SHA224withRSA", "1.2.840.10045.4.1": "SHA1withECDSA",
    "1.2.840.10045.4.3.1": "SHA224withECDSA", "1.2.840.10045.4.3.2": "SHA256withECDSA",
    "1.2.840.10045.4.3.3": "SHA384withECDSA", "1.2.840.10045.4.3.4": "SHA512withECDSA",
    "1.2.840.10040.4.3": "SHA1withDSA", "2.16.840.1.101.3.4.3.1": "SHA224withDSA",
    "2.16.840.1.101.3.4.3.2": "SHA256withDSA", "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448",
}  # fmt: skip
_CURVES = {
    "1.2.840.10045.3.1.7": (256, "secp256r1"), "1.3.132.0.34": (384, "secp384r1"), "1.3.132.0.35": (521, "secp521r1"),
    "1.3.132.0.33": (224, "secp224r1"), "1.3.132.0.10": (256, "secp256k1"), "1.2.840.10045.3.1.1": (192, "secp192r1"),
    "1.3.36.3.3.2.8.1.1.7": (256, "brainpoolP256r1"), "1.3.36.3.3.2.8.1.1.11": (384, "brainpoolP384r1"),
    "1.3.36.3.3.2.8.1.1.13": (512, "brainpoolP512r1"),
}  # fmt: skip
_RSA, _PSS, _DSA, _EC = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10040.4.1", "1.2.840.10045.2.1"
_EDWARDS = {"1.3.101.112": ("Ed25519", 255), "1.3.101.113": ("Ed448", 448)}
_LEGACY_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}  # Java: jdk.security.legacyAlgorithms
_DISABLED_BITS = {"RSA": 1024, "DSA": 1024, "EC": 224}  # Java: jdk.certpath.disabledAlgorithms
_BOUNCY_CASTLE = ("BCFKS", "BKS", "UBER")


class Algorithms(NamedTuple):
    """A certificate's two, in one provider's words. Each verdict is "", "weak" or "disabled"."""

    signature: str
    signature_verdict: str
    key: str
    key_verdict: str


def suns(store_type: str) -> bool:
    """Whether Java would describe the certificates of such a store in its own words, and not in Bouncy Castle's."""
    return store_type not in _BOUNCY_CASTLE


def algorithms(signature: bytes, public_key: bytes, *, sun: bool) -> Algorithms:
    """From the raw DER of both. Raises DerError."""
    oid = Reader(signature).sequence("the signature algorithm").oid("the signature algorithm")
    name = SIGNATURES.get(oid, oid)
    kind, bits, curve = _key(public_key)
    if sun:
        kind_text = f"{kind} ({curve})" if curve else kind
    else:
        name, kind_text, bits = (
            name if name.startswith("Ed") else name.upper(),
            kind,
            0 if kind.startswith("Ed") else bits,
        )
    return Algorithms(
        name,
        "disabled" if name.startswith("MD") else "weak" if name.startswith("SHA1") else "",
        f"{bits}-bit {kind_text} key" if bits else f"{kind_text} key of unknown size",
        _verdict(kind, bits),
    )


def _verdict(kind: str, bits: int) -> str:
    if 0 < bits < _DISABLED_BITS.get(kind, 0):
        return "disabled"
    return "weak" if 0 < bits < _LEGACY_BITS.get(kind, 0) else ""


def _marked(text: str, verdict: str) -> str:
    return f"{text} ({verdict})" if verdict else text


def certificate(data: bytes, *, sun: bool = True) -> str:
    """keytool's lines about a certificate, the last line's end included. Raises Damaged."""
    fields = x509.fields(data)
    try:
        validity = Reader(fields.validity).sequence("the validity")
        before, after = _time(validity), _time(validity)
        found = algorithms(fields.signature, fields.public_key, sun=sun)
        lines = [
            f"Owner: {names.shown(fields.subject)}",
            f"Issuer: {names.shown(fields.issuer)}",
            f"Serial number: {fields.serial:x}",
            f"Valid from: {_moment(before)} until: {_moment(after)}",
            "Certificate fingerprints:",
            f"\t SHA1: {fingerprint(data, 'sha1')}",
            f"\t SHA256: {fingerprint(data, 'sha256')}",
            f"Signature algorithm name: {_marked(found.signature, found.signature_verdict)}",
            f"Subject Public Key Algorithm: {_marked(found.key, found.key_verdict)}",
            f"Version: {fields.version}",
        ]
        return "\n".join(lines) + "\n" + (_extensions(data) if sun else "")
    except (DerError, ValueError) as error:
        raise Damaged(f"a certificate cannot be described: {error}") from error


def _extensions(data: bytes) -> str:
    from openmid.keystore.keytool import extensions

    found = extensions.of_certificate(data)
    return f"\nExtensions: \n\n{extensions.text(found)}" if found else ""


def request_algorithms(signature: bytes, public_key: bytes) -> tuple[str, str]:
    """(signature, key) of a certificate request. Raises DerError."""
    found = algorithms(signature, public_key, sun=True)
    return _marked(found.signature, found.signature_verdict), _marked(found.key, found.key_verdict)


def weaknesses(data: bytes, *, sun: bool = True) -> list[str]:
    """keytool's sentences about a certificate, each without its subject. A certificate that cannot be read has none."""
    try:
        fields = x509.fields(data)
        return _weaknesses(fields.signature, fields.public_key, sun=sun)
    except (DerError, Damaged):
        return []


def request_weaknesses(label: str, signature: bytes, public_key: bytes) -> list[str]:
    """The same about a certificate request. Raises DerError."""
    return [f"{label} {sentence}" for sentence in _weaknesses(signature, public_key, sun=True)]


def _weaknesses(signature: bytes, public_key: bytes, *, sun: bool) -> list[str]:
    found = algorithms(signature, public_key, sun=sun)
    risk = "which is considered a security risk"
    sentences = []
    if found.signature_verdict:
        end = _end(found.signature_verdict, "algorithm")
        sentences.append(f"uses the {found.signature} signature algorithm {risk}{end}")
    if found.key_verdict:
        sentences.append(f"uses a {found.key} {risk}{_end(found.key_verdict, 'key size')}")
    return sentences


def _end(verdict: str, what: str) -> str:
    return " and is disabled." if verdict == "disabled" else f". This {what} will be disabled in a future update."


def fingerprint(data: bytes, digest: str) -> str:
    """Colon-separated hexadecimal, upper case."""
    import hashlib

    return hashlib.new(digest, data, usedforsecurity=False).digest().hex(":").upper()


def day(moment: datetime) -> str:
    """`Nov 3, 2026`, in the local time zone."""
    local = moment.astimezone()
    return f"{_MONTHS[local.month - 1]} {local.day}, {local.year}"


def _moment(moment: datetime) -> str:
    """`Mon Jan 01 00:00:00 UTC 2024`, in the local time zone where that can be told."""
    try:
        local = moment.astimezone()
    except (OverflowError, OSError):
        local = moment
    clock = f"{local.hour:02}:{local.minute:02}:{local.second:02} {local.tzname()}"
    return f"{_DAYS[local.weekday()]} {_MONTHS[local.month - 1]} {local.day:02} {clock} {local.year}"


def _time(reader: Reader) -> datetime:
    if reader.peek() == der.GENERALIZED_TIME:
        return reader.time("a date")
    text = reader.element(der.UTC_TIME, "a date").rest().decode("ascii")
    if len(text) != 13 or not text[:12].isdecimal() or text[12] != "Z":
        raise DerError("a date is not a time")
    year, *rest = (int(text[at : at + 2]) for at in range(0, 12, 2))
    return datetime(2000 + year if year < 50 else 1900 + year, *rest, tzinfo=UTC)  # type: ignore[misc,arg-type]


def _key(raw: bytes) -> tuple[str, int, str]:
    """(algorithm, size in bits, curve); 0 where the size is not a matter of the encoding."""
    outer = Reader(raw).sequence("the public key")
    identifier = outer.sequence("the key's algorithm")
    oid = identifier.oid("the key's algorithm")
    if oid in (_RSA, _PSS):
        numbers = Reader(outer.element(der.BIT_STRING, "the key").rest()[1:]).sequence("the key")
        return "RSA" if oid == _RSA else "RSASSA-PSS", _bits(numbers), ""
    if oid == _DSA:
        bits = _bits(identifier.sequence("the key's parameters")) if identifier.peek() == der.SEQUENCE else 0
        return "DSA", bits, ""
    if oid == _EC:
        curve = identifier.oid("the curve") if identifier.peek() == der.OID else ""
        return "EC", *_CURVES.get(curve, (0, curve))
    return *_EDWARDS.get(oid, (oid, 0)), ""


def _bits(numbers: Reader) -> int:
    return int.from_bytes(numbers.element(der.INTEGER, "the key's size").rest(), "big").bit_length()

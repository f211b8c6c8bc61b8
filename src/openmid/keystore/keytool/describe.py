"""A certificate's fields as keytool prints them, from its DER: no other library is loaded for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from openmid.keystore import certificate as x509
from openmid.keystore import der
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ATTRIBUTES = {
    "2.5.4.3": "CN", "2.5.4.4": "SURNAME", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "2.5.4.42": "GIVENNAME",
    "2.5.4.43": "INITIALS", "2.5.4.44": "GENERATION", "2.5.4.46": "DNQ", "1.2.840.113549.1.9.1": "EMAILADDRESS",
    "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}  # fmt: skip
_ENCODINGS = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_SIGNATURES = {
    "1.2.840.113549.1.1.4": "MD5WITHRSA", "1.2.840.113549.1.1.5": "SHA1WITHRSA", "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.113549.1.1.11": "SHA256WITHRSA", "1.2.840.113549.1.1.12": "SHA384WITHRSA",
    "1.2.840.113549.1.1.13": "SHA512WITHRSA", "1.2.840.113549.1.1.14": "SHA224WITHRSA",
    "1.2.840.10045.4.1": "SHA1WITHECDSA", "1.2.840.10045.4.3.1": "SHA224WITHECDSA",
    "1.2.840.10045.4.3.2": "SHA256WITHECDSA", "1.2.840.10045.4.3.3": "SHA384WITHECDSA",
    "1.2.840.10045.4.3.4": "SHA512WITHECDSA", "1.2.840.10040.4.3": "SHA1WITHDSA",
    "2.16.840.1.101.3.4.3.2": "SHA256WITHDSA", "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448",
}  # fmt: skip
_CURVES = {
    "1.2.840.10045.3.1.7": 256, "1.3.132.0.34": 384, "1.3.132.0.35": 521, "1.3.132.0.33": 224, "1.3.132.0.10": 256,
    "1.2.840.10045.3.1.1": 192, "1.3.36.3.3.2.8.1.1.7": 256, "1.3.36.3.3.2.8.1.1.11": 384, "1.3.36.3.3.2.8.1.1.13": 512,
}  # fmt: skip
_RSA, _DSA, _EC = "1.2.840.113549.1.1.1", "1.2.840.10040.4.1", "1.2.840.10045.2.1"
_LEAST_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}
_SPECIAL = frozenset(',+=\n<>#;\\"')


class Described(NamedTuple):
    """Ready to print; the two booleans are keytool's "(weak)"."""

    owner: str
    issuer: str
    serial: str
    not_before: str
    not_after: str
    signature: str
    weak_signature: bool
    key: str
    weak_key: bool
    version: int


def certificate(data: bytes) -> Described:
    """Raises Damaged."""
    fields = x509.fields(data)
    try:
        validity = Reader(fields.validity).sequence("the validity")
        before, after = _time(validity), _time(validity)
        signature, (algorithm, bits) = _signature(fields.signature), _key(fields.public_key)
        return Described(
            _name(fields.subject),
            _name(fields.issuer),
            format(fields.serial, "x"),
            _moment(before),
            _moment(after),
            signature,
            signature.startswith(("SHA1", "MD5")),
            f"{bits}-bit {algorithm} key" if bits else f"{algorithm} key of unknown size",
            0 < bits < _LEAST_BITS.get(algorithm, 0),
            fields.version,
        )
    except (DerError, UnicodeDecodeError, ValueError) as error:
        raise Damaged(f"a certificate cannot be described: {error}") from error


def weaknesses(data: bytes) -> list[str]:
    """keytool's sentences about a certificate, each without its subject. A certificate that cannot be read has none."""
    found = []
    try:
        fields = x509.fields(data)
        signature, (algorithm, bits) = _signature(fields.signature), _key(fields.public_key)
    except (DerError, Damaged):
        return []
    if signature.startswith(("SHA1", "MD5")):
        found.append(f"uses the {signature} signature algorithm which is considered a security risk. "
                     "This algorithm will be disabled in a future update.")  # fmt: skip
    if 0 < bits < _LEAST_BITS.get(algorithm, 0):
        found.append(f"uses a {bits}-bit {algorithm} key which is considered a security risk. "
                     "This key size will be disabled in a future update.")  # fmt: skip
    return found


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
    year = int(text[:2])
    return datetime.strptime(f"{2000 + year if year < 50 else 1900 + year}{text[2:]}", "%Y%m%d%H%M%SZ").replace(
        tzinfo=UTC
    )


def _signature(raw: bytes) -> str:
    oid = Reader(raw).sequence("the signature algorithm").oid("the signature algorithm")
    return _SIGNATURES.get(oid, oid)


def _key(raw: bytes) -> tuple[str, int]:
    """(algorithm, size in bits); 0 where the size is not a matter of the encoding."""
    outer = Reader(raw).sequence("the public key")
    identifier = outer.sequence("the key's algorithm")
    oid = identifier.oid("the key's algorithm")
    if oid == _RSA:
        numbers = Reader(outer.element(der.BIT_STRING, "the key").rest()[1:]).sequence("the key")
        return "RSA", _bits(numbers)
    if oid == _DSA:
        return "DSA", _bits(identifier.sequence("the key's parameters")) if identifier.peek() == der.SEQUENCE else 0
    if oid == _EC:
        return "EC", _CURVES.get(identifier.oid("the curve"), 0) if identifier.peek() == der.OID else 0
    return {"1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}.get(oid, oid), 0


def _bits(numbers: Reader) -> int:
    return int.from_bytes(numbers.element(der.INTEGER, "the key's size").rest(), "big").bit_length()


def _name(raw: bytes) -> str:
    """An X.500 name, most specific part first, quoted where it must be."""
    names = Reader(raw).sequence("a name")
    parts = []
    while names.peek() >= 0:
        attributes = names.element(der.SET, "a name's part")
        texts = []
        while attributes.peek() >= 0:
            pair = attributes.sequence("a name's attribute")
            oid, tag = pair.oid("a name's attribute"), pair.peek()
            value = pair.element(tag, "a name's value").rest().decode(_ENCODINGS.get(tag, "latin-1"), "replace")
            texts.append(f"{_ATTRIBUTES.get(oid, 'OID.' + oid)}={_quoted(value)}")
        parts.append(" + ".join(texts))
    return ", ".join(reversed(parts))


def _quoted(value: str) -> str:
    if value and not _SPECIAL.intersection(value) and value == value.strip() and "  " not in value:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if value else ""

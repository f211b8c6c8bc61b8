"""What a file is. The first bytes decide, never the name."""

from __future__ import annotations

from openmid.keystore.der import OCTET_STRING, OID, SEQUENCE, context

DESCRIPTIONS = {
    "BCFKS": "a BCFKS keystore",
    "PKCS12": "a PKCS12 file",
    "PEM": "a PEM file",
    "JKS": "a Java keystore (JKS)",
    "JCEKS": "a Java keystore (JCEKS)",
    "BKS": "a Bouncy Castle keystore (BKS)",
    "UBER": "a Bouncy Castle keystore (UBER)",
    "PKCS7": "a PKCS#7 bundle of certificates",
    "DER": "a bare certificate or key (DER)",
    "UNKNOWN": "of no kind that openmid knows",
}
# Names that people and keytool use for the types above.
SYNONYMS = {
    "P12": "PKCS12",
    "PFX": "PKCS12",
    "PKCS#12": "PKCS12",
    "BCFKS-DEF": "BCFKS",
    "IBCFKS": "BCFKS",
    "BKS-V1": "BKS",
}


def canonical(name: str) -> str:
    """The type's one name, whatever the case: `p12` is `PKCS12`."""
    upper = name.upper()
    return SYNONYMS.get(upper, upper)


def recognise(data: bytes) -> str:
    """The type by content alone; a store that is cut short is still recognised."""
    if data.startswith(b"\xfe\xed\xfe\xed"):
        return "JKS"
    if data.startswith(b"\xce\xce\xce\xce"):
        return "JCEKS"
    if data[:3] == b"\0\0\0" and data[3:4] in (b"\1", b"\2") and data[4:7] == b"\0\0\0":
        return _bouncy_castle(data)
    if data[:1] == b"\x30":
        return _der(data)
    return "PEM" if b"-----BEGIN " in data or _is_utf16_pem(data) else "UNKNOWN"


def _is_utf16_pem(data: bytes) -> bool:
    """PowerShell's redirection writes UTF-16."""
    begin = "-----BEGIN "
    mark = {b"\xff\xfe": begin.encode("utf-16-le"), b"\xfe\xff": begin.encode("utf-16-be")}.get(data[:2])
    return mark is not None and mark in data


def _bouncy_castle(data: bytes) -> str:
    """BKS and UBER share a head: version, salt, iteration count. In BKS an entry follows in clear, in UBER ciphertext."""
    salt_length = int.from_bytes(data[7:8], "big")
    at = 8 + salt_length + 4
    entry, name_length = data[at : at + 1], int.from_bytes(data[at + 1 : at + 3], "big")
    if entry == b"\0" and len(data) == at + 21:
        return "BKS"  # empty: the end mark and a SHA-1 HMAC
    name = data[at + 3 : at + 3 + name_length]
    date = int.from_bytes(data[at + 3 + name_length : at + 11 + name_length], "big")  # milliseconds
    plausible = entry in (b"\1", b"\2", b"\3", b"\4") and len(name) == name_length and date < 1 << 44
    return "BKS" if plausible else "UBER"


def _skip_head(data: bytes, at: int) -> int:
    """The position after a tag and a length (BER's indefinite one too), without asking whether the content is there."""
    length = data[at + 1] if at + 1 < len(data) else 0
    return at + 2 + (length & 0x7F if length >= 0x80 else 0)


def _der(data: bytes) -> str:
    """Told apart by the first elements: docs/bcfks.md, "Which type a file is"."""

    def tag(at: int) -> int:
        return data[at] if at < len(data) else -1

    first = _skip_head(data, 0)
    if data[first : first + 3] == b"\2\1\3":
        return "PKCS12"
    if tag(first) == OID:
        return "PKCS7"
    if tag(first) != SEQUENCE:
        return "DER" if tag(first) == 2 else "UNKNOWN"
    second = _skip_head(data, first)
    if tag(second) == SEQUENCE:
        return "BCFKS"
    plain_store = data[second : second + 3] == b"\2\1\1" and _third_is_time(data, second)
    if plain_store:
        return "BCFKS"
    return "DER" if tag(second) in (OID, 2, context(0), OCTET_STRING) else "UNKNOWN"


def _third_is_time(data: bytes, at: int) -> bool:
    """ObjectStoreData in clear: version 1, an AlgorithmIdentifier, then GeneralizedTime; a certificate has a name there."""
    after_version = at + 3
    start = _skip_head(data, after_version)
    length = data[after_version + 1] if after_version + 1 < len(data) else 0
    return length < 0x80 and data[start + length : start + length + 1] == b"\x18"

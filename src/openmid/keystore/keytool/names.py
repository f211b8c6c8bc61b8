"""X.500 names: DER to keytool's text, and the text of -dname to DER."""

from __future__ import annotations

from openmid.keystore import der
from openmid.keystore.der import Reader
from openmid.keystore.errors import on_one_line
from openmid.keystore.keytool.options import KeytoolError

_ATTRIBUTES = {
    "2.5.4.3": "CN", "2.5.4.4": "SURNAME", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "2.5.4.42": "GIVENNAME",
    "2.5.4.43": "INITIALS", "2.5.4.44": "GENERATION", "2.5.4.46": "DNQ", "1.2.840.113549.1.9.1": "EMAILADDRESS",
    "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}  # fmt: skip
_KEYWORDS = {word: oid for oid, word in _ATTRIBUTES.items()} | {"S": "2.5.4.8", "DNQUALIFIER": "2.5.4.46"}
_IA5 = ("1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.25")
_ENCODINGS = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_PRINTABLE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")
_SPECIAL = frozenset(',+=\n<>#;\\"')
_HEX = frozenset("0123456789abcdefABCDEF")


def text(raw: bytes) -> str:
    """Most specific part first, quoted where it must be. Raises DerError."""
    names = Reader(raw).sequence("a name")
    parts = []
    while names.peek() >= 0:
        attributes = names.element(der.SET, "a name's part")
        texts = []
        while attributes.peek() >= 0:
            pair = attributes.sequence("a name's attribute")
            oid, tag = pair.oid("a name's attribute"), pair.peek()
            value = pair.element(tag, "a name's value").rest().decode(_ENCODINGS.get(tag, "latin-1"), "replace")
            texts.append(f"{_ATTRIBUTES.get(oid, 'OID.' + oid)}={quoted(value)}")
        parts.append(" + ".join(texts))
    return ", ".join(reversed(parts))


def shown(raw: bytes) -> str:
    """The same for a terminal. Raises DerError."""
    return on_one_line(text(raw))


def quoted(value: str) -> str:
    """An attribute's value as keytool prints it."""
    if value and not _SPECIAL.intersection(value) and value == value.strip() and "  " not in value:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if value else ""


def encode(name: str) -> bytes:
    """`CN=client, O="A, B", C=DE` (RFC 1779) as an X.501 Name's DER. Raises KeytoolError."""
    parts = [part for part in _split(name, ",;") if part.strip()]
    if not parts:
        raise _wrong(name)
    return der.sequence(*(_part(part, name) for part in reversed(parts)))


def _part(part: str, name: str) -> bytes:
    return der.tlv(der.SET, b"".join(sorted(_attribute(pair, name) for pair in _split(part, "+"))))


def _attribute(pair: str, name: str) -> bytes:
    keyword, equals, value = pair.partition("=")
    word = keyword.strip().upper().removeprefix("OID.")
    oid = _KEYWORDS.get(word, word)
    if not equals or not is_oid(oid):
        raise _wrong(name)
    return der.sequence(der.oid(oid), _value(oid, value.strip(), name))


def is_oid(text: str) -> bool:
    """True for a dotted object identifier (X.660: the first arc is 0 to 2, the second below 40 under 0 and 1)."""
    arcs = text.split(".")
    if len(arcs) < 2 or not all(arc.isascii() and arc.isdecimal() and len(arc) < 40 for arc in arcs):
        return False
    return (int(arcs[0]) < 2 and int(arcs[1]) < 40) or int(arcs[0]) == 2


def _value(oid: str, value: str, name: str) -> bytes:
    if value.startswith("#"):
        try:
            return bytes.fromhex(value[1:])
        except ValueError:
            raise _wrong(name) from None
    clear = _unquoted(value, name)
    if oid in _IA5 and clear.isascii():
        return der.tlv(0x16, clear.encode("ascii"))
    if _PRINTABLE.issuperset(clear):
        return der.tlv(0x13, clear.encode("ascii"))
    try:
        return der.utf8(clear)
    except UnicodeEncodeError:
        raise _wrong(name) from None


def _split(name: str, separators: str) -> list[str]:
    """At separators that are neither quoted nor escaped."""
    parts, quote, escaped = [""], False, False
    for letter in name:
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            quote = not quote
        elif letter in separators and not quote:
            parts.append("")
            continue
        parts[-1] += letter
    return parts


def _unquoted(value: str, name: str) -> str:
    if value.startswith('"') != value.endswith('"') or value == '"':
        raise _wrong(name)
    inner = value[1:-1] if value.startswith('"') else value
    out, at = bytearray(), 0
    while at < len(inner):
        if inner[at] != "\\":
            out += inner[at].encode("utf-8", "surrogatepass")
            at += 1
        elif len(pair := inner[at + 1 : at + 3]) == 2 and _HEX.issuperset(pair):
            out.append(int(pair, 16))
            at += 3
        else:
            out += inner[at + 1 : at + 2].encode("utf-8", "surrogatepass")
            at += 2
    return out.decode("utf-8", "surrogatepass")


def _wrong(name: str) -> KeytoolError:
    return KeytoolError(
        f"{name!r} is not a distinguished name",
        'write it as CN=client, OU=Unit, O="Company, Inc.", C=DE; a comma within a value is quoted or escaped',
    )

"""-ext: `NAME[:critical][=VALUE]` in keytool's grammar, to X.509 extensions (RFC 5280, 4.2)."""

from __future__ import annotations

from openmid.keystore import der
from openmid.keystore.keytool.extensions import METHODS, PURPOSES, Extension
from openmid.keystore.keytool.names import is_oid
from openmid.keystore.keytool.options import KeytoolError

_NAMES = {
    "BasicConstraints": "2.5.29.19", "KeyUsage": "2.5.29.15", "ExtendedKeyUsage": "2.5.29.37",
    "SubjectAlternativeName": "2.5.29.17", "IssuerAlternativeName": "2.5.29.18",
    "SubjectInfoAccess": "1.3.6.1.5.5.7.1.11", "AuthorityInfoAccess": "1.3.6.1.5.5.7.1.1",
    "CRLDistributionPoints": "2.5.29.31",
}  # fmt: skip
_USAGES = ("digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
           "cRLSign", "encipherOnly", "decipherOnly")  # fmt: skip
_SUBJECT_KEY = "2.5.29.14"


def requested(words: list[str], subject_key: bytes) -> list[Extension]:
    """The extensions of -ext and the subject's key identifier, in keytool's order. Raises KeytoolError."""
    found = {_SUBJECT_KEY: Extension(_SUBJECT_KEY, False, der.octets(subject_key))}
    for word in words:
        one = _parse(word)
        found[one.oid] = one
    return [found[oid] for oid in sorted(found)]


def encode(extensions: list[Extension]) -> bytes:
    """Extensions ::= SEQUENCE OF Extension."""
    return der.sequence(*(
        der.sequence(der.oid(oid), b"\x01\x01\xff" if critical else b"", der.octets(value))
        for oid, critical, value in extensions
    ))  # fmt: skip


def _parse(word: str) -> Extension:
    head, _, value = word.partition("=")
    name, _, mark = head.partition(":")
    if mark.lower() not in ("", "c", "critical"):
        raise _wrong(word)
    if is_oid(name):
        return Extension(name, bool(mark), _hexadecimal(value, word))
    known = _one_of(name, tuple(_NAMES), word)
    return Extension(_NAMES[known], bool(mark), _READERS[known](value, word))


def _one_of(name: str, choices: tuple[str, ...], word: str) -> str:
    """The choice that is meant by itself, its beginning, or its initials (`ku`, `dS`). Raises KeytoolError."""
    lower = name.lower()
    exact = [choice for choice in choices if choice.lower() == lower]
    initials = [choice for choice in choices if _initials(choice) == lower]
    beginning = [choice for choice in choices if lower and choice.lower().startswith(lower)]
    found = exact or initials or beginning
    if len(found) != 1:
        raise _wrong(word)
    return found[0]


def _initials(choice: str) -> str:
    return (choice[0] + "".join(letter for letter in choice[1:] if letter.isupper())).lower()


def _hexadecimal(value: str, word: str) -> bytes:
    try:
        return bytes.fromhex(value.replace(":", ""))
    except ValueError:
        raise _wrong(word) from None


def _basic_constraints(value: str, word: str) -> bytes:
    """`ca:true,pathlen:1`, or `1` for the same, or nothing for `ca:true`."""
    authority, length = True, -1
    for part in value.split(",") if value else []:
        name, colon, content = part.partition(":")
        if not colon and name.isdecimal():
            length = int(name)
        elif name.lower() == "ca" and content.lower() in ("true", "false"):
            authority = content.lower() == "true"
        elif name.lower() == "pathlen" and content.isdecimal():
            length = int(content)
        else:
            raise _wrong(word)
    flag = b"\x01\x01\xff" if authority else b""
    return der.sequence(flag, der.integer(length) if authority and length >= 0 else b"")


def _key_usage(value: str, word: str) -> bytes:
    choices = (*_USAGES, "contentCommitment")
    wanted = {_one_of(part, choices, word) for part in value.split(",")}
    wanted = {"nonRepudiation" if usage == "contentCommitment" else usage for usage in wanted}
    highest = max(_USAGES.index(usage) for usage in wanted)
    bits = bytearray(highest // 8 + 1)
    for usage in wanted:
        at = _USAGES.index(usage)
        bits[at // 8] |= 0x80 >> at % 8
    return der.tlv(der.BIT_STRING, bytes((7 - highest % 8,)) + bytes(bits))


def _purposes(value: str, word: str) -> bytes:
    by_name = {name: oid for oid, name in PURPOSES.items()}
    return der.sequence(*(der.oid(_oid(part, by_name, word)) for part in value.split(",")))


def _oid(name: str, by_name: dict[str, str], word: str) -> str:
    if is_oid(name):
        return name
    return by_name[_one_of(name, tuple(by_name), word)]


def _general_names(value: str, word: str) -> bytes:
    return der.sequence(*(_general_name(part, word) for part in value.split(",")))


def _general_name(part: str, word: str) -> bytes:
    kind, colon, value = part.partition(":")
    lower = kind.lower()
    if not colon or not value or not value.isascii():
        raise _wrong(word)
    if lower in ("email", "dns", "uri"):
        return der.tlv({"email": 0x81, "dns": 0x82, "uri": 0x86}[lower], value.encode())
    if lower == "ip":
        return der.tlv(0x87, _address(value, word))
    if lower == "oid" and is_oid(value):
        return b"\x88" + der.oid(value)[1:]
    raise _wrong(word)


def _address(value: str, word: str) -> bytes:
    import ipaddress

    try:
        return ipaddress.ip_address(value).packed
    except ValueError:
        raise _wrong(word) from None


def _access(value: str, word: str) -> bytes:
    by_name = {name: oid for oid, name in METHODS.items()}
    found = []
    for part in value.split(","):
        method, _, location = part.partition(":")
        found.append(der.sequence(der.oid(_oid(method, by_name, word)), _general_name(location, word)))
    return der.sequence(*found)


def _distribution_points(value: str, word: str) -> bytes:
    """All names are one point's, as keytool has it."""
    names = b"".join(_general_name(part, word) for part in value.split(","))
    return der.sequence(der.sequence(der.tlv(der.context(0), der.tlv(der.context(0), names))))


_READERS = {
    "BasicConstraints": _basic_constraints,
    "KeyUsage": _key_usage,
    "ExtendedKeyUsage": _purposes,
    "SubjectAlternativeName": _general_names,
    "IssuerAlternativeName": _general_names,
    "SubjectInfoAccess": _access,
    "AuthorityInfoAccess": _access,
    "CRLDistributionPoints": _distribution_points,
}


def _wrong(word: str) -> KeytoolError:
    return KeytoolError(
        f"-ext {word} is not an extension that can be made",
        "as in: -ext san=dns:client.example -ext eku=clientAuth -ext ku:critical=digitalSignature -ext bc=ca:false "
        "-ext 1.2.3.4=0403010203",
    )

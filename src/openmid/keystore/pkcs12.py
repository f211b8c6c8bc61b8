"""PKCS#12 (RFC 7292), read: every bag, under every reading of the password. The integrity code is in `pkcs12_mac`.

Aliases are the friendly names in lower case, as Java has them; what has no name is `1`, `2`, ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from openmid.keystore import ber, der, pbes, pkcs12_mac
from openmid.keystore.algorithm import Algorithm, read_algorithm
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged, UnsupportedType, WrongPassword
from openmid.keystore.passwords import Reading, nss, readings
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source

DATA, SIGNED_DATA, ENVELOPED_DATA, ENCRYPTED_DATA = (f"1.2.840.113549.1.7.{arc}" for arc in (1, 2, 3, 6))
BAGS = "1.2.840.113549.1.12.10.1."
KEY_BAG, SHROUDED_KEY_BAG, CERT_BAG, CRL_BAG, SECRET_BAG, SAFE_CONTENTS_BAG = (f"{BAGS}{arc}" for arc in range(1, 7))
X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
FRIENDLY_NAME, LOCAL_KEY_ID = "1.2.840.113549.1.9.20", "1.2.840.113549.1.9.21"
TRUSTED_USAGE = "2.16.840.1.113894.746875.1.1"  # Oracle's: a certificate with it is trusted
MAX_NESTING = 8  # of safe contents in safe contents


class Part(NamedTuple):
    """A ContentInfo of the AuthenticatedSafe; `encryption` is None for one in clear."""

    encryption: Algorithm | None
    content: bytes


class Bag(NamedTuple):
    """A SafeBag: what it is, what its value is (raw DER), and its attributes."""

    kind: str
    value: bytes
    name: str | None = None
    key_id: bytes = b""
    trusted: bool = False
    attributes: tuple[bytes, ...] = ()
    named: tuple[bytes, ...] = ()  # the attribute that `name` came from, raw


def read(data: bytes, password: str | None, source: Source) -> KeyStore:
    """Raises WrongPassword, Damaged, UnsupportedType, OldAlgorithm, NotApproved, TooExpensive, KeyMismatch."""
    from openmid.keystore import pkcs12_entries

    try:
        safe, mac = _outline(data, source)
        parts = _parts(safe, source)
        for part in parts:
            if part.encryption:
                pbes.cost(part.encryption, source, source.name)  # every cost is looked at before anything is derived
        likely = _readings(safe, mac, password, source)
        del safe
        bags: list[Bag] = []
        parts.reverse()
        while parts:  # what has been read is let go
            clear, likely = _opened(parts.pop(), likely, source)
            bags += _bags(clear, 0)
        return pkcs12_entries.assemble(bags, password, likely, source)
    except DerError as error:
        raise Damaged(f"{source.name} is damaged or is not PKCS12: {error}") from error


def _outline(data: bytes, source: Source) -> tuple[bytes, pkcs12_mac.Mac | None]:
    """PFX: (the AuthenticatedSafe, which is what the integrity code covers; the integrity code)."""
    body = Reader(ber.normal(data, "the file")).sequence("the file")
    if (version := body.integer("the version")) != 3:
        raise DerError(f"the version is {version}, not 3")
    content = body.sequence("the safe")
    kind = content.oid("the safe's type")
    if kind == SIGNED_DATA:
        raise UnsupportedType(f"{source.name} is a PKCS12 file that is signed instead of protected by a password")
    if kind != DATA:
        raise DerError(f"the safe's type is {kind}")
    explicit = content.element(der.context(0), "the safe")
    safe = explicit.octets("the safe")
    explicit.done("the safe")
    mac = pkcs12_mac.parse(body) if body.peek() >= 0 else None
    body.done("the file")
    return safe, mac


def _parts(safe: bytes, source: Source) -> list[Part]:
    """AuthenticatedSafe ::= SEQUENCE OF ContentInfo."""
    contents = Reader(ber.normal(safe, "the safe")).sequence("the safe")
    found = []
    while contents.peek() >= 0:
        info = contents.sequence("a part of the safe")
        kind = info.oid("a part's type")
        if kind == ENVELOPED_DATA:
            raise UnsupportedType(f"{source.name} is encrypted for a certificate instead of with a password")
        value = info.element(der.context(0), "a part of the safe")
        if kind == DATA:
            found.append(Part(None, value.octets("a part of the safe")))
        elif kind == ENCRYPTED_DATA:
            found.append(_encrypted(value.sequence("an encrypted part")))
        else:
            raise DerError(f"a part's type is {kind}")
    return found


def _encrypted(body: Reader) -> Part:
    """EncryptedData (RFC 5652, 8)."""
    body.integer("an encrypted part's version")
    inner = body.sequence("an encrypted part")
    inner.oid("an encrypted part's type")
    encryption = read_algorithm(inner, "a part's encryption")
    if inner.peek() == der.context(0, constructed=False):
        return Part(encryption, inner.element(der.context(0, constructed=False), "an encrypted part").rest())
    pieces = inner.element(der.context(0), "an encrypted part")  # BER's segments, under an implicit tag
    content = bytearray()
    while pieces.peek() >= 0:
        content += pieces.octets("a piece of an encrypted part")
    return Part(encryption, bytes(content))


def _readings(safe: bytes, mac: pkcs12_mac.Mac | None, password: str | None, source: Source) -> list[Reading]:
    """The reading of the password by which the integrity code is right; without one, all that there are."""
    plain = readings(password)
    if mac is None:
        return [*plain, nss(plain[0])] if password else plain
    reading = pkcs12_mac.verify(mac, safe, plain, source)
    if reading is None:
        raise WrongPassword(
            f"the password does not open {source.name} (or the file was changed since it was written)",
            "check the keystore's password; the two cases cannot be told apart",
        )
    others = [other for other in plain if other != reading]
    return [reading, *others, nss(reading)] if password else [reading, *others]


def _opened(part: Part, likely: list[Reading], source: Source) -> tuple[bytes, list[Reading]]:
    """(SafeContents as DER, the readings with the one that opened it first)."""
    if part.encryption is None:
        return ber.normal(part.content, "a part of the safe"), likely
    seen = set()
    for reading in likely:
        secret = reading.raw if part.encryption.oid == pbes.PBES2 else reading.bmp
        if secret in seen:
            continue
        seen.add(secret)
        try:
            clear = pbes.decrypt(part.encryption, part.content, reading, source, source.name)
            clear = ber.normal(clear, "a part of the safe")
        except (pbes.Undecryptable, DerError):  # a wrong key leaves right padding once in 256 times
            continue
        return clear, [reading, *(other for other in likely if other != reading)]
    raise WrongPassword(
        f"the password does not open a part of {source.name}", "check the password with which it was made"
    )


def _bags(contents: bytes, depth: int) -> Iterator[Bag]:
    """SafeContents ::= SEQUENCE OF SafeBag."""
    if depth == MAX_NESTING:
        raise DerError(f"its safes are nested more than {MAX_NESTING} deep")
    inner = Reader(contents).sequence("a part of the safe")
    while inner.peek() >= 0:
        body = inner.sequence("a bag")
        kind = body.oid("a bag's type")
        value = body.element(der.context(0), "a bag's value").rest()
        if kind == SAFE_CONTENTS_BAG:
            yield from _bags(value, depth + 1)
        else:
            attributes = body.element(der.SET, "a bag's attributes") if body.peek() >= 0 else Reader(b"")
            yield _with_attributes(Bag(kind, value), attributes)
        if body.peek() >= 0:
            body.any("a bag's attributes")
        body.done("a bag")


def _with_attributes(bag: Bag, attributes: Reader) -> Bag:
    others = []
    while attributes.peek() >= 0:
        raw = attributes.any("an attribute")
        body = Reader(raw).sequence("an attribute")
        kind = body.oid("an attribute's type")
        values = body.element(der.SET, "an attribute's values")
        if kind == FRIENDLY_NAME and values.peek() >= 0:
            bag = bag._replace(name=_text(values), named=(raw,))
        elif kind == LOCAL_KEY_ID and values.peek() >= 0:
            bag = bag._replace(key_id=values.octets("a key's identifier"))
        else:
            bag = bag._replace(trusted=bag.trusted or kind == TRUSTED_USAGE)
            others.append(raw)
    return bag._replace(attributes=tuple(others))


def _text(values: Reader) -> str:
    tag = values.peek()
    raw = values.element(tag, "a friendly name").rest()
    return raw.decode("utf-16-be" if tag == 0x1E else "utf-8", "replace")

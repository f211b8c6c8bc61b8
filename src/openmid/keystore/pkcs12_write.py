"""PKCS#12, written: PBES2 with AES-256 and HMAC-SHA-256 throughout, laid out as Java does it. Java and OpenSSL read it."""

from __future__ import annotations

from datetime import datetime

from openmid.keystore import certificate as x509
from openmid.keystore import der, pbes, pkcs12, pkcs12_mac
from openmid.keystore.algorithm import algorithm
from openmid.keystore.entries import Entry, KeyEntry, PrivateKeyEntry, SecretKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Unstorable
from openmid.keystore.kdf import Pbkdf2, all_at_once
from openmid.keystore.passwords import Reading, readings
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source

ITERATIONS = 20_000  # of PBKDF2 and of the integrity code; Java has 10,000 and OpenSSL 2,048
_HMAC_SHA256 = "1.2.840.113549.2.9"
_ANY_USAGE = "2.5.29.37.0"


class Seal:
    """One encryption: fresh salt and vector; the key is derived when all are known."""

    def __init__(self, password: str, iterations: int) -> None:
        self.kdf = Pbkdf2(_random(16), iterations, 32, "sha256")
        self.iv = _random(16)
        self.secret = readings(password)[0].raw
        self.key = b""

    def derive(self) -> bytes:
        return self.kdf.derive(self.secret)

    def identifier(self) -> bytes:
        salt, count, size = der.octets(self.kdf.salt), der.integer(self.kdf.iterations), der.integer(32)
        kdf = algorithm(pbes.PBKDF2, der.sequence(salt, count, size, algorithm(_HMAC_SHA256)))
        return algorithm(pbes.PBES2, der.sequence(kdf, algorithm(pbes.AES_256_CBC, der.octets(self.iv))))

    def encrypt(self, clear: bytes) -> bytes:
        return pbes.aes_cbc_encrypt(self.key, self.iv, clear)


def write(store: KeyStore, password: str | None, iterations: int = ITERATIONS) -> bytes:
    """Raises Unstorable, KeyMismatch, NotApproved, Damaged."""
    if not password:
        raise Unstorable("a PKCS12 file needs a password")
    Source(store.name, "PKCS12").refuse_unless_approved("PKCS12's own key derivation", "the PKCS12 file to be written")
    for alias in store:
        _check(alias, store[alias])
    _note_what_is_lost(store)
    keys = {alias: entry for alias in store if isinstance(entry := store[alias], KeyEntry)}
    seals = {alias: Seal(entry.own_password or password, iterations) for alias, entry in keys.items()}
    outer, mac_salt, reading = Seal(password, iterations), _random(20), readings(password)[0]
    for seal, key in zip(
        [*seals.values(), outer], all_at_once([x.derive for x in [*seals.values(), outer]]), strict=True
    ):
        seal.key = key
    identifiers = _key_identifiers(keys)
    key_bags = [_key_bag(alias, entry, seals[alias], identifiers[alias]) for alias, entry in keys.items()]
    safe = der.sequence(
        _data(der.sequence(*key_bags)) if key_bags else b"",
        _encrypted(outer, der.sequence(*_certificate_bags(store, identifiers))) if _has_certificates(store) else b"",
    )
    return _file(safe, mac_salt, iterations, reading)


def _file(safe: bytes, salt: bytes, iterations: int, reading: Reading) -> bytes:
    check = pkcs12_mac.code("sha256", salt, iterations, safe, reading)
    info = der.sequence(algorithm(pkcs12_mac.SHA256), der.octets(check))
    mac = der.sequence(info, der.octets(salt), der.integer(iterations))
    return der.sequence(der.integer(3), _data(safe), mac)


def _check(alias: str, entry: Entry) -> None:
    if isinstance(entry, PrivateKeyEntry):
        if entry.certificates:
            x509.pair(entry.private_key, entry.certificates, alias)
        return
    if isinstance(entry, SecretKeyEntry):
        if not entry.algorithm:
            name = entry.algorithm_name or "no algorithm"
            raise Unstorable(f"the secret key '{alias}' is for {name}, for which PKCS12 has no identifier")
        return
    if not isinstance(entry, TrustedCertificateEntry):
        raise Unstorable(f"'{alias}' is of a kind that only BCFKS holds", "leave it out, or write BCFKS")
    x509.fields(entry.certificate, f"the certificate of '{alias}'")  # BCFKS holds any bytes; others read them first


def _note_what_is_lost(store: KeyStore) -> None:
    if store.comment is not None or any(store[alias].comment is not None for alias in store):
        store.notes.append("comments were left out: PKCS12 has no place for them")
    if any(alias != alias.lower() for alias in store):
        store.notes.append("Java and keytool show the aliases of a PKCS12 file in lower case")


def _key_identifiers(keys: dict[str, KeyEntry]) -> dict[str, bytes]:
    """Java's: the time in milliseconds, made different for each key, for key and certificate find each other by it."""
    found: dict[str, bytes] = {}
    last = 0
    for alias, entry in sorted(keys.items(), key=lambda item: item[1].modified):
        last = max(last + 1, _milliseconds(entry.modified))
        found[alias] = b"Time %d" % last
    return found


def _milliseconds(moment: datetime) -> int:
    return max(0, int(moment.timestamp()) * 1000)


def _key_bag(alias: str, entry: KeyEntry, seal: Seal, identifier: bytes) -> bytes:
    clear = entry.reveal()
    secret = isinstance(entry, SecretKeyEntry)
    if isinstance(entry, SecretKeyEntry):
        clear = der.sequence(der.integer(0), algorithm(entry.algorithm, b""), der.octets(entry.key))
    info = der.sequence(seal.identifier(), der.octets(seal.encrypt(clear)))
    if secret:
        value = der.tlv(der.context(0), der.octets(info))
        info = der.sequence(der.oid(pkcs12.SHROUDED_KEY_BAG), value)
    kind = pkcs12.SECRET_BAG if secret else pkcs12.SHROUDED_KEY_BAG
    return _bag(kind, info, _attributes(entry.attributes, _name(alias, entry), identifier))


def _name(alias: str, entry: Entry) -> str:
    """As it was written in the file from which it came, if that is still its alias."""
    friendly = entry.friendly_name
    return friendly if friendly is not None and friendly.lower() == alias else alias


def _has_certificates(store: KeyStore) -> bool:
    return any(isinstance(e := store[a], TrustedCertificateEntry) or getattr(e, "certificates", ()) for a in store)


def _certificate_bags(store: KeyStore, identifiers: dict[str, bytes]) -> list[bytes]:
    """Leaves with their key's identifier, other certificates of chains once each, trusted ones with Oracle's mark."""
    bags, seen = [], set()
    for alias in store:
        entry = store[alias]
        if isinstance(entry, TrustedCertificateEntry):
            others = entry.attributes if entry.is_marked_trusted() else (*entry.attributes, _trusted())
            bags.append(_certificate_bag(entry.certificate, _attributes(others, _name(alias, entry))))
        elif isinstance(entry, PrivateKeyEntry):
            for place, certificate in enumerate(entry.certificates):
                if place and certificate in seen:
                    continue
                seen.add(certificate)
                others = entry.certificate_attributes.get(certificate, ())
                mine = (_name(alias, entry), identifiers[alias]) if place == 0 else (None, None)
                bags.append(_certificate_bag(certificate, _attributes(others, *mine)))
    return bags


def _certificate_bag(certificate: bytes, attributes: bytes) -> bytes:
    explicit = der.tlv(der.context(0), der.octets(certificate))
    return _bag(pkcs12.CERT_BAG, der.sequence(der.oid(pkcs12.X509_CERTIFICATE), explicit), attributes)


def _bag(kind: str, value: bytes, attributes: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.tlv(der.context(0), value), attributes)


def _attributes(others: tuple[bytes, ...], name: str | None = None, identifier: bytes | None = None) -> bytes:
    found = list(others)
    if name is not None:
        found.append(_attribute(pkcs12.FRIENDLY_NAME, der.tlv(0x1E, name.encode("utf-16-be", "surrogatepass"))))
    if identifier is not None:
        found.append(_attribute(pkcs12.LOCAL_KEY_ID, der.octets(identifier)))
    return der.tlv(der.SET, b"".join(sorted(found))) if found else b""


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.tlv(der.SET, value))


def _trusted() -> bytes:
    return _attribute(pkcs12.TRUSTED_USAGE, der.oid(_ANY_USAGE))


def _data(content: bytes) -> bytes:
    return der.sequence(der.oid(pkcs12.DATA), der.tlv(der.context(0), der.octets(content)))


def _encrypted(seal: Seal, content: bytes) -> bytes:
    """EncryptedData (RFC 5652, 8)."""
    cipher = der.tlv(der.context(0, constructed=False), seal.encrypt(content))
    inner = der.sequence(der.oid(pkcs12.DATA), seal.identifier(), cipher)
    body = der.sequence(der.integer(0), inner)
    return der.sequence(der.oid(pkcs12.ENCRYPTED_DATA), der.tlv(der.context(0), body))


def _random(count: int) -> bytes:
    from openmid.fips.keys import random_bytes

    return random_bytes(count)

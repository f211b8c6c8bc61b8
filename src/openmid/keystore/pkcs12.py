"""PKCS#12 (RFC 7292) through cryptography's loader and serializer.

The loader keeps one private key and no secret keys, so the bags are counted first: nothing is left out in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from openmid.keystore import certificate as x509
from openmid.keystore import costs, private_key
from openmid.keystore.conversion import conversion_command
from openmid.keystore.entries import PrivateKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Damaged, KeystoreError, NotApproved, Unstorable, UnsupportedType, WrongPassword
from openmid.keystore.refusals import fips_enforced, refusals
from openmid.keystore.store import KeyStore

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates, PKCS12PrivateKeyTypes
    from cryptography.x509 import Certificate

# Object identifiers of the bags, DER: keyBag, pkcs8ShroudedKeyBag, secretBag.
_KEY_BAGS = (bytes.fromhex("060b2a864886f70d010c0a0101"), bytes.fromhex("060b2a864886f70d010c0a0102"))
_SECRET_BAG = bytes.fromhex("060b2a864886f70d010c0a0105")


def read(data: bytes, password: str | None, name: str) -> KeyStore:
    """Aliases are the friendly names in lower case, as Java has them; a nameless entry is `1`, `2`, ...

    Raises WrongPassword, NotApproved, UnsupportedType, Damaged, KeyMismatch, TooExpensive.
    """
    costs.check(data, name)
    _refuse_what_would_be_lost(data, name)
    loaded = _load(data, password, name)
    store = KeyStore("PKCS12", name)
    others = [(bag.friendly_name, _der(bag.certificate)) for bag in loaded.additional_certs]
    if loaded.key is None:
        for friendly, certificate in others:
            store.put(_alias(friendly, store), TrustedCertificateEntry(certificate))
        return store
    key, friendly = private_key.pkcs8(loaded.key), None
    path: tuple[bytes, ...] = ()
    if loaded.cert is not None:
        friendly = loaded.cert.friendly_name
        chain = (_der(loaded.cert.certificate), *(certificate for _, certificate in others))
        path, _ = x509.pair(key, chain, name)
        if left := len(chain) - len(path):  # a trusted certificate that is also in the chain counts too
            store.notes.append(f"certificates of {name} that are no part of the key's chain were left out: {left}")
    store.put(_alias(friendly, store), PrivateKeyEntry(key, path))
    return store


def _der(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _alias(friendly: bytes | None, store: KeyStore) -> str:
    if friendly:
        alias = friendly.decode("utf-8", "replace").lower()
        if alias not in store:
            return alias
    return next(str(number) for number in range(1, len(store) + 2) if str(number) not in store)


def _refuse_what_would_be_lost(data: bytes, name: str) -> None:
    if sum(data.count(bag) for bag in _KEY_BAGS) > 1 or _SECRET_BAG in data:
        raise UnsupportedType(
            f"{name} holds several keys or a secret key, and this version reads one private key from a PKCS12 file",
            "export the key that you need into a file of its own",
        )


def _load(data: bytes, password: str | None, name: str) -> PKCS12KeyAndCertificates:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    # An empty password has two forms in the wild: no bytes at all, and a terminator alone.
    candidates = [password.encode("utf-8", "surrogatepass")] if password else [b"", None]
    failure: Exception = ValueError()
    for candidate in candidates:
        try:
            return load_pkcs12(data, candidate)
        except refusals() as error:
            failure = error
    raise _refused(name, failure) from failure


def _refused(name: str, failure: Exception) -> KeystoreError:
    """OpenSSL says "Invalid password or PKCS12 data" whatever it was that failed."""
    if fips_enforced():
        return NotApproved(
            f"{name} is PKCS12, whose key derivation FIPS Enforced Mode does not approve; the file is whole",
            f"convert it: {conversion_command(name, 'PKCS12', Path(name).with_suffix('.bcfks'))}",
        )
    if isinstance(failure, ValueError) and "nvalid password" in str(failure):
        return WrongPassword(
            f"the password does not open {name} (or the file was changed since it was written)",
            "check the keystore's password; the two cases cannot be told apart",
        )
    if "could not deserialize" in str(failure).lower() or "parse" in str(failure).lower():
        return Damaged(f"{name} is damaged or is not PKCS12")
    return UnsupportedType(f"{name} is PKCS12 of a kind that this version does not read: {failure or 'unknown'}")


def write(store: KeyStore, password: str | None) -> bytes:
    """One private key with its chain, or certificates: PBES2 with AES-256, HMAC-SHA-256. Raises Unstorable, Damaged."""
    if not password:
        raise Unstorable("a PKCS12 file needs a password")
    keys = store.private_keys()
    if len(keys) == 1 and len(store) == 1:
        ((alias, entry),) = keys.items()
        return _serialize_key(alias, entry, password)
    if len(store.certificates()) == len(store):
        return _serialize_truststore(store, password)
    raise Unstorable(
        f"this version writes one private key, or only certificates, into a PKCS12 file, and {store.name} holds more",
        "name one entry with -srcalias",
    )


def _serialize_key(alias: str, entry: PrivateKeyEntry, password: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
    from cryptography.x509 import load_der_x509_certificate

    if not entry.certificates:
        raise Unstorable(f"the private key '{alias}' has no certificate")
    encryption = BestAvailableEncryption(password.encode("utf-8", "surrogatepass"))
    try:
        key = cast("PKCS12PrivateKeyTypes", x509.load_private_key(entry.private_key))
        leaf, *chain = (load_der_x509_certificate(certificate) for certificate in entry.certificates)
        return serialize_key_and_certificates(alias.encode(), key, leaf, chain, encryption)
    except refusals() as error:
        raise Unstorable(f"'{alias}' cannot be written to PKCS12: {error}") from error


def _serialize_truststore(store: KeyStore, password: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore
    from cryptography.x509 import load_der_x509_certificate

    try:
        certificates = [
            PKCS12Certificate(load_der_x509_certificate(entry.certificate), alias.encode())
            for alias, entry in store.certificates().items()
        ]
        return serialize_java_truststore(
            certificates, BestAvailableEncryption(password.encode("utf-8", "surrogatepass"))
        )
    except refusals() as error:
        raise Unstorable(f"{store.name} cannot be written to PKCS12: {error}") from error

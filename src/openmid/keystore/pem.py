"""PEM (RFC 7468): certificates and a private key in one file, any order, text around them."""

from __future__ import annotations

import base64
import binascii
import re

from openmid.keystore import certificate as x509
from openmid.keystore import private_key
from openmid.keystore.entries import PrivateKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Damaged, FileProblem, UnsupportedType
from openmid.keystore.store import KeyStore

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE")
_KEYS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY")
_REFUSED = {
    "OPENSSH PRIVATE KEY": "an OpenSSH key",
    "TRUSTED CERTIFICATE": "OpenSSL's trusted certificate",
    "PKCS7": "a PKCS#7 bundle",
}


def blocks(data: bytes, name: str) -> list[tuple[str, bytes]]:
    """(label, block with its lines) in the file's order. Raises Damaged where a block does not end."""
    found = []
    at = 0
    while match := _BEGIN.search(data, at):
        end_line = b"-----END " + match[1] + b"-----"
        end = data.find(end_line, match.end())
        if end < 0:
            raise Damaged(f"{name} is cut short: its {match[1].decode()} block does not end")
        at = end + len(end_line)
        found.append((match[1].decode(), data[match.start() : at] + b"\n"))
    return found


def _decoded(block: bytes, name: str) -> bytes:
    body = b"".join(block.split(b"-----")[2].split())
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise Damaged(f"{name} is damaged: a block in it is not base64") from error


def read(data: bytes, password: str | None, name: str) -> KeyStore:
    """A key with its chain is the entry `1`; without a key every certificate is trusted, `1`, `2`, ... in order.

    Raises Damaged, WrongKeyPassword, KeyMismatch, UnsupportedType, FileProblem, TooExpensive, NotApproved.
    """
    found = blocks(data, name)
    for label, _ in found:
        if label in _REFUSED:
            raise UnsupportedType(f"{name} holds {_REFUSED[label]}, which this version does not read")
    certificates = tuple(dict.fromkeys(_decoded(block, name) for label, block in found if label in _CERTIFICATES))
    for number, certificate in enumerate(certificates, 1):
        x509.fields(certificate, f"certificate {number} of {name}")
    keys = [(label, block) for label, block in found if label in _KEYS]
    if len(keys) > 1:
        raise UnsupportedType(f"{name} holds {len(keys)} private keys; give one file for each")
    if not keys and not certificates:
        raise FileProblem(f"{name} holds neither a certificate nor a private key")
    return _store(keys, certificates, password, name)


def _store(keys: list[tuple[str, bytes]], certificates: tuple[bytes, ...], password: str | None, name: str) -> KeyStore:
    store = KeyStore("PEM", name)
    if not keys:
        for number, certificate in enumerate(certificates, 1):
            store.put(str(number), TrustedCertificateEntry(certificate))
        return store
    label, block = keys[0]
    where = f"the private key in {name}"
    if label == "ENCRYPTED PRIVATE KEY":
        clear = private_key.open_encrypted(_decoded(block, name), password, where)
    else:
        clear = private_key.open_pem(block, password, where)
    path: tuple[bytes, ...] = ()
    if certificates:
        path, strangers = x509.pair(clear, certificates, name)
        if strangers:
            store.notes.append(
                f"certificates of {name} that are no part of the key's chain were left out: {len(strangers)}"
            )
    store.put("1", PrivateKeyEntry(clear, path))
    return store

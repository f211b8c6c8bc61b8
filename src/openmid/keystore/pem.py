"""PEM (RFC 7468, RFC 1421) in the shapes that openssl, web servers and authorities hand out.

Text around blocks, carriage returns, byte order marks, UTF-16, any order and duplicates do not matter.
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

from openmid.keystore import certificate as x509
from openmid.keystore import private_key
from openmid.keystore.der import DerError
from openmid.keystore.entries import PrivateKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Damaged, FileProblem, UnsupportedType, WrongKeyPassword
from openmid.keystore.passwords import readings
from openmid.keystore.pbes import Undecryptable
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #.]{1,40})-----")
_HEADER = re.compile(rb"\s*[A-Za-z0-9-]+:")
_DEK_INFO = re.compile(rb"DEK-Info: ([A-Z0-9-]{1,20}),([0-9A-Fa-f]{16,32})\s")
_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_BUNDLES = ("PKCS7", "PKCS #7 SIGNED DATA", "CMS")
_KEYS = (
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "ANY PRIVATE KEY",
)
_REFUSED = {
    "OPENSSH PRIVATE KEY": ("an OpenSSH key", "ssh-keygen -p -m PKCS8 -f KEY rewrites it"),
    "SSH2 ENCRYPTED PRIVATE KEY": ("an SSH key", "export it as PKCS#8"),
    "PGP PRIVATE KEY BLOCK": ("an OpenPGP key", "a client certificate needs an X.509 key"),
}
_MAX_BLOCKS = 1 << 17  # certificates in one file: more than any bundle has by far


class Block(NamedTuple):
    """`headers` are the lines before the base64 (Proc-Type, DEK-Info), `body` is what they are about."""

    label: str
    headers: bytes
    body: bytes


def blocks(data: bytes, name: str) -> list[Block]:
    """In the file's order. Raises Damaged."""
    found: list[Block] = []
    at = 0
    while match := _BEGIN.search(data, at):
        end_line = b"-----END " + match[1] + b"-----"
        end = data.find(end_line, match.end())
        if end < 0:
            raise Damaged(f"{name} is cut short: its {match[1].decode()} block does not end")
        if len(found) == _MAX_BLOCKS:
            raise Damaged(f"{name} has more than {_MAX_BLOCKS} blocks")
        start = _after_headers(data, match.end(), end)
        headers, at = data[match.end() : start], end + len(end_line)
        label = match[1].decode()
        needed = label in _CERTIFICATES or label in _BUNDLES or label in _KEYS
        found.append(Block(label, headers, _decoded(data[start:end], name) if needed else b""))
    return found


def _after_headers(data: bytes, start: int, end: int) -> int:
    """Headers end with an empty line (RFC 1421, 4.4)."""
    if not _HEADER.match(data, start, end):
        return start
    ends = [
        place + len(mark) for mark in (b"\n\n", b"\r\n\r\n", b"\r\r") if (place := data.find(mark, start, end)) >= 0
    ]
    return min(ends, default=start)


def _decoded(body: bytes, name: str) -> bytes:
    clean = body.translate(None, b" \t\r\n\v\f")
    try:
        return binascii.a2b_base64(clean, strict_mode=True)
    except binascii.Error as error:
        raise Damaged(f"{name} is damaged: a block in it is not base64") from error


def _plain(data: bytes) -> bytes:
    """UTF-16, as Windows PowerShell writes it, into ASCII."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace").encode("ascii", "replace")
    return data


def read(data: bytes, password: str | None, source: Source) -> KeyStore:
    """Keys with their chains are the entries `1`, `2`, ...; without any key every certificate is trusted, in order.

    Raises Damaged, WrongKeyPassword, KeyMismatch, UnsupportedType, FileProblem, TooExpensive, NotApproved.
    """
    name = source.name
    found = blocks(_plain(data), name)
    for block in found:
        if block.label in _REFUSED:
            what, hint = _REFUSED[block.label]
            raise UnsupportedType(f"{name} holds {what}, which openmid recognises and does not read", hint)
    certificates = _certificates(found, name)
    keys = tuple(dict.fromkeys(_keys(found, password, source)))
    if not keys and not certificates:
        others = ", ".join(dict.fromkeys(block.label for block in found)) or "no block at all"
        raise FileProblem(f"{name} holds neither a certificate nor a private key, but {others}")
    return assemble("PEM", keys, certificates, source)


def assemble(kind: str, keys: tuple[bytes, ...], certificates: tuple[bytes, ...], source: Source) -> KeyStore:
    """A store of loose keys (PKCS#8) and certificates. Raises KeyMismatch, Damaged."""
    store = KeyStore(kind, source.name)
    if not keys:
        for number, certificate in enumerate(certificates, 1):
            store.put(str(number), TrustedCertificateEntry(certificate))
        return store
    pool = x509.Pool(certificates)
    used: set[bytes] = set()
    for number, key in enumerate(keys, 1):
        path: tuple[bytes, ...] = ()
        leaf = pool.leaf(key, source.name) if certificates else None
        if certificates and leaf is None:
            raise x509.mismatch(source.name, len(certificates))
        if leaf is not None:
            path = pool.chain(leaf)
        used.update(path)
        store.put(str(number), PrivateKeyEntry(key, path))
    if left := len(pool.all) - len(used):
        store.notes.append(f"certificates of {source.name} that are no part of the key's chain were left out: {left}")
    return store


def _certificates(found: list[Block], name: str) -> tuple[bytes, ...]:
    """Each once, in order. Raises Damaged."""
    from openmid.keystore import bare

    certificates: list[bytes] = []
    for block in found:
        if block.label == "TRUSTED CERTIFICATE":  # OpenSSL's: settings of trust follow the certificate
            certificates.append(bare.first_element(block.body, name))
        elif block.label in _CERTIFICATES:
            certificates.append(block.body)
        elif block.label in _BUNDLES:
            certificates += bare.bundle(block.body, name)
    unique = tuple(dict.fromkeys(certificates))
    for number, certificate in enumerate(unique, 1):
        x509.fields(certificate, f"certificate {number} of {name}")
    return unique


def _keys(found: list[Block], password: str | None, source: Source) -> list[bytes]:
    """PKCS#8, clear. Raises WrongKeyPassword, Damaged, UnsupportedType, TooExpensive, NotApproved."""
    where, keys = f"the private key in {source.name}", []
    for label, headers, body in found:
        if label not in _KEYS:
            continue
        if b"ENCRYPTED" in headers:
            keys.append(_open_old(label, headers, body, password, source, where))
        elif label == "ENCRYPTED PRIVATE KEY":
            keys.append(private_key.open_encrypted(body, password, source, where))
        else:
            keys.append(_shaped(label, body, where, password, source))
    return keys


def _shaped(label: str, body: bytes, where: str, password: str | None, source: Source) -> bytes:
    if label == "PRIVATE KEY":
        return private_key.check(body, where)
    return private_key.from_any(body, password, source, where)


def _open_old(label: str, headers: bytes, body: bytes, password: str | None, source: Source, where: str) -> bytes:
    """OpenSSL's encryption before PKCS#8: RFC 1421's headers, a key derived by one MD5."""
    old = source.decrepit("OpenSSL's old encryption of PEM keys", where)
    match = _DEK_INFO.search(headers + b"\n")
    cipher = match[1].decode() if match else "an unknown cipher"
    if match is None or cipher not in old.pem_ciphers() or len(match[2]) % 2:
        raise UnsupportedType(
            f"{where} is encrypted with {cipher}, which openmid does not know",
            "re-encrypt it with: openssl pkcs8 -topk8 -v2 aes256 -in KEY -out NEW",
        )
    iv = bytes.fromhex(match[2].decode())
    for secret in dict.fromkeys(reading.raw for reading in readings(password)):
        try:
            return _shaped(label, old.decrypt_pem(cipher, iv, secret, body), where, None, source)
        except (Undecryptable, Damaged):
            continue
        except DerError as error:
            raise Damaged(f"{where} is damaged: {error}") from error
    raise WrongKeyPassword(f"the password does not open {where}", "check the private key's password")

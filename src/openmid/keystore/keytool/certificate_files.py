"""Certificates from a file or standard input: PEM (text around it is skipped), DER, PKCS#7 in either form."""

from __future__ import annotations

import sys

from openmid.keystore import certificate as x509
from openmid.keystore import der, formats
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import Damaged

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
_BUNDLES = (b"PKCS7", b"CMS")


def read_input(path: str | None) -> bytes:
    """The file, or standard input. Raises FileProblem."""
    if path is not None:
        return formats.read_file(path)
    stream = getattr(sys.stdin, "buffer", None)
    return stream.read(formats.MAX_FILE) if stream else sys.stdin.read().encode("utf-8", "surrogateescape")


def certificates(data: bytes) -> list[bytes]:
    """X.509 DER in the input's order; empty where there is none. Raises Damaged."""
    blocks = pem_blocks(data)
    found: list[bytes] = []
    if not blocks:
        return _from_der(data) if data[:1] == b"\x30" else []
    for label, content in blocks:
        if label in _CERTIFICATES:
            found.append(content)
        elif label in _BUNDLES:
            found += _from_bundle(content)
    for certificate in found:
        x509.fields(certificate)
    return found


def pem_blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(label, content) of each block. Raises Damaged."""
    import base64
    import binascii

    found = []
    for part in data.split(b"-----BEGIN ")[1:]:
        label, dashes, rest = part.partition(b"-----")
        body, end, _ = rest.partition(b"-----END " + label + b"-----")
        if not dashes or not end:
            raise Damaged("the input is cut short: a PEM block in it does not end")
        try:
            found.append((label, base64.b64decode(b"".join(body.split()), validate=True)))
        except binascii.Error:
            if label in _CERTIFICATES + _BUNDLES:
                raise Damaged("the input is damaged: a PEM block in it is not base64") from None
            found.append((label, b""))  # an encrypted key with headers, of which nobody asks here
    return found


def _from_der(data: bytes) -> list[bytes]:
    try:
        x509.fields(data)
    except Damaged:
        return _from_bundle(data)
    return [data]


def _from_bundle(data: bytes) -> list[bytes]:
    """SignedData's certificates (RFC 2315, 9.1); empty if it is something else."""
    try:
        outer = Reader(data).sequence("the bundle")
        if outer.oid("the bundle's type") != _SIGNED_DATA:
            return []
        signed = outer.element(der.context(0), "the bundle").sequence("the bundle")
        for what in ("the version", "the digests", "the content"):
            signed.any(what)
        found = []
        if signed.peek() == der.context(0):
            inner = signed.element(der.context(0), "the certificates")
            while inner.peek() >= 0:
                found.append(inner.any("a certificate"))
    except DerError:
        return []
    return found

"""What the libcrypto behind `ssl` and `hashlib` must do and must refuse."""

from __future__ import annotations

import _hashlib
import base64
import hashlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from openmid.fips import known_answers as known
from openmid.fips import libcryptos, policy
from openmid.fips.checks import REFUSED, SUCCEEDS, equal

X25519 = 0x001D  # RFC 8446, section 4.2.7
APPROVED_GROUPS = frozenset({0x0017, 0x0018, 0x0019})  # secp256r1, secp384r1, secp521r1
SUPPORTED_GROUPS = 10  # the extension's number


def _digest(name: str, answer: bytes) -> None:
    # Not hashlib.new: CPython falls back to its own code when OpenSSL refuses.
    equal(_hashlib.new(name, known.MESSAGE).digest(), answer)


def _pbkdf2() -> None:
    made = _hashlib.pbkdf2_hmac("sha512", known.PBKDF2_PASSWORD, known.PBKDF2_SALT, known.PBKDF2_ITERATIONS, 25)
    equal(made, known.PBKDF2_SHA512)


@contextmanager
def _pem_file(key: bytes, certificate: bytes) -> Iterator[str]:
    """Python's ssl loads keys from files only; these are the proof's public ones."""
    text = "".join(
        f"-----BEGIN {what}-----\n{base64.encodebytes(der).decode()}-----END {what}-----\n"
        for what, der in (("PRIVATE KEY", key), ("CERTIFICATE", certificate))
    )
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(text)
        file.flush()
        yield file.name


def _server(key: bytes, certificate: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _pem_file(key, certificate) as path:
        context.load_cert_chain(path)
    return context


def _client(certificate: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    return context


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[str, str]:
    """A handshake in memory and one message each way. Returns TLS version and suite."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=known.HOST),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ends[0].write(known.MESSAGE)
    equal(ends[1].read(), known.MESSAGE)
    suite = ends[0].cipher()
    return str(ends[0].version()), suite[0] if suite else ""


def _tls13() -> None:
    server = _server(known.P256_KEY, known.P256_CERTIFICATE)
    version, suite = _handshake(_client(known.P256_CERTIFICATE), server)
    if version != "TLSv1.3" or suite not in policy.TLS13_SUITES:
        raise AssertionError(f"{version} {suite} was negotiated")


def _tls12() -> None:
    client = _client(known.RSA2048_CERTIFICATE)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    version, suite = _handshake(client, _server(known.RSA2048_KEY, known.RSA2048_CERTIFICATE))
    if version != "TLSv1.2" or suite not in policy.TLS12_SUITES:
        raise AssertionError(f"{version} {suite} was negotiated")


def _old_tls() -> None:
    server = _server(known.RSA2048_KEY, known.RSA2048_CERTIFICATE)
    client = _client(known.RSA2048_CERTIFICATE)
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    _handshake(client, server)


def _suite(words: str) -> None:
    """TLS 1.2 between two ends that want these suites only."""
    client = _client(known.RSA2048_CERTIFICATE)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    server = _server(known.RSA2048_KEY, known.RSA2048_CERTIFICATE)
    for context in (client, server):
        context.set_ciphers(words)
    _handshake(client, server)


def _x25519() -> None:
    """With a partner that knows X25519 (RFC 7748) and nothing else. Providers of the 3.0 series would do it."""
    server = _server(known.P256_KEY, known.P256_CERTIFICATE)
    server.set_ecdh_curve("X25519")
    _handshake(_client(known.P256_CERTIFICATE), server)


def _legacy() -> None:
    with suppress(OSError, AttributeError):  # where it cannot be asked, it counts as loaded
        if not libcryptos.provider_available(libcryptos.ssl_extension(), "legacy"):
            raise ValueError("OpenSSL's legacy provider is not loaded")


def _small_rsa() -> None:
    """The server would sign with RSA-1024; security level 0 leaves the refusal to the provider."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with _pem_file(known.RSA1024_KEY, known.RSA1024_CERTIFICATE) as path:
        context.load_cert_chain(path)
    client = _client(known.RSA1024_CERTIFICATE)
    client.set_ciphers("ALL:@SECLEVEL=0")
    _handshake(client, context)


def _only_approved_suites() -> None:
    offered = {str(suite["name"]) for suite in ssl.create_default_context().get_ciphers()}
    if other := offered - policy.SUITES:
        raise ValueError(f"{', '.join(sorted(other))} would be offered")
    if not offered:
        raise ValueError("no suite would be offered")


def _only_approved_groups() -> None:
    offered = offered_groups(ssl.create_default_context())
    if other := offered - APPROVED_GROUPS:
        names = ", ".join("X25519" if group == X25519 else f"group {group:#06x}" for group in sorted(other))
        raise ValueError(f"{names} would be offered for the key exchange")


def offered_groups(context: ssl.SSLContext) -> set[int]:
    """The groups in the ClientHello that `context` sends (RFC 8446, sections 4.1.2 and 4.2.7)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=known.HOST).do_handshake()
    hello = outgoing.read()[5 + 4 + 2 + 32 :]  # record header, handshake header, version, random
    for size_of_length in (1, 2, 1):  # session id, suites, compression methods
        hello = hello[size_of_length + int.from_bytes(hello[:size_of_length]) :]
    hello = hello[2:]
    while hello:
        kind, size = int.from_bytes(hello[:2]), int.from_bytes(hello[2:4])
        body, hello = hello[4 : 4 + size], hello[4 + size :]
        if kind == SUPPORTED_GROUPS:
            return {int.from_bytes(body[at : at + 2]) for at in range(2, size, 2)}
    return set()


def _random() -> None:
    if ssl.RAND_bytes(32) == ssl.RAND_bytes(32):
        raise AssertionError("two random numbers are the same")


OPERATIONS = (
    ("SHA-256", SUCCEEDS, lambda: _digest("sha256", known.SHA256)),
    ("SHA-512", SUCCEEDS, lambda: _digest("sha512", known.SHA512)),
    (
        "HMAC-SHA-256",
        SUCCEEDS,
        lambda: equal(_hashlib.hmac_digest(known.HMAC_KEY, known.HMAC_MESSAGE, "sha256"), known.HMAC_SHA256),
    ),
    ("PBKDF2-HMAC-SHA-512", SUCCEEDS, _pbkdf2),
    ("random numbers", SUCCEEDS, _random),
    ("a TLS 1.3 handshake with AES-GCM and a P-256 certificate", SUCCEEDS, _tls13),
    ("a TLS 1.2 handshake with AES-GCM and an RSA-2048 certificate", SUCCEEDS, _tls12),
    ("offering approved TLS suites only", SUCCEEDS, _only_approved_suites),
    ("offering approved key exchange groups only", SUCCEEDS, _only_approved_groups),
    ("MD5", REFUSED, lambda: _hashlib.new("md5", known.MESSAGE)),
    ("scrypt", REFUSED, lambda: hashlib.scrypt(known.HMAC_KEY, salt=os.urandom(16), n=2, r=8, p=1)),
    ("ChaCha20-Poly1305 in TLS", REFUSED, lambda: _suite("CHACHA20")),
    ("TLS 1.1", REFUSED, _old_tls),
    ("an X25519 key exchange in TLS", REFUSED, _x25519),
    ("a Camellia suite in TLS", REFUSED, lambda: _suite("CAMELLIA")),
    ("signing with RSA-1024 in TLS", REFUSED, _small_rsa),
    ("loading OpenSSL's legacy provider", REFUSED, _legacy),
)

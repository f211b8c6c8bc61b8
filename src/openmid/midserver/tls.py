"""TLS contexts of the MID Server as a client: the server's certificate and name are always verified, TLS 1.2 at least."""

from __future__ import annotations

import ssl
from _ssl import _SSLContext

from openmid import system
from openmid.midserver.connector import ResumingContext, record


def client_context(trusted: str | bytes, *, enforced: bool) -> ssl.SSLContext:
    """A context that trusts `trusted` (PEM text, or DER certificates in a row); the system's authorities when it is empty.

    Raises:
        ValueError: `trusted` holds no certificate.
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if trusted:
        _trust(context, trusted)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if enforced:
        from openmid.fips import policy

        policy.restrict(context)
    # ssl's own property makes four enumeration members of each record's numbers; the type below it does not.
    _SSLContext._msg_callback.__set__(context, record)  # type: ignore[attr-defined]
    return context


def _trust(context: ssl.SSLContext, trusted: str | bytes) -> None:
    # Who names a certificate trusts it, also when it is an intermediate or the server's own.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=trusted)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("the CA certificates are not certificates in PEM form") from error
    if not context.cert_store_stats()["x509"]:
        raise ValueError("the CA certificates hold no certificate")


def present(context: ssl.SSLContext, key: bytes, chain: tuple[bytes, ...]) -> None:
    """Let `context` present a client certificate. `key` is PKCS#8 DER, clear; `chain` X.509 DER, leaf first.

    `ssl` reads keys from files only: it gets a memory file in which the key is encrypted under a one-time password.

    Raises:
        ValueError: OpenSSL refuses the pair.
    """
    password = ssl.RAND_bytes(24).hex().encode()
    content = _encrypted(key, password) + "".join(map(ssl.DER_cert_to_PEM_cert, chain)).encode()
    try:
        with system.HERE.memory_file(content) as path:  # encrypted under a password that is nowhere
            context.load_cert_chain(path, password=password)
    except ssl.SSLError as error:
        raise ValueError(f"OpenSSL refuses the key and its certificate: {error.reason or error}") from error


def _encrypted(key: bytes, password: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_der_private_key,
    )

    loaded = load_der_private_key(key, None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))

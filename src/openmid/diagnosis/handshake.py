"""TLS messages as they were recorded: the server's certificate, and the alerts by their names (RFC 8446, RFC 5246)."""

from __future__ import annotations

# RFC 8446, section 6: the ones that end a connection.
ALERTS = {
    10: "UNEXPECTED_MESSAGE",
    20: "BAD_RECORD_MAC",
    22: "RECORD_OVERFLOW",
    40: "HANDSHAKE_FAILURE",
    41: "CERTIFICATE_REQUIRED",  # no_certificate of SSL 3
    42: "BAD_CERTIFICATE",
    43: "UNSUPPORTED_CERTIFICATE",
    44: "CERTIFICATE_REVOKED",
    45: "CERTIFICATE_EXPIRED",
    46: "CERTIFICATE_UNKNOWN",
    47: "ILLEGAL_PARAMETER",
    48: "UNKNOWN_CA",
    49: "ACCESS_DENIED",
    50: "DECODE_ERROR",
    51: "DECRYPT_ERROR",
    70: "PROTOCOL_VERSION",
    71: "INSUFFICIENT_SECURITY",
    80: "INTERNAL_ERROR",
    109: "MISSING_EXTENSION",
    110: "UNSUPPORTED_EXTENSION",
    112: "UNRECOGNIZED_NAME",
    116: "CERTIFICATE_REQUIRED",
    120: "NO_APPLICATION_PROTOCOL",
}
CERTIFICATE, CERTIFICATE_REQUEST = 11, 13


def leaf(message: bytes, *, tls13: bool) -> bytes:
    """The first certificate (DER) of a Certificate message with its four bytes of header; empty when it holds none.

    RFC 5246, 7.4.2: a list of three-byte lengths and certificates. RFC 8446, 4.4.2: a request context before it.
    """
    body = message[4:]
    if tls13:
        body = body[1 + body[0] :] if body else b""
    size = int.from_bytes(body[3:6], "big")
    certificate = body[6 : 6 + size]
    return certificate if size and len(certificate) == size else b""

"""What people want to know of an X.509 certificate, as text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509


@dataclass(frozen=True)
class CertificateFacts:
    """Names are RFC 4514 strings, times ISO 8601 in UTC, the serial number upper-case hex of whole bytes."""

    subject: str = ""
    issuer: str = ""
    serial: str = ""
    not_before: str = ""
    not_after: str = ""
    names: tuple[str, ...] = ()
    expired: bool = False


def describe(der: bytes) -> CertificateFacts:
    """The facts; empty ones for bytes that are no certificate (a broken partner must not break its diagnosis)."""
    facts, end = _read(der)
    return replace(facts, expired=True) if end < datetime.now(UTC) else facts


@lru_cache(maxsize=256)
def _read(der: bytes) -> tuple[CertificateFacts, datetime]:
    """What does not change, and when the certificate ends. Partners show the same one at each connection."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
    except Exception:  # cryptography has several of its own: for a version that is none, a name of an unusual type
        return CertificateFacts(), datetime.max.replace(tzinfo=UTC)
    facts = CertificateFacts(
        subject=subject,
        issuer=issuer,
        serial=_hex(certificate.serial_number),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        names=_names(certificate),
    )
    return facts, certificate.not_valid_after_utc


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return ()  # none, or some that cryptography has no words for: OpenSSL verifies, not this
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return tuple(names.get_values_for_type(x509.DNSName) + addresses)


def _hex(number: int) -> str:
    """Two digits a byte, as openssl and nginx write it."""
    return f"{number:0{2 * ((number.bit_length() + 7) // 8 or 1)}X}"

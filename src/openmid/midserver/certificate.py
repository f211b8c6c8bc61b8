"""What people want to know of an X.509 certificate, as text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

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
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
    except ValueError:
        return CertificateFacts()
    return CertificateFacts(
        subject=subject,
        issuer=issuer,
        serial=_hex(certificate.serial_number),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        names=_names(certificate),
        expired=certificate.not_valid_after_utc < datetime.now(UTC),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return tuple(names.get_values_for_type(x509.DNSName) + addresses)


def _hex(number: int) -> str:
    """Two digits a byte, as openssl and nginx write it."""
    return f"{number:0{2 * ((number.bit_length() + 7) // 8 or 1)}X}"

"""Partners with certificates that OpenSSL takes and Python's parsers have no words for."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtensionOID

from openmid.midserver.certificate import CertificateFacts, describe
from openmid.wire.probes import RestProbe
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import Partner

LOCALHOST = b"\x82\x09localhost"
EDI_PARTY = b"\xa5\x05\xa1\x03\x0c\x01x"  # GeneralName.ediPartyName (RFC 5280, 4.2.1.6)


def serving(ca: trustme.CA, folder: Path) -> ssl.SSLContext:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    names = LOCALHOST + EDI_PARTY
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "odd")]))
        .issuer_name(ca._certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes([0x30, len(names)]) + names),
            critical=False,
        )
        .sign(ca._private_key, hashes.SHA256())
    )
    file = folder / "server.pem"
    clear = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(clear + made.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_what_is_no_certificate_has_no_facts(authority: Authority) -> None:
    der = ssl.PEM_cert_to_DER_cert(authority.pem)
    version = der.index(b"\xa0\x03\x02\x01\x02")
    for broken in (b"", b"x", der[:-1], der[: version + 4] + b"\x26" + der[version + 5 :]):
        assert describe(broken) == CertificateFacts()


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_name_of_an_unusual_kind_costs_neither_a_call_nor_its_diagnosis(
    mid: Mid, authority: Authority, tmp_path: Path, trusted: bool
) -> None:
    async with Partner(serving(authority.ca, tmp_path)) as partner:
        ca = authority.pem if trusted else trustme.CA().cert_pem.bytes().decode()
        result = await mid.runner.run(RestProbe(f"https://localhost:{partner.port}/", ca_certificates=ca))
    if trusted:
        assert (result.status_code, result.tls.server_subject) == (200, "CN=odd"), result.failure
    else:
        assert result.failure
        assert result.failure.code == "server_untrusted"

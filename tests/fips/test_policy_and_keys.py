"""What is approved, decided by our own policy; and the only key generator."""

from __future__ import annotations

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from openmid.fips import keys, policy
from openmid.fips.errors import KeyGenerationFailed
from openmid.fips.provider import Staged
from tests.fips.conftest import Python

APPROVED = {
    "RSA-2048": lambda: rsa.generate_private_key(65537, 2048),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
}
REFUSED = {
    "RSA of 1024 bits": lambda: rsa.generate_private_key(65537, 1024),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "brainpoolP256r1": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    "DSA": lambda: dsa.generate_private_key(2048),
    "an Edwards curve": ed25519.Ed25519PrivateKey.generate,
    "Edwards curve": ed448.Ed448PrivateKey.generate,
    "neither RSA nor": x25519.X25519PrivateKey.generate,
}


def pkcs8(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def certificate(
    key: PrivateKeyTypes, algorithm: hashes.HashAlgorithm | None, *, signer: PrivateKeyTypes | None = None
) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())  # type: ignore[arg-type]
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    return builder.sign(signer or key, algorithm).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", APPROVED)
def test_approved_keys_pass(name: str) -> None:
    key = APPROVED[name]()
    assert policy.approve_key(pkcs8(key)) == []
    assert policy.approve_certificate(certificate(key, hashes.SHA256())) == []


@pytest.mark.parametrize("name", REFUSED)
def test_other_keys_are_refused_with_the_clause(name: str) -> None:
    key = REFUSED[name]()
    (refusal,) = policy.approve_key(pkcs8(key))
    assert name in refusal
    assert "FIPS" in refusal.partition("(")[2] or "SP 800" in refusal.partition("(")[2]


@pytest.mark.parametrize("name", ["RSA of 1024 bits", "secp256k1", "DSA"])
def test_certificates_of_other_keys_are_refused(name: str) -> None:
    (refusal,) = policy.approve_certificate(certificate(REFUSED[name](), hashes.SHA256()))
    assert refusal.startswith("the public key of the certificate CN=client")
    assert name in refusal


def test_a_certificate_signed_with_ed25519_is_refused_twice() -> None:
    refusals = policy.approve_certificate(certificate(ed25519.Ed25519PrivateKey.generate(), None))
    assert len(refusals) == 2
    assert "without an approved hash" in refusals[1]


def test_a_sha1_signature_is_refused() -> None:
    """cryptography no longer signs with SHA-1, so the algorithm's identifier is rewritten: RFC 8017, appendix C."""
    made = certificate(rsa.generate_private_key(65537, 2048), hashes.SHA256())
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    (refusal,) = policy.approve_certificate(made.replace(sha256, sha1))
    assert "signed with SHA1" in refusal


def test_what_cannot_be_read_is_refused() -> None:
    assert policy.approve_key(b"no key")
    assert policy.approve_certificate(b"no certificate") == ["the certificate cannot be read"]


@pytest.mark.parametrize(
    ("suite", "version", "refused"),
    [
        ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 0),
        ("ECDHE-RSA-AES128-SHA256", "TLSv1.2", 0),
        ("TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", 1),
        ("AES256-GCM-SHA384", "TLSv1.2", 1),
        ("ECDHE-RSA-AES256-SHA", "TLSv1.1", 2),
    ],
)
def test_suites_and_versions(suite: str, version: str, refused: int) -> None:
    assert len(policy.approve_suite(suite, version)) == refused


def test_key_derivations() -> None:
    assert policy.approve_kdf("PBKDF2") == []
    assert "scrypt" in policy.approve_kdf("scrypt")[0]


def test_a_restricted_context_offers_nothing_old() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    policy.restrict(context)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    below = {suite["name"] for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"}
    assert below <= set(policy.TLS12_SUITES)


@pytest.mark.parametrize("algorithm", ["RSA-2048", "P-256", "P-384", "P-521"])
def test_a_key_of_each_kind_is_made(algorithm: str) -> None:
    made = keys.generate(algorithm)
    assert policy.approve_key(made) == []
    size = algorithm.partition("-")[2]
    assert getattr(load_der_private_key(made, None), "key_size", 0) == int(size)


def test_the_default_is_rsa_3072() -> None:
    key = load_der_private_key(keys.generate(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyGenerationFailed, match="RSA-1024 is not one of"):
        keys.generate("RSA-1024")


def test_the_provider_makes_the_key(staged: Staged) -> None:
    assert policy.approve_key(keys.generate("P-256", staged.ssl_conf)) == []


def test_no_key_is_made_when_the_provider_does_not_load(staged: Staged) -> None:
    module = staged.ssl_conf.with_name("fips.so")
    module.write_bytes(module.read_bytes()[:-1] + b"x")
    with pytest.raises(KeyGenerationFailed):
        keys.generate("P-256", staged.ssl_conf)


def test_an_enforced_process_makes_keys_by_the_provider(staged: Staged, python: Python) -> None:
    code = (
        "import sys; from pathlib import Path; from openmid.fips import activation, keys; "
        "activation.enter(Path(sys.argv[1])); print(len(keys.generate('RSA-2048')) > 1000, len(keys.random_bytes(48)))"
    )
    assert python(code, staged.folder).stdout.split() == ["True", "48"]

"""What FIPS Enforced Mode refuses, each with its remedy: real keystores and real partners, in an enforced process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from openmid import keystore
from openmid.fips.provider import Staged
from tests.fips.test_policy_and_keys import certificate, pkcs8
from tests.keystore.vectors import FOLDER
from tests.midserver.conftest import PASSWORD, Authority, authority, bcfks, client, make_config  # noqa: F401  fixtures
from tests.midserver.partner import Partner, strict_server

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
WEAK = {  # vectors, and words of the refusal
    "rsa1024": ("pem-weak-rsa1024.pem", "RSA of 1024 bits"),
    "dsa": ("pem-weak-dsa2048.pem", "DSA"),
    "sha1": ("pem-weak-sha1sig.pem", "signed with SHA1"),
    "ed25519": ("pem-ed25519-pkcs8.pem", "Edwards curve"),
}
OTHERS = {"pkcs12": "p12-keytool-default.p12", "jks": "jks-rsa2048.jks", "pem": "pem-pkcs8-key-and-chain.pem"}
SCRYPT = "bcfks-scrypt-1024-8-1.bcfks"


def made_stores(folder: Path) -> dict[str, tuple[Path, str]]:
    """BCFKS stores by our library around keys that are not approved; and stores of other types, as they are."""
    found = {name: (FOLDER / file, "changeit") for name, file in OTHERS.items()} | {
        "scrypt": (FOLDER / SCRYPT, "changeit")
    }
    secp256k1 = ec.generate_private_key(ec.SECP256K1())
    pairs: dict[str, tuple[bytes, tuple[bytes, ...]]] = {
        "secp256k1": (pkcs8(secp256k1), (certificate(secp256k1, hashes.SHA256()),))
    }
    for name, (file, _) in WEAK.items():
        entry = next(iter(keystore.load(FOLDER / file, None).private_keys().values()))
        pairs[name] = (entry.private_key, entry.certificates)
    for name, (der, chain) in pairs.items():
        store = keystore.KeyStore()
        store.set_private_key("client", der, chain)
        store.save(folder / f"{name}.bcfks", PASSWORD)
        found[name] = (folder / f"{name}.bcfks", PASSWORD)
    return found


def partners(authority: Authority, folder: Path) -> dict[str, ssl.SSLContext]:  # noqa: F811
    found = {
        name: authority.server_context() for name in ("good", "TLS 1.1", "ChaCha20-Poly1305", "X25519", "CBC and SHA-1")
    }
    found["TLS 1.1"].minimum_version = ssl.TLSVersion.TLSv1
    found["TLS 1.1"].maximum_version = ssl.TLSVersion.TLSv1_1
    found["TLS 1.1"].set_ciphers("ALL:@SECLEVEL=0")
    for name, suites in (("ChaCha20-Poly1305", "CHACHA20"), ("CBC and SHA-1", "AES128-SHA:ECDHE-ECDSA-AES128-SHA")):
        found[name].maximum_version = ssl.TLSVersion.TLSv1_2
        found[name].set_ciphers(suites)
    found["X25519"].set_ecdh_curve("X25519")
    found["RSA of 1024 bits"] = small(authority, folder)
    return found


def small(authority: Authority, folder: Path) -> ssl.SSLContext:  # noqa: F811
    """A server whose certificate our CA issued for a key of 1024 bits."""
    import datetime

    from cryptography import x509

    ca = x509.load_pem_x509_certificate(authority.ca.cert_pem.bytes())
    ca_key = load_pem_private_key(authority.ca.private_key_pem.bytes(), None)
    key = rsa.generate_private_key(65537, 1024)
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(ca.subject, x509.Name([]), key.public_key(), 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .sign(ca_key, hashes.SHA256())  # type: ignore[arg-type]
    )
    pem = made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "small.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(folder / "small.pem")
    return context


async def test_in_force(
    staged: Staged,
    authority: Authority,  # noqa: F811
    bcfks: Path,  # noqa: F811
    own_keystore: Path,
    tmp_path: Path,
) -> None:
    config = make_config(tmp_path / "agent")
    (tmp_path / "agent/security").symlink_to(own_keystore)
    (tmp_path / "ca.pem").write_text(authority.pem)
    stores = made_stores(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        ports = {
            # Blocking sockets for those that must fail: unlike asyncio's, they send their alert before they close.
            name: (await stack.enter_async_context(Partner(context))).port
            if name == "good"
            else stack.enter_context(strict_server(context))
            for name, context in partners(authority, tmp_path).items()
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("in_force.py")),
            *map(str, (staged.folder, config.agent, tmp_path / "ca.pem", bcfks, PASSWORD)),
            "\n".join(f"{name}={path}={word}" for name, (path, word) in stores.items()),
            "\n".join(f"{name}={port}" for name, port in ports.items()),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found = json.loads(out.splitlines()[-1])
    sys.stderr.write(json.dumps(found, indent=1) + "\n")
    check_stores(found["stores"], stores, config.agent)
    check_partners(found["partners"])
    assert found["sealed"].pop("opens") == "secret"
    assert found["sealed"].pop("sealing") not in ("", "secret")
    assert set(found["sealed"].values()) == {"SealedSecretRefused"}


def check_stores(found: dict[str, list[str]], stores: dict[str, tuple[Path, str]], agent: Path) -> None:
    assert found["good"] == ["", "", ""]
    for name in (*WEAK, "secp256k1"):
        code, error, remedy = found[name]
        path = str(stores[name][0])
        assert code == "keystore_not_approved", (name, error)
        assert path in error
        assert WEAK.get(name, ("", "curve secp256k1"))[1] in error
        assert f"{agent}/jre/bin/keytool -importkeystore" in remedy
        assert f"-destkeystore {path} -deststoretype BCFKS" in remedy
    for name in OTHERS:
        code, error, remedy = found[name]
        source = stores[name][0]
        assert code == "keystore_not_bcfks", (name, error)
        assert str(source) in error
        assert f"-srckeystore {source}" in remedy
        assert f"-destkeystore {source.with_suffix('.bcfks')} -deststoretype BCFKS" in remedy
    code, error, remedy = found["scrypt"]
    assert code == "kdf_not_approved"
    assert str(FOLDER / SCRYPT) in error
    assert str(FOLDER / SCRYPT) in remedy
    assert "keytool" in remedy


def check_partners(found: dict[str, list[object]]) -> None:
    assert found.pop("good")[0] == 200
    assert {name: code for name, (_, code, _) in found.items()} == {
        "TLS 1.1": "tls_version",
        "ChaCha20-Poly1305": "tls_no_common_suite",
        "X25519": "tls_no_common_suite",
        "CBC and SHA-1": "tls_no_common_suite",
        "RSA of 1024 bits": "server_certificate_refused",
    }


@pytest.mark.parametrize("name", ["TLS 1.1", "ChaCha20-Poly1305", "X25519", "CBC and SHA-1", "RSA of 1024 bits"])
async def test_without_the_mode_these_partners_are_there(
    name: str,
    authority: Authority,  # noqa: F811
    client: trustme.LeafCert,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The counter-test: each of them answers a client that is not enforced."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.pem)
    client.configure_cert(context)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with Partner(partners(authority, tmp_path)[name]) as partner:
        _, writer = await asyncio.open_connection("localhost", partner.port, ssl=context)
        assert writer.get_extra_info("cipher")
        writer.close()

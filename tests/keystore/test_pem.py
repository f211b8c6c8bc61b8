"""PEM, DER and PKCS#7 in every shape seen; and PEM written."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from openmid import keystore
from openmid.keystore import der, private_key
from tests import parts
from tests.keystore.conftest import Pair
from tests.keystore.test_hostile_formats import bundle
from tests.keystore.vectors import FOLDER, MANIFEST, PLAIN_PEM, sha256

TEXT = PLAIN_PEM.read_bytes()


def block(label: str, content: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{b64encode(content).decode()}\n-----END {label}-----\n".encode()


def same(store: keystore.KeyStore, pair: Pair) -> bool:
    entry = store.private_keys()["1"]
    return (entry.private_key, entry.certificates) == pair


@pytest.mark.parametrize("data", [
    b"\xef\xbb\xbf" + TEXT, TEXT.decode().encode("utf-16"), b"\xfe\xff" + TEXT.decode().encode("utf-16-be"),
    TEXT.replace(b"\n", b"\r\n"), TEXT.replace(b"\n", b"\r"), b"some words\n" + TEXT.replace(b"-----END", b"  \n\n-----END"),
    TEXT + TEXT, TEXT + b"-----BEGIN DH PARAMETERS-----\nMAA=\n-----END DH PARAMETERS-----\n", TEXT.rstrip(),
    TEXT.replace(b"-----BEGIN", b"Bag Attributes\n    friendlyName: x\nKey Attributes: <No Attributes>\n-----BEGIN"),
], ids=["BOM", "UTF-16", "UTF-16BE", "CRLF", "CR", "blanks", "twice", "parameters", "no newline", "attributes"])  # fmt: skip
def test_text_around_and_inside_does_not_matter(data: bytes, pair: Pair) -> None:
    assert same(keystore.loads(data, None), pair)


@pytest.mark.parametrize(
    "label", ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "PKCS7", "PKCS #7 SIGNED DATA", "CMS"]
)
def test_labels_of_certificates(label: str, pair: Pair) -> None:
    certificate = pair.chain[0]
    content = bundle(certificate) if label.startswith(("PKCS", "CMS")) else certificate
    if label == "TRUSTED CERTIFICATE":
        content += der.sequence(der.sequence(der.oid("1.3.6.1.5.5.7.3.2")), der.utf8("its alias"))
    store = keystore.loads(block(label, content), None)
    assert [entry.certificate for entry in store.certificates().values()] == [certificate]


def test_a_key_with_a_bundle(pair: Pair) -> None:
    data = block("PKCS7", bundle(*reversed(pair.chain))) + block("PRIVATE KEY", pair.key)
    assert same(keystore.loads(data, None), pair)


def test_several_keys(pair: Pair) -> None:
    other = (FOLDER / "pem-ec-pkcs8.pem").read_bytes()
    store = keystore.loads(other + TEXT, None)
    assert list(store.private_keys()) == ["1", "2"]
    assert store.private_keys()["2"].certificates == pair.chain
    assert store.notes == []


@pytest.mark.parametrize("shape", ["pem-ec-sec1-with-params.pem", "pem-pkcs1-plain.pem", "pem-weak-dsa2048.pem"])
@pytest.mark.parametrize("options", [["-aes256"], ["-des3"], ["-aes128"], []])
def test_openssls_old_encryption(shape: str, options: list[str], tmp_path: Path) -> None:
    """Every kind of key in its traditional form, as `openssl pkey -traditional` writes it."""
    words = [parts.program("openssl", "openssl"), "pkey", "-in", str(FOLDER / shape), "-traditional", *options]
    words += ["-passout", "pass:secret word"] if options else []
    made = subprocess.run(words, capture_output=True, check=True).stdout
    assert (b"DEK-Info" in made) == bool(options)
    expected = keystore.load(FOLDER / shape, None).private_keys()["1"].private_key
    assert keystore.loads(made, "secret word").private_keys()["1"].private_key == expected


@pytest.mark.parametrize("options", [
    ["-v1", "PBE-MD5-DES"], ["-v1", "PBE-SHA1-DES"], ["-v1", "PBE-SHA1-RC2-64"], ["-v1", "PBE-MD5-RC2-64"],
    ["-v1", "PBE-SHA1-3DES"], ["-v1", "PBE-SHA1-2DES"], ["-v1", "PBE-SHA1-RC2-40"], ["-v1", "PBE-SHA1-RC2-128"],
    ["-v1", "PBE-SHA1-RC4-40"], ["-v1", "PBE-SHA1-RC4-128"],
    ["-v2", "aes128"], ["-v2", "aes192"], ["-v2", "aes256"], ["-v2", "des3"], ["-v2", "des"], ["-v2", "rc2"],
    ["-v2", "rc2-40-cbc"],
    *(["-v2", "aes256", "-v2prf", f"hmacWith{digest}"] for digest in ("SHA1", "SHA224", "SHA384", "SHA512", "SHA512-256")),
    ["-scrypt", "-scrypt_N", "1024"],
], ids=" ".join)  # fmt: skip
def test_every_encryption_of_pkcs8(options: list[str]) -> None:
    words = [parts.program("openssl", "openssl"), "pkcs8", "-topk8", "-in", str(FOLDER / "pem-ec-pkcs8.pem"), *options]
    words += ["-passout", "pass:secret word", "-provider", "legacy", "-provider", "default"]
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode:
        parts.missing(f"an openssl that does this ({done.stderr.decode()[:200]})", "openssl")
    found = keystore.loads(done.stdout, "secret word").private_keys()["1"].private_key
    assert sha256(found) == MANIFEST["pkcs8_sha256_by_name"]["ec-p256"]


class TestDer:
    """Bare certificates and keys."""

    def test_keys(self, pair: Pair) -> None:
        _, inner = private_key._algorithm(pair.key)
        for data in (pair.key, inner):
            assert keystore.loads(data, None).private_keys()["1"].private_key == pair.key

    def test_a_bundle(self, pair: Pair) -> None:
        store = keystore.loads(bundle(*pair.chain, pair.chain[0]), None)
        assert (store.type, [entry.certificate for entry in store.certificates().values()]) == ("PKCS7", [*pair.chain])

    def test_a_bundle_of_nothing(self) -> None:
        with pytest.raises(keystore.FileProblem, match="without certificates"):
            keystore.loads(bundle(), None)

    def test_a_public_key(self, pair: Pair) -> None:
        from openmid.keystore.certificate import fields

        with pytest.raises(keystore.KeystoreError):
            keystore.loads(fields(pair.chain[0]).public_key, None)


class TestWritten:
    """What we write as PEM, read by OpenSSL and by us."""

    @pytest.mark.parametrize("password", [None, "secret word", "päss鍵"])
    def test_a_key_and_its_chain(self, password: str | None, pair: Pair, tmp_path: Path) -> None:
        store = keystore.KeyStore()
        store.set_private_key("client", *pair)
        store.save(tmp_path / "client.pem", password, type="PEM")
        assert store.notes == ["aliases, dates and attributes were left out: PEM has no place for them"]
        assert same(keystore.load(tmp_path / "client.pem", password), pair)
        assert ((tmp_path / "client.pem").read_bytes().count(b"ENCRYPTED") == 2) == bool(password)
        words = [parts.program("openssl", "openssl"), "pkey", "-in", str(tmp_path / "client.pem"), "-outform", "DER"]
        environment = {"SECRET": password or ""}
        done = subprocess.run([*words, "-passin", "env:SECRET"], env=environment, capture_output=True, check=True)
        assert private_key.from_any(done.stdout, None, None, "it") == pair.key  # type: ignore[arg-type]

    def test_certificates(self, pair: Pair) -> None:
        store = keystore.KeyStore()
        for number, certificate in enumerate(pair.chain):
            store.set_certificate(f"ca {number}", certificate)
        back = keystore.loads(keystore.dumps(store, None, type="PEM"), None)
        assert [entry.certificate for entry in back.certificates().values()] == [*pair.chain]

    def test_what_it_has_no_form_for(self) -> None:
        store = keystore.KeyStore()
        store.set_secret_key("aes", "2.16.840.1.101.3.4.1", b"k" * 16)
        with pytest.raises(keystore.Unstorable, match="'aes' is a secret key, for which PEM has no form"):
            keystore.dumps(store, None, type="PEM")
        with pytest.raises(keystore.Unstorable, match="nothing to write"):
            keystore.dumps(keystore.KeyStore(), None, type="PEM")

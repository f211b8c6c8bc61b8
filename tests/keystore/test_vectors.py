"""Every vector: what it is, and each key and certificate in it, as its manifest says."""

from __future__ import annotations

from typing import Any

import pytest

from openmid import keystore
from tests.keystore.vectors import FILES, FOLDER, MANIFEST, sha256

TYPE_BY_CONTENT = {"BKS-V1": "BKS", "OTHER": "UNKNOWN"}
SIGNER = (FOLDER / "der-leaf.cer").read_bytes()  # of bcfks-signed-rsa-nocerts.bcfks
INVALID = [
    ("bcfks-truncated.bcfks", keystore.Damaged, "the keystore is cut short"),
    ("garbage.bin", keystore.WrongType, "of no kind that openmid knows"),
    ("p12-password-wrong-type.txt", keystore.WrongType, "of no kind"),
    ("pem-empty.pem", keystore.FileProblem, "is empty"),
    ("pem-key-mismatch.pem", keystore.KeyMismatch, "hold another key"),
    ("pem-openssh-key.pem", keystore.UnsupportedType, "an OpenSSH key, which openmid recognises and does not read"),
    ("pem-truncated.pem", keystore.Damaged, "does not end"),
    ("uber-mixed.uber", keystore.UnsupportedType, r"\(UBER\), which openmid recognises and does not read"),
]
NOT_READ = [name for name, _, _ in INVALID]
# Java shows nothing of these two: the certificates have no mark of trust, and the other has no integrity code.
MORE_THAN_JAVA_SHOWS = {"p12-certs-only-openssl.p12": ["inter ca", "root ca"], "p12-unencrypted-nomac.p12": ["server"]}
NOT_ALL_ARE_OF_THE_CHAIN = ("pem-chain-missing-intermediate.pem", "pem-chain-with-unrelated-cert.pem")


def load(name: str) -> keystore.KeyStore:
    vector = FILES[name]
    passwords = [vector.get("store_password"), *(entry.get("key_password") for entry in vector["entries"])]
    password = next((password for password in passwords if password is not None), None)
    return keystore.load(FOLDER / name, password, terms=keystore.Terms(verify_with=SIGNER))


@pytest.mark.parametrize("name", [name for name in FILES if name != "pem-empty.pem"])
def test_the_type_is_told_by_content(name: str) -> None:
    expected = FILES[name]["type"]
    assert keystore.detect(FOLDER / name) == TYPE_BY_CONTENT.get(expected, expected)


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_READ])
def test_every_entry(name: str) -> None:
    store = load(name)
    entries = FILES[name]["entries"]
    if all("alias" in entry for entry in entries):
        assert sorted(store) == sorted(MORE_THAN_JAVA_SHOWS.get(name) or [entry["alias"] for entry in entries])
    for expected in entries:
        check_entry(store, expected, name)


def check_entry(store: keystore.KeyStore, expected: dict[str, Any], name: str) -> None:
    entry = store[expected.get("alias", "1")]
    if isinstance(entry, keystore.TrustedCertificateEntry):
        found = [entry.certificate] if "alias" in expected else [e.certificate for e in store.certificates().values()]
        assert [sha256(certificate) for certificate in found] == expected["certs"]
    elif isinstance(entry, keystore.SecretKeyEntry):
        entry.unlock(expected.get("key_password"))
        assert sha256(entry.key) == expected["key_sha256"]
        by_name = {"AES": "2.16.840.1.101.3.4.1", "DESede": "1.3.14.3.2.17"}
        assert entry.algorithm == expected.get("key_oid", by_name.get(expected.get("alg", "")))
    else:
        assert isinstance(entry, keystore.PrivateKeyEntry)
        check_chain([sha256(certificate) for certificate in entry.certificates], expected["certs"], name)
        if expected["pkcs8_sha256"] is not None:  # Java could not open it either
            entry.unlock(expected.get("key_password"))
            assert sha256(entry.private_key) == expected["pkcs8_sha256"]


def check_chain(found: list[str], expected: list[str], name: str) -> None:
    if name in NOT_ALL_ARE_OF_THE_CHAIN:
        assert set(found) < set(expected)
    elif name.startswith("pem-chain"):
        assert set(found) == set(expected)
    else:
        assert found == expected


def test_a_key_in_a_foreign_envelope() -> None:
    """Object type 3 holds whatever its writer supplied; Bouncy Castle itself cannot open this one."""
    entry = load("bcfks-protected-foreign-epki.bcfks").private_keys()["foreign-epki"]
    assert sha256(entry.private_key) == MANIFEST["pkcs8_sha256_by_name"]["rsa2048"]


def test_what_java_does_not_show() -> None:
    assert load("p12-certs-only-openssl.p12").aliases() == ["inter ca", "root ca"]
    entry = load("p12-unencrypted-nomac.p12").private_keys()["server"]
    assert sha256(entry.private_key) == MANIFEST["pkcs8_sha256_by_name"]["rsa2048"]
    assert len(entry.certificates) == 3


@pytest.mark.parametrize(("name", "names"), [
    ("pem-chain-leaf-last.pem", ["rsa2048", "inter-rsa", "root-rsa"]),
    ("pem-chain-missing-intermediate.pem", ["rsa2048"]),
    ("pem-chain-with-unrelated-cert.pem", ["rsa2048", "inter-rsa", "root-rsa"]),
])  # fmt: skip
def test_a_pem_chain_starts_with_the_leaf_and_has_no_strangers(name: str, names: list[str]) -> None:
    store = keystore.load(FOLDER / name, None)
    digests = {digest: name for name, digest in MANIFEST["cert_sha256_by_name"].items()}
    assert [digests[sha256(certificate)] for certificate in store.private_keys()["1"].certificates] == names
    assert len(store.notes) == (0 if name == "pem-chain-leaf-last.pem" else 1)


@pytest.mark.parametrize(("name", "error", "part"), INVALID)
def test_what_is_not_read(name: str, error: type[keystore.KeystoreError], part: str) -> None:
    with pytest.raises(error, match=part) as caught:
        load(name)
    assert "\n" not in str(caught.value)


WITH_STORE_PASSWORD = [
    "bcfks-mixed.bcfks", "p12-keytool-default.p12", "p12-keytool-legacy.p12", "p12-legacy-rc2-40.p12",
    "jks-rsa2048.jks", "jceks-mixed.jceks", "bks-mixed.bks", "bks-v1-mixed.bks",
]  # fmt: skip


@pytest.mark.parametrize("name", WITH_STORE_PASSWORD)
@pytest.mark.parametrize("password", ["wrong password", "", "päss鍵"])
def test_a_wrong_password(name: str, password: str) -> None:
    with pytest.raises(keystore.WrongPassword, match="the password does not open"):
        keystore.load(FOLDER / name, password)


@pytest.mark.parametrize("name", [
    "pem-pkcs8-encrypted-pyca.pem", "pem-pkcs8-encrypted-pbes1-3des.pem", "pem-pkcs8-encrypted-scrypt.pem",
    "pem-pkcs1-encrypted-aes128.pem", "pem-pkcs1-encrypted-des.pem",
])  # fmt: skip
@pytest.mark.parametrize("password", ["wrong password", None, "", "päss鍵"])
def test_a_wrong_password_of_a_pem_key(name: str, password: str | None) -> None:
    with pytest.raises(keystore.WrongKeyPassword, match="the password does not open the private key"):
        keystore.load(FOLDER / name, password)


def test_a_wrong_password_of_a_key() -> None:
    entry = keystore.load(FOLDER / "jceks-mixed.jceks", "changeit").private_keys()["ec"]
    with pytest.raises(keystore.WrongKeyPassword, match="it has a password of its own"):
        _ = entry.private_key
    entry.unlock("keypass99")
    assert sha256(entry.private_key) == MANIFEST["pkcs8_sha256_by_name"]["ec-p256"]


@pytest.mark.parametrize(("name", "asked", "actual"), [
    ("p12-keytool-default.p12", "BCFKS", "a PKCS12 file"),
    ("bcfks-mixed.bcfks", "PKCS12", "a BCFKS keystore"),
    ("pem-cert-only.pem", "PKCS12", "a PEM file"),
    ("jks-rsa2048.jks", "PKCS12", r"a Java keystore \(JKS\)"),
    ("garbage.bin", "BCFKS", "of no kind"),
])  # fmt: skip
def test_a_wrong_type_is_answered_with_what_the_file_is(name: str, asked: str, actual: str) -> None:
    with pytest.raises(keystore.WrongType, match=f"it is {actual}"):
        keystore.load(FOLDER / name, "changeit", type=asked)


def test_types_have_synonyms() -> None:
    assert keystore.load(FOLDER / "p12-ec-p256.p12", "changeit", type="p12").type == "PKCS12"


class TestSigned:
    """Signed stores are read with the signer's key only."""

    PATH = FOLDER / "bcfks-signed-rsa-nocerts.bcfks"

    def test_without_a_key(self) -> None:
        with pytest.raises(keystore.Unverified, match="no key was given to verify it with") as caught:
            keystore.load(self.PATH, None)
        assert "verify_with" in caught.value.hint

    @pytest.mark.parametrize("other", ["pem-ec-pkcs8.pem", "pem-weak-rsa1024.pem", "pem-weak-dsa2048.pem"])
    def test_with_another_key(self, other: str) -> None:
        certificate = keystore.load(FOLDER / other, None).private_keys()["1"].certificates[0]
        with pytest.raises(keystore.Unverified, match="is not by the key that was given"):
            keystore.load(self.PATH, None, terms=keystore.Terms(verify_with=certificate))

    def test_with_nonsense(self) -> None:
        with pytest.raises(keystore.Damaged, match=r"neither an X\.509 certificate nor a public key"):
            keystore.load(self.PATH, None, terms=keystore.Terms(verify_with=b"nonsense"))

    def test_with_a_bare_public_key(self) -> None:
        from openmid.keystore.certificate import fields

        terms = keystore.Terms(verify_with=fields(SIGNER).public_key)
        assert keystore.load(self.PATH, None, terms=terms).aliases() == ["ca"]

    def test_changed(self) -> None:
        data = bytearray(self.PATH.read_bytes())
        data[200] ^= 1
        with pytest.raises(keystore.Unverified):
            keystore.loads(bytes(data), None, terms=keystore.Terms(verify_with=SIGNER))

    def test_with_a_wrong_password(self) -> None:
        with pytest.raises(keystore.WrongPassword, match="whose signature is right"):
            keystore.load(self.PATH, "wrong", terms=keystore.Terms(verify_with=SIGNER))

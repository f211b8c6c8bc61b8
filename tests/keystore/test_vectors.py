"""Every vector: what it is, and, where this version reads it, each key and certificate in it."""

from __future__ import annotations

from typing import Any

import pytest

from openmid import keystore
from tests.keystore.vectors import FILES, FOLDER, MANIFEST, of_type, sha256

TYPE_BY_CONTENT = {"BKS-V1": "BKS", "OTHER": "UNKNOWN"}
NOT_READ_YET = {
    "bcfks-signed-rsa-nocerts.bcfks": "protected by a signature",
    "p12-keytool-multi-secret-trusted.p12": "several keys or a secret key",
    "pem-openssh-key.pem": "an OpenSSH key",
    "pem-pkcs1-encrypted-des.pem": "unknown cipher",
}
ORDERED_BY_US = ("pem-chain-leaf-last.pem", "pem-chain-missing-intermediate.pem", "pem-chain-with-unrelated-cert.pem")


@pytest.mark.parametrize("name", [name for name in FILES if name != "pem-empty.pem"])
def test_the_type_is_told_by_content(name: str) -> None:
    expected = FILES[name]["type"]
    assert keystore.detect(FOLDER / name) == TYPE_BY_CONTENT.get(expected, expected)


@pytest.mark.parametrize("name", sorted(set(of_type("BCFKS")) - set(NOT_READ_YET)))
def test_bcfks(name: str) -> None:
    vector = FILES[name]
    store = keystore.load(FOLDER / name, vector["store_password"])
    assert sorted(store) == sorted(entry["alias"] for entry in vector["entries"])
    for expected in vector["entries"]:
        check_entry(store[expected["alias"]], expected)


def check_entry(entry: keystore.Entry, expected: dict[str, Any]) -> None:
    if isinstance(entry, keystore.TrustedCertificateEntry):
        assert [sha256(entry.certificate)] == expected["certs"]
    elif isinstance(entry, keystore.SecretKeyEntry):
        entry.unlock(expected["key_password"])
        assert (entry.algorithm, sha256(entry.key)) == (expected["key_oid"], expected["key_sha256"])
    else:
        assert isinstance(entry, keystore.PrivateKeyEntry)
        assert [sha256(certificate) for certificate in entry.certificates] == expected["certs"]
        if expected["pkcs8_sha256"] is not None:  # Java could not open it either
            entry.unlock(expected["key_password"])
            assert sha256(entry.private_key) == expected["pkcs8_sha256"]


@pytest.mark.parametrize("name", sorted(set(of_type("PKCS12")) - set(NOT_READ_YET)))
def test_pkcs12(name: str) -> None:
    vector = FILES[name]
    store = keystore.load(FOLDER / name, vector["store_password"])
    assert len(store) >= 1
    for expected in vector.get("entries") or []:
        alias = expected["alias"] if expected["certs"] else "1"  # the loader has no name for a key without certificate
        check_entry(store[alias], expected)


@pytest.mark.parametrize("name", sorted(set(of_type("PEM")) - set(NOT_READ_YET) - {"pem-key-mismatch.pem"}))
def test_pem(name: str) -> None:
    (expected,) = FILES[name]["entries"]
    store = keystore.load(FOLDER / name, expected.get("key_password"))
    if "pkcs8_sha256" not in expected:
        assert [sha256(entry.certificate) for entry in store.certificates().values()] == expected["certs"]
        return
    entry = store.private_keys()["1"]
    assert sha256(entry.private_key) == expected["pkcs8_sha256"]
    found = [sha256(certificate) for certificate in entry.certificates]
    if name in ORDERED_BY_US:
        assert set(found) <= set(expected["certs"])
    else:
        assert found == expected["certs"]


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


@pytest.mark.parametrize(("name", "part"), list(NOT_READ_YET.items()))
def test_what_is_not_read_yet_says_so(name: str, part: str) -> None:
    with pytest.raises(keystore.UnsupportedType, match=part):
        keystore.load(FOLDER / name, "changeit")


@pytest.mark.parametrize("name", of_type("JKS", "JCEKS", "BKS", "BKS-V1", "UBER", "PKCS7", "DER"))
def test_types_that_are_recognised_and_refused(name: str) -> None:
    with pytest.raises(keystore.UnsupportedType, match=r"recognises and does not read$") as caught:
        keystore.load(FOLDER / name, "changeit")
    assert caught.value.hint


@pytest.mark.parametrize(("name", "error", "part"), [
    ("bcfks-truncated.bcfks", keystore.Damaged, "the keystore is cut short"),
    ("garbage.bin", keystore.WrongType, "of no kind that openmid knows"),
    ("p12-password-wrong-type.txt", keystore.WrongType, "of no kind"),
    ("pem-empty.pem", keystore.FileProblem, "is empty"),
    ("pem-key-mismatch.pem", keystore.KeyMismatch, "hold another key"),
    ("pem-truncated.pem", keystore.Damaged, "does not end"),
])  # fmt: skip
def test_invalid_files(name: str, error: type[keystore.KeystoreError], part: str) -> None:
    with pytest.raises(error, match=part) as caught:
        keystore.load(FOLDER / name, "changeit")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["bcfks-mixed.bcfks", "p12-keytool-default.p12", "p12-keytool-legacy.p12"])
def test_a_wrong_password(name: str) -> None:
    with pytest.raises(keystore.WrongPassword, match="the password does not open"):
        keystore.load(FOLDER / name, "wrong password")


@pytest.mark.parametrize("password", ["wrong password", None, ""])
def test_a_wrong_password_of_a_pem_key(password: str | None) -> None:
    with pytest.raises(keystore.WrongKeyPassword):
        keystore.load(FOLDER / "pem-pkcs8-encrypted-pyca.pem", password)


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

"""What a current Bouncy Castle wrote (tests/interop/MakeVectors.java): every entry, as Bouncy Castle reads it itself."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from openmid import keystore
from openmid.keystore import der, pbes
from openmid.keystore.algorithm import Algorithm
from openmid.keystore.certificate import fields
from openmid.keystore.keytool.__main__ import main
from tests.keystore.vectors import FOLDER, sha256

CURRENT = FOLDER.parent / "bc-current"
FILES: dict[str, dict[str, Any]] = {
    vector["file"]: vector for vector in json.loads((CURRENT / "manifest.json").read_text(encoding="utf-8"))["files"]
}
SIGNED = [name for name in FILES if "signer_sha256" in FILES[name]]
PBE_KEYS = "bcfks-pbe-keys.bcfks"
OIDS = {
    "AES": "2.16.840.1.101.3.4.1", "ARIA": "1.2.410.200046.1.1.12", "Camellia": "1.2.392.200011.61.1.1.1.4",
    "DESede": "1.3.14.3.2.17", "SEED": "1.2.410.200004.1.4", "KMAC128": "2.16.840.1.101.3.4.2.21",
    "HmacSHA256": "1.2.840.113549.2.9", "HmacSHA3-512": "2.16.840.1.101.3.4.2.16",
}  # fmt: skip


@cache
def signers() -> dict[str, bytes]:
    """The signer's certificate of each signed file."""
    stores = [keystore.load(FOLDER / name, "changeit") for name in ("bcfks-mixed.bcfks", "bcfks-weak-and-odd.bcfks")]
    leaves = [entry.certificates[0] for store in stores for entry in store.private_keys().values()]
    by_digest = {sha256(leaf): leaf for leaf in leaves}
    return {name: by_digest[FILES[name]["signer_sha256"]] for name in SIGNED}


def load(name: str, signer: bytes | None = None) -> keystore.KeyStore:
    return keystore.load(CURRENT / name, FILES[name]["store_password"], terms=keystore.Terms(verify_with=signer))


def pbe(store: keystore.KeyStore, alias: str) -> keystore.PbeKeyEntry:
    entry = store[alias]
    assert isinstance(entry, keystore.PbeKeyEntry)
    return entry


@pytest.mark.parametrize("name", FILES)
def test_every_entry(name: str) -> None:
    assert sha256((CURRENT / name).read_bytes()) == FILES[name]["sha256"]
    store = load(name, signers().get(name))
    assert sorted(store) == sorted(expected["alias"] for expected in FILES[name]["entries"])
    for expected in FILES[name]["entries"]:
        check(store[expected["alias"]], expected)


def check(entry: keystore.Entry, expected: dict[str, Any]) -> None:
    if isinstance(entry, keystore.TrustedCertificateEntry):
        assert ([sha256(entry.certificate)], "trusted_cert") == (expected["certs"], expected["kind"])
        return
    if isinstance(entry, keystore.OpaqueEntry):
        assert (entry.object_type, "java_get_key_error" in expected) == (4, True)
        return
    assert isinstance(entry, keystore.KeyEntry)
    entry.unlock(expected["key_password"])
    if isinstance(entry, keystore.PrivateKeyEntry):
        found = ("private_key", sha256(entry.private_key), list(map(sha256, entry.certificates)))
        assert found == (expected["kind"], expected["pkcs8_sha256"], expected["certs"])
    elif isinstance(entry, keystore.SecretKeyEntry):
        assert ("secret_key", sha256(entry.key)) == (expected["kind"], expected["key_sha256"])
        assert entry.algorithm == OIDS.get(expected["alg"], entry.algorithm) != ""
    else:
        assert isinstance(entry, keystore.PbeKeyEntry)
        data = entry.data
        assert (data.algorithm, data.password, data.iterations) == (
            *(expected["alg"], expected["password"], expected["iterations"]),
        )
        assert (data.salt.hex() if data.salt is not None else None) == expected["salt"]
        assert sha256(data.key or b"") == expected["key_sha256"]


class TestSigned:
    """All six of Bouncy Castle's signatures."""

    def test_all_are_there(self) -> None:
        named = {FILES[name]["signature"] for name in SIGNED}
        assert named == {f"{digest}with{kind}" for digest in ("SHA512", "SHA3_512") for kind in ("RSA", "ECDSA", "DSA")}

    @pytest.mark.parametrize("name", SIGNED)
    def test_a_bare_public_key_will_do(self, name: str) -> None:
        key = fields(signers()[name]).public_key
        assert sorted(load(name, key)) == ["aes", "ca", "server"]

    @pytest.mark.parametrize("name", SIGNED)
    def test_nobody_else_signed_it(self, name: str) -> None:
        for stranger in set(signers().values()) - {signers()[name]}:
            with pytest.raises(keystore.Unverified, match="is not by the key that was given"):
                load(name, stranger)

    @pytest.mark.parametrize("name", SIGNED)
    def test_the_certificate_in_it_proves_nothing(self, name: str) -> None:
        with pytest.raises(keystore.Unverified, match="no key was given to verify it with"):
            load(name)

    @pytest.mark.parametrize("name", SIGNED)
    def test_a_changed_byte_is_noticed(self, name: str) -> None:
        """In the content (the middle) and in the signature (the end)."""
        data = (CURRENT / name).read_bytes()
        terms = keystore.Terms(verify_with=signers()[name])
        for at in (len(data) // 2, len(data) - 5):
            changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            with pytest.raises(keystore.KeystoreError) as caught:
                keystore.loads(changed, None, terms=terms)
            assert isinstance(caught.value, keystore.Unverified | keystore.Damaged)


class TestPbeKeys:
    """Object type 5: protected as secret keys are, and it follows the store's password as every key does."""

    @pytest.mark.parametrize("cipher", ["CCM", "KWP"])
    def test_a_new_store_password_reaches_them(self, cipher: str, tmp_path: Path) -> None:
        before, path = load(PBE_KEYS), tmp_path / "new.bcfks"
        wanted = pbe(before, "pbkdf2").data
        before.save(path, "another password", cipher=cipher)
        after = keystore.load(path, "another password")
        assert pbe(after, "pbkdf2").data == wanted
        with pytest.raises(keystore.WrongKeyPassword):
            pbe(keystore.load(path, "another password"), "pbkdf2").unlock("changeit")

    def test_one_with_a_password_of_its_own_keeps_it(self, tmp_path: Path) -> None:
        path = tmp_path / "new.bcfks"
        load(PBE_KEYS).save(path, "another password")
        entry = pbe(keystore.load(path, "another password"), "own")
        with pytest.raises(keystore.WrongKeyPassword, match="has a password of its own"):
            _ = entry.data
        entry.unlock("keypass99")
        assert entry.data.password == "another one"

    def test_keytool_changes_both_passwords(self, tmp_path: Path) -> None:
        path = tmp_path / "s.bcfks"
        path.write_bytes((CURRENT / PBE_KEYS).read_bytes())
        for words in (
            f"-storepasswd -new changed1 -keystore {path} -storepass changeit",
            f"-keypasswd -alias pbkdf2 -new changed2 -keystore {path} -storepass changed1",
        ):
            assert main(shlex.split(words)) == 0
        store = keystore.load(path, "changed1")
        assert pbe(store, "pbes1").data.password == "päss鍵🔑"
        pbe(store, "pbkdf2").unlock("changed2")
        assert pbe(store, "pbkdf2").data.iterations == 4096

    def test_keytool_imports_them(self, tmp_path: Path) -> None:
        source, target = CURRENT / "bcfks-pbe-keys-kwp.bcfks", tmp_path / "new.bcfks"
        words = (
            f"-importkeystore -srckeystore {source} -srcstorepass päss鍵🔑 -destkeystore {target} -deststoretype BCFKS"
        )
        assert main([*shlex.split(words), "-deststorepass", "changeit"]) == 0
        assert pbe(keystore.load(target, "changeit"), "pbkdf2").data == pbe(load(source.name), "pbkdf2").data

    def test_only_bcfks_holds_them(self) -> None:
        store = load(PBE_KEYS)
        store.delete("own")
        store.delete("none")
        for kind in ("PKCS12", "PEM"):
            with pytest.raises(keystore.Unstorable) as caught:
                keystore.dumps(store, "changeit", kind)
            assert caught.value.hint == "leave it out, or write BCFKS"

    @pytest.mark.parametrize("data", [
        keystore.PbeKeyData("PBKDF2WithHmacSHA256", "", None, 0, None),
        keystore.PbeKeyData("", "lone surrogate \ud83d", b"", 1, b""),
        keystore.PbeKeyData("x" * 1000, "鍵" * 1000, b"s" * 1000, 2**31 - 1, b"k" * 1000),
    ])  # fmt: skip
    def test_a_new_one(self, data: keystore.PbeKeyData) -> None:
        store = keystore.KeyStore()
        store.put("new", keystore.PbeKeyEntry.of(data))
        assert pbe(keystore.loads(keystore.dumps(store, "password"), "password"), "new").data == data

    @pytest.mark.parametrize(
        "clear", ["", "3000", "30050c0141040100", "300a0c01410402004181020100", "30060c01410400ff"]
    )
    def test_a_damaged_one(self, clear: str) -> None:
        with pytest.raises(keystore.Damaged, match="a PBE key is damaged"):
            _ = keystore.PbeKeyEntry(bytes.fromhex(clear)).data

    def test_one_with_any_bit_flipped_does_no_harm(self) -> None:
        clear = keystore.PbeKeyEntry.of(keystore.PbeKeyData("PBKDF2", "pass", b"salt", 4096, b"key")).reveal()
        for position in range(len(clear) * 8):
            changed = bytearray(clear)
            changed[position // 8] ^= 1 << (position % 8)
            with suppress(keystore.Damaged):
                _ = keystore.PbeKeyEntry(bytes(changed)).data


def test_bytes_that_a_program_protected_itself_are_carried(tmp_path: Path) -> None:
    """Object type 4 with whatever its caller handed over: the rest opens, and is written under a new password."""
    path = tmp_path / "new.bcfks"
    load("bcfks-protected-bytes.bcfks").save(path, "another password")
    store = keystore.load(path, "another password")
    entry = store["bytes"]
    assert isinstance(entry, keystore.OpaqueEntry)
    assert (entry.object_type, entry.data) == (4, b"whatever the caller likes")
    assert store.private_keys()["server"].private_key


def test_a_changed_tag_of_gcm_is_noticed() -> None:
    cipher = Algorithm("2.16.840.1.101.3.4.1.46", der.sequence(der.octets(b"n" * 12), der.integer(16)), b"")
    for content in (b"", b"t" * 15, b"t" * 16, b"c" * 100):
        with pytest.raises(pbes.Undecryptable):
            pbes.aes_gcm(b"k" * 32, cipher, content)

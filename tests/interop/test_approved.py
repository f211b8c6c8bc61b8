"""What bc-fips does in approved-only mode with the things that people worry about. docs/bcfks.md has it in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmid import keystore
from openmid.keystore import bcfks, certificate
from tests.interop.java import Java
from tests.keystore.conftest import Pair
from tests.keystore.vectors import FOLDER

AES = "2.16.840.1.101.3.4.1"
RSA_2048 = FOLDER / "bcfks-pbkdf2-1024.bcfks"


@pytest.mark.parametrize("password", [None, "x", "elevenchars", "fourteen chars", "päss鍵🔑"])
def test_short_passwords_open_and_protect_a_store(approved: Java, tmp_path: Path, password: str | None) -> None:
    """The bound of 112 bits is on the derivation's input, which ends with the purpose: never under 32 bytes."""
    target = tmp_path / "theirs.bcfks"
    assert approved.copy(RSA_2048, "changeit", target, password) == {}
    assert approved.read(target, password)["server"].signs == "true"
    assert len(keystore.load(target, password).private_keys()["server"].private_key) == 1217


@pytest.mark.parametrize("count", [1, 1024, 16384, 51200])
def test_any_iteration_count_is_read(approved: Java, pair: Pair, tmp_path: Path, count: int) -> None:
    store, path = keystore.KeyStore(), tmp_path / "ours.bcfks"
    store.set_private_key("client", pair.key, pair.chain)
    path.write_bytes(bcfks.write(store, "elevenchars", iterations=count))
    assert approved.read(path, "elevenchars")["client"].signs == "true"


def test_bc_fips_writes_16384_iterations(approved: Java, tmp_path: Path) -> None:
    target = tmp_path / "theirs.bcfks"
    approved.copy(RSA_2048, "changeit", target, "elevenchars")
    data = target.read_bytes()
    assert data.count(bytes.fromhex("02024000")) == 2  # store and integrity code; the key's are under the encryption
    assert bytes.fromhex("020300c800") not in data


def test_weak_keys_are_kept_and_not_used(approved: Java) -> None:
    """RSA 1024 and DSA come out of the store; signing is what is refused (DSA by the current generation only)."""
    found = approved.read(FOLDER / "bcfks-weak-and-odd.bcfks", "changeit")
    assert found["weak-rsa1024"].kind == "private"
    assert "Attempt to use RSA key with non-approved size: 1024" in found["weak-rsa1024"].signs
    current = approved.version.startswith("2.")
    assert ("DSA is not approved for signature generation" in found["weak-dsa2048"].signs) == current
    assert found["weak-secp256k1"].signs == "true"
    assert found["weak-sha1sig"].signs == "true"


def test_a_weak_key_is_stored(approved: Java, tmp_path: Path) -> None:
    left = approved.copy(FOLDER / "bcfks-weak-and-odd.bcfks", "changeit", tmp_path / "theirs.bcfks", "elevenchars")
    assert left.keys() == (set() if approved.version.startswith("2.01") else {"ed25519"})
    assert "weak-rsa1024" in keystore.load(tmp_path / "theirs.bcfks", "elevenchars").private_keys()


def test_under_key_wrap_bc_fips_cannot_read_its_own_secret_keys(approved: Java, tmp_path: Path) -> None:
    """It wraps the bare key, without its algorithm, and wants the algorithm when it reads. We read the key."""
    target = tmp_path / "theirs.bcfks"
    assert approved.copy(FOLDER / "bcfks-mixed.bcfks", "changeit", target, "elevenchars", "cipher=kwp") == {}
    assert "failed to construct sequence" in approved.read(target, "elevenchars")["aes"].algorithm
    before, after = (
        keystore.load(FOLDER / "bcfks-mixed.bcfks", "changeit")["aes"],
        keystore.load(target, "elevenchars")["aes"],
    )
    assert isinstance(before, keystore.SecretKeyEntry)
    assert isinstance(after, keystore.SecretKeyEntry)
    assert (after.algorithm, after.key) == ("", before.key)


def test_a_certificate_of_another_key_is_refused(
    approved: Java, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bc-fips checks the pair when it reads too: a reason never to write one that does not match."""
    store = keystore.KeyStore()
    store.put("client", keystore.PrivateKeyEntry(pair.key, pair.chain[1:]))
    monkeypatch.setattr(certificate, "pair", lambda *_: ())  # which refuses to write it
    (tmp_path / "wrong.bcfks").write_bytes(bcfks.write(store, "elevenchars", iterations=1))
    found = approved.read(tmp_path / "wrong.bcfks", "elevenchars")["client"]
    assert found.kind == "sealed"
    assert "do not have the same modulus" in found.algorithm

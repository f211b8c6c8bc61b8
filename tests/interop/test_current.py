"""What only a current Bouncy Castle has: PBE keys, all secret keys, caps on the cost of opening."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmid import keystore
from openmid.keystore import bcfks
from openmid.keystore.bcfks_crypto import Form
from tests.interop.facts import of_java, of_ours, undated
from tests.interop.java import Java, JavaError
from tests.keystore.conftest import Pair
from tests.keystore.vectors import FOLDER

CURRENT = FOLDER.parent / "bc-current"
PASSWORD = "another päss鍵🔑"


@pytest.mark.parametrize(("name", "cipher"), [
    ("bcfks-pbe-keys", "CCM"), ("bcfks-pbe-keys", "KWP"), ("bcfks-secret-keys", "CCM"),
])  # fmt: skip
def test_it_reads_what_we_protect_anew_and_we_what_it_copies(
    current: Java, tmp_path: Path, name: str, cipher: str
) -> None:
    ours, theirs, keys = tmp_path / "ours.bcfks", tmp_path / "theirs.bcfks", ["keypass99", "", PASSWORD]
    source = keystore.load(CURRENT / f"{name}.bcfks", "changeit")
    wanted = of_ours(source, ["keypass99", "", "changeit"])
    ours.write_bytes(bcfks.write(source, PASSWORD, 1000, Form(0, cipher)))
    assert undated(of_java(current.read(ours, PASSWORD, keys=keys))) == undated(wanted)
    assert current.copy(ours, PASSWORD, theirs, "changeit", keys=keys) == {}
    assert undated(of_ours(keystore.load(theirs, "changeit"), ["changeit"])) == undated(wanted)


def test_a_new_pbe_key(current: Java, tmp_path: Path) -> None:
    """Without salt, count and encoding, too."""
    store, path = keystore.KeyStore(), tmp_path / "ours.bcfks"
    store.put("whole", keystore.PbeKeyEntry.of(keystore.PbeKeyData("Any name", "pass🔑", b"salt", 4096, b"key")))
    store.put("bare", keystore.PbeKeyEntry.of(keystore.PbeKeyData("PBKDF2", "", None, 0, b"")))
    path.write_bytes(bcfks.write(store, None, 1))
    assert undated(of_java(current.read(path, None))) == undated(of_ours(store, [None]))


def test_bytes_of_a_caller_stay_what_they_were(current: Java, tmp_path: Path) -> None:
    keystore.load(CURRENT / "bcfks-protected-bytes.bcfks", "changeit").save(tmp_path / "ours.bcfks", PASSWORD)
    found = current.read(tmp_path / "ours.bcfks", PASSWORD)
    assert (found["bytes"].kind, found["server"].signs) == ("sealed", "true")
    assert "failed to construct sequence from byte[]" in found["bytes"].algorithm


def test_its_caps_are_ours(current: Java, pair: Pair, tmp_path: Path) -> None:
    """One iteration more than both allow; nobody derives it."""
    store, path = keystore.KeyStore(), tmp_path / "dear.bcfks"
    store.set_certificate("ca", pair.chain[-1])
    data = bcfks.write(store, "password", 0x10000)
    path.write_bytes(data.replace(bytes.fromhex("0203010000"), bytes.fromhex("02034c4b41")))
    with pytest.raises(keystore.TooExpensive, match="5000001 iterations"):
        keystore.load(path, "password")
    with pytest.raises(JavaError, match=r"(?i)iteration count"):
        current.read(path, "password")

"""Old algorithms: their published vectors, and that the MID Server's process never loads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openmid import keystore
from openmid.keystore import decrepit, pbes
from tests.keystore.vectors import FOLDER

# RFC 2268, section 5: key, effective bits, clear, cipher.
RC2 = [
    ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
    ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
    ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
    ("88", 64, "0000000000000000", "61a8a244adacccf0"),
    ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
    ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
    ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
    ("88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"),
]
OLD = [
    ("p12-legacy-rc2-40.p12", "an integrity code with SHA-1"),
    ("p12-legacy-3des.p12", "an integrity code with SHA-1"),
    ("jks-rsa2048.jks", "an integrity code with SHA-1"),
    ("bks-mixed.bks", "an integrity code with SHA-1"),
    ("pem-pkcs1-encrypted-aes256.pem", "OpenSSL's old encryption of PEM keys"),
    ("pem-pkcs8-encrypted-pbes1-3des.pem", "PKCS12's scheme with SHA-1 and triple DES"),
]


@pytest.mark.parametrize(("key", "bits", "clear", "cipher"), RC2)
def test_rc2(key: str, bits: int, clear: str, cipher: str) -> None:
    assert decrepit.Rc2(bytes.fromhex(key), bits).decrypt_block(bytes.fromhex(cipher)).hex() == clear


@pytest.mark.parametrize(("key", "clear", "cipher"), [
    (b"Key", b"Plaintext", "bbf316e8d940af0ad3"),
    (b"Wiki", b"pedia", "1021bf0420"),
    (b"Secret", b"Attack at dawn", "45a01f645fc35b383552544b9bf5"),
])  # fmt: skip
def test_rc4(key: bytes, clear: bytes, cipher: str) -> None:
    """The vectors that everybody uses, of Wikipedia's article."""
    assert decrepit.rc4(key, bytes.fromhex(cipher)) == clear


@pytest.mark.parametrize(("salt", "cipher"), [
    ("0102030405060708", "ab48a134301e9efaca7475f4d80e7897"),
    ("0102030401020304", "996f0a50302e35f2eea78e0f6aeaa554"),
])  # fmt: skip
def test_java_pbe_with_md5_and_triple_des(salt: str, cipher: str) -> None:
    """Made by OpenJDK 17's Cipher of that name: password changeit, 3 iterations. Equal halves of a salt are special."""
    assert decrepit.open_jceks("changeit", bytes.fromhex(salt), 3, bytes.fromhex(cipher)) == b"plain text"


@pytest.mark.parametrize("content", [b"", b"1234567"])
def test_a_content_that_is_no_whole_number_of_blocks(content: bytes) -> None:
    for decryption in (decrepit.triple_des, lambda key, iv, data: decrepit.Rc2(key, 64).decrypt_cbc(iv, data)):
        with pytest.raises(pbes.Undecryptable):
            decryption(b"k" * 8, b"i" * 8, content)


@pytest.mark.parametrize(("name", "what"), OLD)
def test_they_can_be_ruled_out(name: str, what: str) -> None:
    with pytest.raises(keystore.OldAlgorithm, match=what) as caught:
        keystore.load(FOLDER / name, "changeit", terms=keystore.Terms(old_algorithms=False))
    assert "keytool -importkeystore" in caught.value.hint
    assert name in caught.value.hint


PROBE = """
import sys
from pathlib import Path
from openmid.midserver import agent_key, client_identity, instance_client
for path in sys.argv[1:]:
    try:
        found = client_identity.load(Path(path), "changeit", agent=Path("/nowhere"), enforced=False)
        print("read", found.keystore_type)
    except client_identity.ProfileError as error:
        print(error.code, "-importkeystore" in error.remedy)
print("openmid.keystore.decrepit" in sys.modules)
"""


def test_the_mid_server_reads_modern_files_without_them() -> None:
    """In a process of its own, as the MID Server's: what it imports, what it opens, and what it refuses."""
    names = [
        "bcfks-mixed.bcfks",
        "p12-keytool-default.p12",
        "p12-openssl-modern-aes256.p12",
        "pem-pkcs8-key-and-chain.pem",
    ]
    files = [str(FOLDER / name) for name in [*names, *(name for name, _ in OLD)]]
    done = subprocess.run([sys.executable, "-c", PROBE, *files], capture_output=True, text=True, check=True)
    *found, loaded = done.stdout.splitlines()
    assert found[:4] == ["read BCFKS", "read PKCS12", "read PKCS12", "read PEM"]
    assert found[4:] == ["keystore_type_unsupported True"] * len(OLD)
    assert loaded == "False"


def test_no_other_file_names_an_old_digest() -> None:
    """decrepit.py is the only file of the room that computes MD5 or SHA-1. (keytool prints SHA-1 fingerprints.)"""
    room = Path(decrepit.__file__).parent
    users = [path.name for path in room.glob("*.py") if any(word in path.read_text() for word in ('"md5"', '"sha1"'))]
    assert users == ["decrepit.py"]

"""In an enforced process: the library works wholly inside the provider, and what is refused has its own sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from openmid import keystore
from openmid.fips import provider
from openmid.fips.errors import ProviderNotFound
from tests.keystore.conftest import Pair
from tests.keystore.vectors import FOLDER
from tests.parts import missing

PROBE = """
import json, sys
from pathlib import Path
from openmid.fips import activation
activation.enter(Path(sys.argv[1]))
import _hashlib
from cryptography.hazmat.bindings._rust import openssl
from openmid import keystore
from openmid.keystore.refusals import fips_enforced

found = {"enforced": fips_enforced() and _hashlib.get_fips_mode() == 1, "files": {}}
for path in sys.argv[3:]:
    try:
        store = keystore.load(path, "changeit")
        copy = keystore.KeyStore()
        for alias, entry in store.private_keys().items():
            copy.set_private_key(alias, entry.private_key, entry.certificates)
        copy.save(sys.argv[2] + "/" + Path(path).name, "a password of fourteen")
        found["files"][Path(path).name] = "read"
    except keystore.KeystoreError as error:
        found["files"][Path(path).name] = [type(error).__name__, error.code, str(error), error.hint]
print(json.dumps(found))
"""
READ = ("bcfks-mixed.bcfks", "bcfks-sha3-512.bcfks", "bcfks-pbkdf2-1024.bcfks", "pem-ec-pkcs8.pem",
        "pem-pkcs8-encrypted-openssl-pbes2.pem", "p12-nomac.p12")  # fmt: skip
REFUSED = ("bcfks-scrypt-1024-8-1.bcfks", "p12-keytool-default.p12", "p12-keytool-legacy.p12",
           "pem-pkcs8-encrypted-scrypt.pem", "pem-pkcs1-encrypted-aes256.pem", "pem-pkcs8-encrypted-pbes1-3des.pem",
           "jks-rsa2048.jks", "bks-mixed.bks")  # fmt: skip


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fips") / "staged"
    folder.mkdir()
    try:
        provider.stage(provider.find_provider(), folder)
    except ProviderNotFound:
        missing("an OpenSSL FIPS provider", "openssl-provider-fips, or scripts/build-fips-provider")
    return folder


def test_an_enforced_process(staged: Path, tmp_path: Path, pair: Pair) -> None:
    files = [str(FOLDER / name) for name in (*READ, *REFUSED)]
    words = [sys.executable, "-c", PROBE, str(staged), str(tmp_path), *files]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["enforced"]
    assert {name: found["files"][name] for name in READ} == dict.fromkeys(READ, "read")
    for name in REFUSED:
        kind, code, sentence, hint = found["files"][name]
        assert (kind, code) == ("NotApproved", "kdf_not_approved"), name
        assert "FIPS Enforced Mode" in sentence
        assert "whole" in sentence
        assert "keytool" in hint
    written = keystore.load(
        tmp_path / "bcfks-mixed.bcfks", "a password of fourteen"
    )  # by a process that is not enforced
    assert written.private_keys()["server"].private_key == pair.key

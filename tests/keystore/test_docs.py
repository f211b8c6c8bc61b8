"""The examples of docs/keystores.md, run as they stand there."""

from __future__ import annotations

import doctest
import shutil
from pathlib import Path

import pytest

from tests.keystore.vectors import FOLDER

FILES = {
    "client.p12": "p12-keytool-default.p12",
    "mixed.jceks": "jceks-mixed.jceks",
    "signed.bcfks": "bcfks-signed-rsa-nocerts.bcfks",
    "signer.cer": "der-leaf.cer",
    "pbe.bcfks": "../bc-current/bcfks-pbe-keys.bcfks",
}


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, vector in FILES.items():
        shutil.copy(FOLDER / vector, tmp_path / name)
    document = Path(__file__).parents[2] / "docs" / "keystores.md"
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(str(document), module_relative=False, verbose=False)
    assert found.attempted > 15
    assert found.failed == 0

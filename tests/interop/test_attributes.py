"""PKCS12 into PKCS12 by keytool: names and attributes stay, as OpenSSL (which wrote them) and Java's keytool see them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from openmid import keystore
from tests import parts
from tests.interop.test_java import javas_keytool, our_keytool
from tests.keystore.vectors import FOLDER

CSP = "Microsoft Software Key Storage Provider"


def openssl(*words: str | Path) -> str:
    done = subprocess.run([parts.program("openssl", "openssl"), *words], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A key with a name in mixed case and two attributes of Windows'; authorities with names of their own."""
    words = ("-name", "My Client Key", "-caname", "Issuing CA", "-caname", "Root CA", "-CSP", CSP, "-LMK")
    vector, path = FOLDER / "pem-pkcs8-key-and-chain.pem", tmp_path / "source.p12"
    openssl("pkcs12", "-export", "-in", vector, *words, "-out", path, "-passout", "pass:changeit")
    return path


def bags(path: Path, password: str) -> list[tuple[str, list[str]]]:
    """(whose, attributes) of each bag; a key's identifier is made anew by every writer."""
    found = []
    shown = openssl("pkcs12", "-in", path, "-passin", f"pass:{password}", "-nodes")
    for part in shown.split("Bag Attributes")[1:]:
        head = re.split(r"^-----BEGIN", part, maxsplit=1, flags=re.M)[0]
        owner = re.search(r"subject=(.*)", head)
        lines = [line.strip() for line in head.splitlines() if line.startswith("    ") and "localKeyID" not in line]
        found.append((owner[1] if owner else "the key", sorted(lines)))
    return sorted(found)


def test_openssl_sees_the_same_names_and_attributes(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.p12"
    before = bags(source, "changeit")
    assert [lines for _, lines in before] == [
        ["friendlyName: Issuing CA"],
        ["friendlyName: Root CA"],
        ["friendlyName: My Client Key"],
        [f"Microsoft CSP Name: {CSP}", "Microsoft Local Key set: <No Values>", "friendlyName: My Client Key"],
    ]
    words = ("-srckeystore", source, "-srcstorepass", "changeit", "-destkeystore", target, "-deststorepass", "another1")
    our_keytool("-importkeystore", *words, "-deststoretype", "PKCS12")
    assert bags(target, "another1") == before


def test_javas_keytool_lists_and_imports_what_we_wrote(source: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.p12", tmp_path / "theirs.p12"
    words = ("-srcstorepass", "changeit", "-deststoretype", "PKCS12", "-deststorepass", "changeit")
    our_keytool("-importkeystore", "-srckeystore", source, "-destkeystore", ours, *words)
    assert "my client key, " in javas_keytool("-list", "-keystore", ours, "-storepass", "changeit")
    javas_keytool("-importkeystore", "-srckeystore", ours, "-destkeystore", theirs, *words)
    assert any(f"Microsoft CSP Name: {CSP}" in lines for _, lines in bags(theirs, "changeit"))
    back = keystore.load(theirs, "changeit").private_keys()["my client key"]
    assert back.private_key == keystore.load(source, "changeit").private_keys()["my client key"].private_key


def test_what_bcfks_has_no_place_for_is_said(source: Path, tmp_path: Path) -> None:
    store = keystore.load(source, "changeit")
    store.save(tmp_path / "target.bcfks", "changeit")
    assert store.notes == ["PKCS12 attributes of entries were left out: BCFKS has no place for them"]

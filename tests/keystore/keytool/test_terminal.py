"""A store is somebody else's text: nothing in it steers the terminal or makes a line that looks like keytool's own."""

from __future__ import annotations

import datetime
import unicodedata
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from openmid import keystore
from tests.keystore.conftest import Pair
from tests.keystore.keytool.conftest import Keytool

EVIL = "red\x1b[31m\x9b2J\r\nforged, Nov 23, 2026, PrivateKeyEntry, \x07\x7f\u202e\u2028"
ORDINARY = "zoë 鍵\u3000Ж 🔑"


@pytest.fixture
def evil(tmp_path: Path, pair: Pair) -> None:
    """s.bcfks: a key and a certificate under such an alias, the certificate full of it too; evil.cer."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, EVIL)])
    key, start = ed25519.Ed25519PrivateKey.generate(), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + datetime.timedelta(days=9))
    names = x509.SubjectAlternativeName([x509.DNSName("a\x1b[31m\nb"), x509.DirectoryName(name)])
    made = builder.add_extension(names, critical=False).sign(key, None).public_bytes(Encoding.DER)
    store = keystore.KeyStore()
    store.set_certificate(EVIL, made)
    store.set_private_key(f"{EVIL} key", *pair)
    store.set_certificate(ORDINARY, pair.chain[-1])
    store.save(tmp_path / "s.bcfks", "changeit")
    (tmp_path / "evil.cer").write_bytes(made)


STORE = "-keystore s.bcfks -storepass changeit"


@pytest.mark.parametrize("line", [
    f"-list {STORE}", f"-list -v {STORE}", f"-list -rfc {STORE}", f"-list -alias nobody {STORE}",
    f"-delete -alias nobody {STORE}", f"-exportcert -rfc -alias nobody {STORE}", "-printcert -file evil.cer",
    f"-importcert -noprompt -alias again -file evil.cer {STORE}", f"-importcert -alias more -file evil.cer {STORE}",
    "-importkeystore -noprompt -v -srckeystore s.bcfks -srcstorepass changeit -destkeystore t -deststoretype BCFKS"
    " -deststorepass changeit",
    "-importkeystore -srckeystore s.bcfks -srcstorepass changeit -destkeystore s2 -deststoretype PEM",
])  # fmt: skip
@pytest.mark.usefixtures("evil")
def test_nothing_steers_the_terminal(keytool: Keytool, line: str) -> None:
    done = keytool(line)
    for text in (done.out, done.err):
        left = [char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Zl") and char not in "\n\t\r"]
        assert not left, text
        assert text.replace("\r\n", "").count("\r") == 0
        assert not any(row.startswith("forged") for row in text.splitlines())


@pytest.mark.usefixtures("evil")
def test_it_is_shown_and_so_is_what_is_ordinary(keytool: Keytool) -> None:
    rows = keytool(f"-list {STORE}").out.splitlines()
    assert any(
        row.startswith(r"red\x1b[31m\x9b2J\r\nforged, Nov 23, 2026, PrivateKeyEntry, \x07\x7f\u202e\u2028, ")
        for row in rows
    )
    assert any(row.startswith(f"{ORDINARY}, ") for row in rows)

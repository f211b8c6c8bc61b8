"""The store's own rules: pairs, chains, aliases, and how a file is written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from openmid import keystore
from openmid.keystore import files, formats
from tests.keystore.conftest import Pair
from tests.keystore.vectors import FOLDER


def test_a_chain_is_stored_leaf_first(pair: Pair) -> None:
    store = keystore.KeyStore()
    store.set_private_key("client", pair.key, list(reversed(pair.chain)))
    assert store.private_keys()["client"].certificates == pair.chain


def test_a_certificate_that_is_no_part_of_the_chain_comes_last(pair: Pair) -> None:
    stranger = keystore.load(FOLDER / "pem-selfsigned.pem", None).private_keys()["1"].certificates[0]
    store = keystore.KeyStore()
    store.set_private_key("client", pair.key, [stranger, *pair.chain])
    assert store.private_keys()["client"].certificates == (*pair.chain, stranger)


def test_a_key_is_never_stored_with_anothers_certificate(pair: Pair) -> None:
    other = keystore.load(FOLDER / "pem-selfsigned.pem", None).private_keys()["1"]
    store = keystore.KeyStore()
    with pytest.raises(keystore.KeyMismatch, match="'client' has no certificate of its own"):
        store.set_private_key("client", pair.key, other.certificates)
    assert len(store) == 0


def test_a_key_needs_a_certificate(pair: Pair) -> None:
    with pytest.raises(keystore.Unstorable, match="has no certificate"):
        keystore.KeyStore().set_private_key("client", pair.key, [])


@pytest.mark.parametrize("key", [b"", b"no key", b"\x30\x03\x02\x01\x00"])
def test_a_key_must_be_pkcs8(key: bytes, pair: Pair) -> None:
    with pytest.raises(keystore.Damaged, match="not a PKCS#8 key"):
        keystore.KeyStore().set_private_key("client", key, pair.chain)


def test_a_certificate_must_be_one() -> None:
    with pytest.raises(keystore.Damaged, match=r"the certificate of 'ca' is not an X\.509 certificate"):
        keystore.KeyStore().set_certificate("ca", b"nonsense")


def test_a_missing_alias_names_those_that_are_there(pair: Pair) -> None:
    store = keystore.KeyStore()
    store.set_certificate("ca", pair.chain[-1])
    with pytest.raises(keystore.NoSuchAlias) as caught:
        store["client"]
    assert str(caught.value) == "a new keystore has no entry 'client': it holds 'ca'"
    assert isinstance(caught.value, KeyError)


def test_an_alias_must_be_text(pair: Pair) -> None:
    with pytest.raises(keystore.Unstorable, match="an alias must be text"):
        keystore.KeyStore().set_certificate("\udcff", pair.chain[-1])


def test_deleting(pair: Pair) -> None:
    store = keystore.KeyStore()
    store.set_certificate("ca", pair.chain[-1])
    store.delete("ca")
    assert store.aliases() == []
    with pytest.raises(keystore.NoSuchAlias):
        store.delete("ca")


def test_no_secret_is_in_a_repr(pair: Pair) -> None:
    store = keystore.KeyStore()
    store.set_private_key("client", pair.key, pair.chain, password="key password")
    shown = repr(store) + repr(store["client"]) + repr(vars(store))
    assert "key password" not in shown
    assert repr(pair.key)[2:40] not in shown


class TestWriting:
    """Atomic, private, and with a sentence when it cannot be done."""

    def test_the_file_is_private_and_nothing_is_left_beside_it(self, pair: Pair, tmp_path: Path) -> None:
        path = tmp_path / "client.bcfks"
        path.write_bytes(b"old")
        path.chmod(0o644)
        store = keystore.KeyStore()
        store.set_certificate("ca", pair.chain[-1])
        old = os.umask(0)
        try:
            store.save(path, "password")
        finally:
            os.umask(old)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in tmp_path.iterdir()] == ["client.bcfks"]
        assert keystore.load(path, "password", type="BCFKS").aliases() == ["ca"]

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "client.bcfks"
        path.write_bytes(b"old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(keystore.FileProblem, match="cannot be written: No space left on device"):
            files.write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert [file.name for file in tmp_path.iterdir()] == ["client.bcfks"]

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere" / "client.bcfks"
        with pytest.raises(keystore.FileProblem, match=r"the folder .*nowhere does not exist"):
            files.write_atomically(path, b"new")

    def test_an_entry_that_cannot_be_written_leaves_the_old_file(self, pair: Pair, tmp_path: Path) -> None:
        path = tmp_path / "client.bcfks"
        path.write_bytes(b"old")
        store = keystore.KeyStore()
        store.put("key", keystore.PrivateKeyEntry(pair.key, ()))
        with pytest.raises(keystore.Unstorable):
            store.save(path, "password")
        assert path.read_bytes() == b"old"


class TestFiles:
    """What can be wrong with a path."""

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(keystore.FileProblem, match="does not exist") as caught:
            keystore.load(tmp_path / "none.bcfks", "password")
        assert caught.value.hint

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(keystore.FileProblem, match="is a folder"):
            keystore.detect(tmp_path)

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        read, write = os.pipe()
        try:
            with pytest.raises(keystore.FileProblem, match="is not a file"):
                keystore.detect(f"/dev/fd/{read}")
        finally:
            os.close(read)
            os.close(write)

    def test_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "huge"
        with path.open("wb") as file:
            file.truncate(formats.MAX_FILE + 1)
        with pytest.raises(keystore.FileProblem, match="too large"):
            keystore.detect(path)

    def test_unreadable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Simulated: whoever runs the tests may be one who reads every file."""

        def refused(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(files, "open", refused, raising=False)
        with pytest.raises(keystore.FileProblem, match="may not be read by this user"):
            keystore.detect(tmp_path / "secret")


class TestPkcs12:
    """OpenSSL and Java read it in tests/interop."""

    def test_a_key_and_its_chain(self, pair: Pair) -> None:
        store = keystore.KeyStore()
        store.set_private_key("client", pair.key, pair.chain)
        back = keystore.loads(keystore.dumps(store, "password", type="PKCS12"), "password")
        assert (back.private_keys()["client"].private_key, back.private_keys()["client"].certificates) == pair

    def test_a_truststore(self, pair: Pair) -> None:
        store = keystore.KeyStore()
        for number, certificate in enumerate(pair.chain):
            store.set_certificate(f"ca {number}", certificate)
        back = keystore.loads(keystore.dumps(store, "password", type="PKCS12"), "password")
        assert {alias: entry.certificate for alias, entry in back.certificates().items()} == {
            f"ca {number}": certificate for number, certificate in enumerate(pair.chain)
        }

    @pytest.mark.parametrize("type", ["JKS", "jceks", "BKS", "PKCS7"])
    def test_old_types_are_never_written(self, type: str) -> None:  # noqa: A002
        with pytest.raises(keystore.UnsupportedType, match="are read and never written") as caught:
            keystore.dumps(keystore.KeyStore(), "password", type=type)
        assert "PKCS12" in caught.value.hint


def test_the_conversion_command_is_the_articles() -> None:
    line = keystore.conversion_command(
        "/opt/my certs/client.p12",
        "PKCS12",
        "/opt/my certs/client.bcfks",
        "./keytool",
        "/opt/mid/agent/lib/bc-fips.jar",
    )
    assert line == (
        "./keytool -importkeystore -v -srckeystore '/opt/my certs/client.p12' -srcstoretype PKCS12 "
        "-srcstorepass '<keystore password>' -destkeystore '/opt/my certs/client.bcfks' -deststoretype BCFKS "
        "-deststorepass '<keystore password>' -provider org.bouncycastle.jcajce.provider.BouncyCastleFipsProvider "
        "-providerpath /opt/mid/agent/lib/bc-fips.jar"
    )


def test_importing_the_room_imports_no_cryptography() -> None:
    code = "import sys, openmid.keystore; print([name for name in sys.modules if name in ('cryptography', 'click')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

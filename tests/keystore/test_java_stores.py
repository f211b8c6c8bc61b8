"""JKS, JCEKS and BKS beyond the vectors: versions, missing passwords, names without identifiers, other classes."""

from __future__ import annotations

import pytest

from openmid import keystore
from tests.keystore import builders as made
from tests.keystore.conftest import Pair

ENUM = made.START + b"\x73" + made.java_class("java.lang.Enum", b"", 0)
AES = "2.16.840.1.101.3.4.1"


def jceks(*entries: bytes) -> bytes:
    return made.jks(*entries, magic="cececece")


def secret(data: bytes, alias: str = "key") -> keystore.SecretKeyEntry:
    entry = keystore.loads(data, "password")[alias]
    assert isinstance(entry, keystore.SecretKeyEntry)
    return entry


def test_jks(pair: Pair) -> None:
    data = made.jks(made.jks_key("client", *pair), made.jks_trusted("ca", pair.chain[-1]))
    store = keystore.loads(data, "password")
    assert store.aliases() == ["client", "ca"]
    assert (store.private_keys()["client"].private_key, store.private_keys()["client"].certificates) == pair
    assert store["ca"].created.timestamp() == 1_700_000_000


def test_version_1_names_no_types(pair: Pair) -> None:
    entry = made.number(2) + made.text("ca") + made.MOMENT + made.block(pair.chain[0])
    assert keystore.loads(made.jks(entry, version=1), "password").certificates()["ca"].certificate == pair.chain[0]


@pytest.mark.parametrize("kind", ["jks", "bks"])
def test_without_a_password_certificates_can_be_read(kind: str, pair: Pair) -> None:
    """As in Java, where null is another thing than "": the integrity code is not looked at."""
    jks = made.jks(made.jks_trusted("ca", pair.chain[0]), made.jks_key("client", *pair))
    bks = made.bks(made.bks_certificate("ca", pair.chain[0]), made.bks_key("client", 0, "RSA", pair.key, pair.chain))
    data = jks if kind == "jks" else bks
    store = keystore.loads(data, None)
    assert store.certificates()["ca"].certificate == pair.chain[0]
    with pytest.raises(keystore.WrongKeyPassword):
        _ = store.private_keys()["client"].private_key
    with pytest.raises(keystore.WrongPassword):
        keystore.loads(data, "")


def test_modified_utf8() -> None:
    from openmid.keystore.java_data import DataReader

    raw = bytes.fromhex("c080") + "é".encode() + "\ud83d\udd11".encode("utf-8", "surrogatepass")
    assert DataReader(len(raw).to_bytes(2, "big") + raw, "it").text() == "\0é🔑"


class TestJceks:
    """Secret keys are serialised objects: parsed, never made."""

    def test_a_secret_key(self) -> None:
        entry = secret(jceks(made.jceks_secret("key", made.sealed_object(made.secret_key_spec("AES", b"k" * 16)))))
        assert (entry.algorithm, entry.key, entry.algorithm_name) == (AES, b"k" * 16, "AES")

    def test_a_private_key(self, pair: Pair) -> None:
        data = jceks(made.jks_key("client", *pair, iterations=3))
        assert keystore.loads(data, "password").private_keys()["client"].private_key == pair.key

    def test_a_name_without_an_identifier(self, pair: Pair) -> None:
        sealed = made.sealed_object(made.secret_key_spec("Foo", b"k" * 16))
        store = keystore.loads(jceks(made.jceks_secret("key", sealed)), "password")
        entry = store["key"]
        assert isinstance(entry, keystore.SecretKeyEntry)
        assert (entry.algorithm, entry.key, entry.algorithm_name) == ("", b"k" * 16, "Foo")
        for kind in ("BCFKS", "PKCS12"):
            with pytest.raises(keystore.Unstorable, match="'key' is for Foo, for which"):
                keystore.dumps(store, "password", type=kind)

    @pytest.mark.parametrize("cls", ["java.util.HashMap", "com.evil.Gadget", "javax.crypto.spec.SecretKeySpec2"])
    def test_other_classes_are_refused(self, cls: str) -> None:
        inner = jceks(made.jceks_secret("key", made.sealed_object(made.secret_key_spec("AES", b"k" * 16, cls))))
        with pytest.raises(keystore.UnsupportedType, match=f"the Java class '{cls}'"):
            _ = secret(inner).key
        outer = jceks(made.jceks_secret("key", made.secret_key_spec("AES", b"k" * 16, cls)))
        with pytest.raises(keystore.UnsupportedType, match=f"the Java class '{cls}'"):
            keystore.loads(outer, "password")

    @pytest.mark.parametrize(("stream", "part"), [
        (made.START + b"\x70", "it is not an object"),
        (made.START + b"\x73\x70", "an object without a class"),
        (made.START + b"\x71\0\x7e\0\0", "refers to what is not there"),
        (made.START + b"\x77\x01x", "a part of kind 0x77"),
        (b"\xac\xed\0\4", "not a serialised object"),
        (made.START + b"\x75" + made.java_class("java.lang.Enum", b"", 0) + b"\0\0\0\1x", "something else than bytes"),
        (ENUM[:-2] + b"\x77\x70", "is annotated"),
        (made.START + b"\x73" + made.java_class("java.lang.Enum", b"", 999), "has 999 fields"),
        (made.START + b"\x73" + made.java_class("java.lang.Enum", b"Q\0\1x", 1), "has the type 'Q'"),
        (ENUM.replace(b"\2\0\0\x78", b"\3\0\0\x78"), "a way of its own"),
        (made.START + b"\x73" + made.java_class("java.lang.Enum", b"", 0, b"\x71\0\x7e\0\0"), "is not a class"),
        (ENUM, "lacks its content"),
        (made.START + b"".join(made.java_class("java.lang.Enum", b"", 0)[:-1] for _ in range(20)), "a part of kind 0x72"),
    ])  # fmt: skip
    def test_streams_of_another_shape(self, stream: bytes, part: str) -> None:
        from openmid.keystore import java_objects

        with pytest.raises(keystore.Damaged, match=part):
            java_objects.sealed_object(stream, "the key")

    def test_nesting_has_an_end(self) -> None:
        from openmid.keystore import java_objects

        parent = b"\x70"
        for _ in range(30):
            parent = made.java_class("java.lang.Enum", b"", 0, parent)
        with pytest.raises(keystore.Damaged, match="nested too deep"):
            java_objects.sealed_object(made.START + b"\x73" + parent, "the key")

    def test_another_seal(self) -> None:
        sealed = made.sealed_object(made.secret_key_spec("AES", b"k" * 16), by="Blowfish")
        with pytest.raises(keystore.UnsupportedType, match="is sealed with 'Blowfish'"):
            _ = secret(jceks(made.jceks_secret("key", sealed))).key


class TestBks:
    """Bouncy Castle's, of both versions."""

    @pytest.mark.parametrize("version", [1, 2])
    def test_every_kind(self, version: int, pair: Pair) -> None:
        data = made.bks(
            made.bks_certificate("ca", pair.chain[-1]),
            made.bks_key("client", 0, "RSA", pair.key, pair.chain),
            made.bks_key("aes", 2, "AES", b"k" * 16, form="RAW"),
            made.bks_plain("plain", 2, "RAW", "DESede", b"d" * 24),
            version=version,
        )
        store = keystore.loads(data, "password")
        assert store.aliases() == ["ca", "client", "aes", "plain"]
        assert (store.private_keys()["client"].private_key, store.private_keys()["client"].certificates) == pair
        aes, plain = store["aes"], store["plain"]
        assert isinstance(aes, keystore.SecretKeyEntry)
        assert isinstance(plain, keystore.SecretKeyEntry)
        assert (aes.algorithm, aes.key) == (AES, b"k" * 16)
        assert (plain.algorithm, plain.key) == ("1.3.14.3.2.17", b"d" * 24)

    def test_a_public_key(self) -> None:
        with pytest.raises(keystore.UnsupportedType, match="is a public key"):
            _ = secret(made.bks(made.bks_plain("key", 1, "X.509", "RSA", b"public"))).key

    def test_a_private_key_of_another_form(self, pair: Pair) -> None:
        data = made.bks(made.bks_key("key", 0, "RSA", pair.key, pair.chain, form="PKCS#1"))
        with pytest.raises(keystore.UnsupportedType, match="in the format 'PKCS#1'"):
            _ = keystore.loads(data, "password").private_keys()["key"].private_key


def test_old_stores_into_bcfks(pair: Pair) -> None:
    """What conversion is about: the keys open under the new store's password, dates stay."""
    data = jceks(
        made.jks_key("client", *pair),
        made.jceks_secret("key", made.sealed_object(made.secret_key_spec("AES", b"k" * 16))),
    )
    back = keystore.loads(keystore.dumps(keystore.loads(data, "password"), "another password"), "another password")
    assert back.private_keys()["client"].private_key == pair.key
    assert back["key"].created.timestamp() == 1_700_000_000
    entry = back["key"]
    assert isinstance(entry, keystore.SecretKeyEntry)
    assert (entry.algorithm, entry.key) == (AES, b"k" * 16)

"""What we write as BCFKS, looked at through asn1crypto, and the rules about its passwords and costs."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto.core import Any, SequenceOf  # type: ignore[import-untyped]
from asn1crypto.parser import parse  # type: ignore[import-untyped]

from openmid import keystore
from openmid.keystore import bcfks_crypto as crypto
from openmid.keystore import der
from openmid.keystore.algorithm import algorithm
from openmid.keystore.kdf import Kdf
from tests.keystore.conftest import Pair, cheap
from tests.keystore.vectors import FOLDER

AES = "2.16.840.1.101.3.4.1"


@pytest.fixture
def store(pair: Pair) -> keystore.KeyStore:
    store = keystore.KeyStore()
    store.set_private_key("client", pair.key, pair.chain)
    store.set_certificate("ca", pair.chain[-1])
    store.set_secret_key("aes", AES, b"k" * 32)
    return store


class Items(SequenceOf):  # type: ignore[misc]
    """Any SEQUENCE, through asn1crypto: an opinion that is not ours."""

    _child_spec = Any


def parts(data: bytes) -> list[bytes]:
    return [item.dump() for item in Items.load(data, strict=True)]


def content(data: bytes) -> bytes:
    _, _, _, _, inner, _ = parse(data, strict=True)
    return bytes(inner)


def test_the_parameters_are_bouncy_castles(store: keystore.KeyStore) -> None:
    (encryption, _), (mac, kdf, code) = map(parts, parts(keystore.dumps(store, "password")))
    pbes2, protection = parts(encryption)
    derivation, cipher = parts(protection)
    assert pbes2.hex() == "06092a864886f70d01050d"
    assert cipher.startswith(bytes.fromhex("301e060960864801650304012f3011040c"))  # AES-256-CCM, a nonce of 12 bytes
    assert cipher.endswith(bytes.fromhex("020108"))  # a tag of 8 bytes
    for identifier, length in ((derivation, "020120"), (kdf, "020140")):
        pbkdf2, parameters = parts(identifier)
        salt, iterations, key_length, prf = parts(parameters)
        assert pbkdf2.hex() == "06092a864886f70d01050c"
        assert (len(content(salt)), iterations.hex(), key_length.hex()) == (64, "020300c800", length)  # 51200
        assert prf == mac == bytes.fromhex("300c06082a864886f70d020b0500")
    assert len(content(code)) == 64
    assert parts(parts(derivation)[1])[0] != parts(parts(kdf)[1])[0]


@pytest.mark.parametrize("password", ["changeit", "", None, "päss鍵🔑", "x" * 1000])
def test_what_is_written_is_read(store: keystore.KeyStore, pair: Pair, password: str | None) -> None:
    back = keystore.loads(keystore.dumps(store, password), password)
    assert back.aliases() == ["client", "ca", "aes"]
    assert (back.private_keys()["client"].private_key, back.private_keys()["client"].certificates) == pair
    assert back.certificates()["ca"].certificate == pair.chain[-1]
    aes = back["aes"]
    assert isinstance(aes, keystore.SecretKeyEntry)
    assert (aes.algorithm, aes.key) == (AES, b"k" * 32)


def test_null_and_empty_are_one_password(store: keystore.KeyStore) -> None:
    assert len(keystore.loads(keystore.dumps(store, None), "")) == 3
    assert len(keystore.loads(keystore.dumps(store, ""), None)) == 3


def test_two_writings_share_no_salt_and_no_nonce(store: keystore.KeyStore) -> None:
    one, other = (set(octet_strings(keystore.dumps(store, "password"))) for _ in range(2))
    assert len(one) == len(other) == 5  # two salts, a nonce, the content, the code
    assert not one & other


def octet_strings(data: bytes) -> list[bytes]:
    found = []
    for item in parts(data):
        found += octet_strings(item) if item[0] == 0x30 else [content(item)] if item[0] == 0x04 else []
    return found


def test_aliases_are_case_sensitive_and_of_any_alphabet(pair: Pair) -> None:
    store = keystore.KeyStore()
    for alias in ("Server", "server", "Zoë 鍵 🔑", ""):
        store.set_certificate(alias, pair.chain[0])
    assert keystore.loads(keystore.dumps(store, "password"), "password").aliases() == [
        "Server",
        "server",
        "Zoë 鍵 🔑",
        "",
    ]


def test_a_key_follows_the_stores_password(store: keystore.KeyStore, pair: Pair) -> None:
    opened = keystore.loads(keystore.dumps(store, "old password"), "old password")
    moved = keystore.loads(keystore.dumps(opened, "new password"), "new password")
    assert moved.private_keys()["client"].private_key == pair.key


def test_a_key_with_a_password_of_its_own_keeps_it(pair: Pair) -> None:
    store = keystore.KeyStore()
    store.set_private_key("client", pair.key, pair.chain, password="key password")
    data = keystore.dumps(store, "store password")
    for _ in range(2):  # the second time it is carried over without ever having been opened
        entry = keystore.loads(data, "store password").private_keys()["client"]
        with pytest.raises(keystore.WrongKeyPassword, match="the key 'client'"):
            _ = entry.private_key
        entry.unlock("key password")
        assert entry.private_key == pair.key
        data = keystore.dumps(keystore.loads(data, "store password"), "store password")


def test_javas_key_password_trap_is_read_as_it_is() -> None:
    """keytool left the key under the source's password."""
    entry = keystore.load(FOLDER / "bcfks-keytool-diff-storepass.bcfks", "destpass1").private_keys()["server"]
    with pytest.raises(keystore.WrongKeyPassword) as caught:
        _ = entry.private_key
    assert "old store's" in caught.value.hint
    entry.unlock("changeit")
    assert entry.private_key


def test_reading_certificates_derives_two_keys_only(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    store = keystore.KeyStore()
    for number in range(5):
        store.set_private_key(f"key {number}", pair.key, pair.chain)
    data = keystore.dumps(store, "password")
    derived: list[str] = []
    derive = crypto.derive

    def counted(kdf: Kdf, password: str | None, purpose: str) -> bytes:
        derived.append(purpose)
        return derive(kdf, password, purpose)

    monkeypatch.setattr(crypto, "derive", counted)
    back = keystore.loads(data, "password")
    assert [len(entry.certificates) for entry in back.private_keys().values()] == [3] * 5
    assert sorted(derived) == ["INTEGRITY_CHECK", "STORE_ENCRYPTION"]
    keystore.dumps(back, "password")  # nothing changed: the keys are carried over
    assert len(derived) == 4


def test_dates_and_comments_survive(pair: Pair) -> None:
    store = keystore.KeyStore()
    store.set_certificate("ca", pair.chain[0])
    created, modified = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    store["ca"].stamp(created, modified, "an entry's comment")
    store.created, store.comment = created, "a store's comment"
    back = keystore.loads(keystore.dumps(store, "password"), "password")
    assert (back["ca"].created, back["ca"].modified, back["ca"].comment) == (created, modified, "an entry's comment")
    assert (back.created, back.comment) == (created, "a store's comment")
    back.set_certificate("ca", pair.chain[1])
    assert back["ca"].created == created


def test_entries_of_unknown_types_are_carried(pair: Pair) -> None:
    """Object type 5 was the last one in 2026."""
    store = keystore.KeyStore()
    store.put("later", keystore.OpaqueEntry(6, b"\x30\x00"))
    entry = keystore.loads(keystore.dumps(store, "password"), "password")["later"]
    assert isinstance(entry, keystore.OpaqueEntry)
    assert (entry.object_type, entry.data) == (6, b"\x30\x00")


def sealed(clear: bytes, password: str = "password", mac: bytes | None = None, kdf: bytes | None = None) -> bytes:
    """A store around any content, as another writer could make it."""
    sealing, mac_kdf = crypto.new_sealing(1), crypto.new_kdf(64, 1)
    key = crypto.derive(sealing.kdf, password, crypto.STORE_ENCRYPTION)
    protected = der.sequence(sealing.identifier(), der.octets(sealing.encrypt(key, clear)))
    code = crypto.mac("sha512", crypto.derive(mac_kdf, password, crypto.INTEGRITY_CHECK), protected)
    identifier = kdf if kdf is not None else crypto.kdf_identifier(mac_kdf)
    return der.sequence(protected, der.sequence(mac or algorithm(crypto.HMAC_SHA512), identifier, der.octets(code)))


def objects(entries: bytes = b"", integrity: bytes | None = None) -> bytes:
    moment = der.time(datetime(2026, 1, 1, tzinfo=UTC))
    return der.sequence(
        der.integer(1), integrity or algorithm(crypto.HMAC_SHA512), moment, moment, der.sequence(entries)
    )


def test_the_integrity_algorithm_must_be_the_same_inside() -> None:
    assert len(keystore.loads(sealed(objects()), "password")) == 0
    without_null = der.sequence(der.oid(crypto.HMAC_SHA512))
    with pytest.raises(keystore.Damaged, match="not the one outside"):
        keystore.loads(sealed(objects(integrity=without_null)), "password")


def test_bytes_after_the_store_are_refused() -> None:
    with pytest.raises(keystore.Damaged, match="1 bytes that do not belong there"):
        keystore.loads(sealed(objects()) + b"\0", "password")


def pbkdf2(iterations: int, length: int, prf: str | None = crypto.HMAC_SHA512) -> bytes:
    last = algorithm(prf) if prf else b""
    return algorithm(
        crypto.PBKDF2, der.sequence(der.octets(b"s" * 16), der.integer(iterations), der.integer(length), last)
    )


def scrypt(n: int, r: int, p: int = 1) -> bytes:
    numbers = (der.integer(value) for value in (n, r, p, 64))
    return algorithm(crypto.SCRYPT, der.sequence(der.octets(b"s" * 16), *numbers))


@pytest.mark.parametrize("kdf", [
    pbkdf2(5_000_001, 64), pbkdf2(2**62, 64), pbkdf2(1, 1025), pbkdf2(4_000_000, 1024),
    scrypt(2**20, 8), scrypt(2, 2**20), scrypt(2**40, 1), scrypt(1024, 1024),
])  # fmt: skip
def test_costs_are_refused_before_anything_is_derived(kdf: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sealed(objects(), kdf=kdf)
    monkeypatch.setattr(crypto, "derive", lambda *_: pytest.fail("a key was derived"))
    with pytest.raises(keystore.TooExpensive, match="asks for"):
        keystore.loads(data, "password")


@pytest.mark.parametrize(("kdf", "part"), [
    (pbkdf2(1000, 64, prf=None), "HMAC-SHA1 is not one that BCFKS knows"),
    (pbkdf2(1000, 64, prf="1.2.840.113549.2.9"), "1.2.840.113549.2.9 is not one that BCFKS knows"),
    (pbkdf2(0, 64), "the iteration count is zero"),
    (pbkdf2(1000, 0), "the key length is zero"),
    (scrypt(1000, 8), "not a power of two"),
    (algorithm("1.2.3"), "neither PBKDF2 nor scrypt"),
])  # fmt: skip
def test_derivations_that_bcfks_does_not_have(kdf: bytes, part: str) -> None:
    with pytest.raises(keystore.Damaged, match=part):
        keystore.loads(sealed(objects(), kdf=kdf), "password")


def test_the_integrity_keys_length_must_be_given() -> None:
    kdf = algorithm(crypto.PBKDF2, der.sequence(der.octets(b"salt"), der.integer(1), algorithm(crypto.HMAC_SHA512)))
    with pytest.raises(keystore.Damaged, match="the key length is missing"):
        keystore.loads(sealed(objects(), kdf=kdf), "password")


def test_scrypt_is_refused_by_an_openssl_that_does_not_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The enforced process itself is in test_fips.py; here the remedy's text."""

    def refused(*_: object, **__: object) -> bytes:
        raise ValueError("unsupported")

    monkeypatch.setattr(hashlib, "scrypt", refused)
    with pytest.raises(keystore.NotApproved, match="the file is whole") as caught:
        keystore.load(FOLDER / "bcfks-scrypt-1024-8-1.bcfks", "changeit")
    assert caught.value.code == "kdf_not_approved"
    assert "keytool -importkeystore" in caught.value.hint


def test_a_store_under_key_wrap_is_read(pair: Pair) -> None:
    """AES-256-KWP, with the raw secret key that bc-fips 1.0 leaves there."""
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

    kdf = crypto.new_kdf(32, 1)
    wrap = der.sequence(der.oid(crypto.AES_256_WRAP_PAD))
    identifier = algorithm(crypto.PBES2, der.sequence(crypto.kdf_identifier(kdf), wrap))
    raw = aes_key_wrap_with_padding(crypto.derive(kdf, "password", crypto.SECRET_KEY_ENCRYPTION), b"r" * 32)
    moment = der.time(datetime(2026, 1, 1, tzinfo=UTC))
    content = der.octets(der.sequence(identifier, der.octets(raw)))
    entry = der.sequence(der.integer(2), der.utf8("old"), moment, moment, content)
    mac_kdf = crypto.new_kdf(64, 1)
    wrapped = aes_key_wrap_with_padding(crypto.derive(kdf, "password", crypto.STORE_ENCRYPTION), objects(entry))
    protected = der.sequence(identifier, der.octets(wrapped))
    code = crypto.mac("sha512", crypto.derive(mac_kdf, "password", crypto.INTEGRITY_CHECK), protected)
    integrity = der.sequence(algorithm(crypto.HMAC_SHA512), crypto.kdf_identifier(mac_kdf), der.octets(code))
    secret = keystore.loads(der.sequence(protected, integrity), "password")["old"]
    assert isinstance(secret, keystore.SecretKeyEntry)
    assert (secret.algorithm, secret.key) == ("", b"r" * 32)


def test_a_plain_object_store_is_read() -> None:
    """storeData may lie there unencrypted: the choice is told by its first element."""
    mac_kdf = crypto.new_kdf(64, 1)
    code = crypto.mac("sha512", crypto.derive(mac_kdf, "password", crypto.INTEGRITY_CHECK), objects())
    integrity = der.sequence(algorithm(crypto.HMAC_SHA512), crypto.kdf_identifier(mac_kdf), der.octets(code))
    assert len(keystore.loads(der.sequence(objects(), integrity), "password")) == 0


def test_a_store_that_ccm_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    monkeypatch.setattr(crypto, "MAX_CCM", 1000)
    store = keystore.KeyStore()
    store.set_certificate("ca", pair.chain[0])
    with pytest.raises(keystore.Unstorable, match="holds 1000"):
        keystore.dumps(store, "password")


def test_a_foreign_encrypted_key_opens_with_its_password(pair: Pair) -> None:
    """Object type 3 holds whatever EncryptedPrivateKeyInfo its writer supplied: here PBES2 with AES-CBC."""
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_der_private_key,
    )

    key = load_der_private_key(pair.key, None)
    foreign = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"key password"))
    moment = der.time(datetime(2026, 1, 1, tzinfo=UTC))
    content = der.octets(der.sequence(foreign, der.sequence(pair.chain[0])))
    data = sealed(objects(der.sequence(der.integer(3), der.utf8("foreign"), moment, moment, content)))
    entry = keystore.loads(data, "password").private_keys()["foreign"]
    with pytest.raises(keystore.WrongKeyPassword):
        _ = entry.private_key
    entry.unlock("key password")
    assert entry.private_key == pair.key


def test_a_link_stays_a_link(store: keystore.KeyStore, tmp_path: Path) -> None:
    real, link = tmp_path / "real.bcfks", tmp_path / "link.bcfks"
    real.write_bytes(cheap(store, "password"))
    link.symlink_to(real)
    store.save(link, "password")
    assert link.is_symlink()
    assert keystore.load(real, "password").aliases() == store.aliases()

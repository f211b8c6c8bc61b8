"""Hostile files: whatever the bytes, only KeystoreError's tree leaves the library."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmid import keystore
from openmid.keystore import der, formats
from openmid.keystore.keytool import describe
from tests.keystore.conftest import Pair, cheap
from tests.keystore.test_bcfks import objects, sealed
from tests.keystore.vectors import FILES, FOLDER

MOMENT = der.time(datetime(2026, 1, 1, tzinfo=UTC))


def survive(data: bytes, password: str | None = "password") -> bool:
    """Open everything that there is; True if it opened."""
    try:
        store = keystore.loads(data, password)
        for alias in store:
            entry = store[alias]
            if isinstance(entry, keystore.KeyEntry):
                entry.reveal()
    except keystore.KeystoreError as error:
        assert str(error)
        assert "\n" not in str(error)
        return False
    return True


@pytest.fixture(scope="module")
def small(pair: Pair) -> bytes:
    """A store with a secret key, one iteration throughout: 1.2 KB."""
    store = keystore.KeyStore()
    store.set_secret_key("key", "2.16.840.1.101.3.4.1", b"k" * 16)
    return cheap(store, "password")


def test_a_store_cut_at_every_byte_is_refused(small: bytes) -> None:
    assert survive(small)
    assert not any(survive(small[:length]) for length in range(len(small)))


def test_a_store_with_any_bit_flipped_is_refused(small: bytes) -> None:
    """But for one: the integrity key's length, 64. One in 256 keys has a zero as its 65th byte, and HMAC pads with zeros."""
    key_length = small.rindex(bytes.fromhex("020140")) + 2
    for position in set(range(len(small) * 8)) - {key_length * 8}:
        changed = bytearray(small)
        changed[position // 8] ^= 1 << (position % 8)
        assert not survive(bytes(changed)), f"bit {position} does not matter"


def test_an_authenticated_store_with_any_bit_flipped_does_no_harm(pair: Pair) -> None:
    """Its writer knows the password: the parser behind the integrity check is on its own."""
    key = der.octets(der.sequence(der.sequence(der.oid("1.2.3")), der.octets(b"k" * 8)))
    entries = b"".join(
        der.sequence(der.integer(kind), der.utf8("ä"), MOMENT, MOMENT, content, der.utf8("a comment"))
        for kind, content in ((0, der.octets(b"certificate")), (2, key), (4, key), (5, key), (7, der.octets(b"")))
    )
    clear = objects(entries)
    for position in range(len(clear) * 8):
        changed = bytearray(clear)
        changed[position // 8] ^= 1 << (position % 8)
        survive(sealed(bytes(changed)))
    for length in range(len(clear)):
        assert not survive(sealed(clear[:length]))


@given(st.binary(max_size=300))
def test_any_authenticated_content(content: bytes) -> None:
    survive(sealed(content))


@given(st.integers(0, 6), st.binary(max_size=200))
@settings(max_examples=200)
def test_any_entry(kind: int, content: bytes) -> None:
    survive(sealed(objects(der.sequence(der.integer(kind), der.utf8("x"), MOMENT, MOMENT, der.octets(content)))))


@given(st.binary(max_size=300), st.sampled_from([
    b"", b"\x30", b"\x30\x80\x02\x01\x03", b"\x30\x20\x02\x01\x03", b"\x30\x20\x30\x10\x30", b"\xfe\xed\xfe\xed",
    b"\0\0\0\1\0\0\0", b"\0\0\0\1\0\0\0\x14", b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN PRIVATE KEY-----\nMIIE",
]))  # fmt: skip
def test_any_bytes(data: bytes, start: bytes) -> None:
    assert formats.recognise(start + data) in formats.DESCRIPTIONS
    assert not survive(start + data)


@pytest.mark.parametrize(("name", "before", "after"), [
    ("p12-keytool-default.p12", "02022710", "02047fffffff"),  # 10000 iterations: the MAC's and the bags'
    ("p12-legacy-3des.p12", "02020800", "02047fffffff"),
    ("pem-pkcs8-encrypted-openssl-pbes2.pem", "02020800", "02047fffffff"),
    ("pem-pkcs8-encrypted-scrypt.pem", "02024000", "020440000000"),
])  # fmt: skip
def test_costs_are_refused_before_they_are_paid(name: str, before: str, after: str) -> None:
    data, old, new = (FOLDER / name).read_bytes(), bytes.fromhex(before), bytes.fromhex(after)
    if name.endswith(".pem"):
        data = b64decode(data.split(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")[1].split(b"-----")[0])
    assert old in data
    bomb = regrown(data, old, new)
    with pytest.raises(keystore.TooExpensive, match="at most"):
        keystore.loads(bomb, "changeit")
    keystore.loads(data, "changeit")


def regrown(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replace an INTEGER everywhere and mend the lengths around it."""
    if data == old:
        return new
    tag, reader = data[0], der.Reader(data)
    if not tag & 0x20 and not (tag == der.OCTET_STRING and old in data):
        return data
    inner, parts = reader.element(tag, "it"), b""
    try:
        while inner.peek() >= 0:
            parts += regrown(inner.any("it"), old, new)
    except der.DerError:
        return data  # an OCTET STRING that holds no DER
    return der.tlv(tag, parts)


def test_described_certificates_damaged_everywhere(pair: Pair) -> None:
    certificate = pair.chain[0]
    for position in range(0, len(certificate) * 8, 3):
        changed = bytearray(certificate)
        changed[position // 8] ^= 1 << (position % 8)
        describe.weaknesses(bytes(changed))
        try:
            describe.certificate(bytes(changed))
        except keystore.Damaged as error:
            assert str(error)


def test_every_vector_under_a_strange_password() -> None:
    for name in FILES:
        data = (FOLDER / name).read_bytes()
        if data and formats.recognise(data) != "BCFKS":
            survive(data, "\udcff\0鍵")

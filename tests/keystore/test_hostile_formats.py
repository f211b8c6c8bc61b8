"""Every format cut at every byte and flipped at every bit, and what hypothesis thinks of."""

from __future__ import annotations

import random
from base64 import encodebytes
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmid import keystore
from openmid.keystore import bare, ber, der, java_objects, kdf, pem, pkcs12_write, private_key
from openmid.keystore import certificate as x509
from openmid.keystore.passwords import readings
from openmid.keystore.terms import Source
from tests.keystore import builders as made
from tests.keystore.test_current_vectors import CURRENT, signers
from tests.keystore.test_current_vectors import FILES as CURRENT_FILES
from tests.keystore.test_hostile import survive
from tests.keystore.test_pkcs12 import berified, with_mac
from tests.keystore.vectors import FILES, FOLDER

AES = "2.16.840.1.101.3.4.1"
READING = readings("password")[0]


def small_certificate() -> bytes:
    """The outline of one: what the readers look at."""
    name = der.sequence(der.tlv(der.SET, der.sequence(der.oid("2.5.4.3"), der.utf8("x"))))
    signed = der.sequence(der.integer(1), der.sequence(der.oid("1.2.3")), name, der.sequence(), name, der.sequence())
    return der.sequence(signed, der.sequence(der.oid("1.2.3")), der.tlv(der.BIT_STRING, b"\0s"))


def small_pkcs12() -> bytes:
    store = keystore.KeyStore()
    store.put("ca", keystore.TrustedCertificateEntry(small_certificate()))
    store.set_secret_key("key", AES, b"k" * 16)
    return pkcs12_write.write(store, "password", iterations=1)


def small_jks() -> bytes:
    return made.jks(made.jks_trusted("ca", small_certificate()), made.jks_key("k", b"0\0", ()))


def small_jceks() -> bytes:
    sealed = made.sealed_object(made.secret_key_spec("AES", b"k" * 16))
    return made.jks(made.jceks_secret("key", sealed), magic="cececece")


def small_bks() -> bytes:
    return made.bks(made.bks_certificate("ca", small_certificate()), made.bks_key("k", 2, "AES", b"k" * 16, form="RAW"))


AUTHENTICATED: dict[str, Callable[[], bytes]] = {
    "PKCS12": small_pkcs12,
    "JKS": small_jks,
    "JCEKS": small_jceks,
    "BKS": small_bks,
}


def bundle(*certificates: bytes) -> bytes:
    """A PKCS#7 SignedData of certificates only."""
    inner = (der.integer(1), der.tlv(der.SET, b""), der.sequence(der.oid("1.2.840.113549.1.7.1")))
    body = der.sequence(*inner, der.tlv(der.context(0), b"".join(certificates)), der.tlv(der.SET, b""))
    return der.sequence(der.oid(bare.SIGNED_DATA), der.tlv(der.context(0), body))


def small_pem() -> bytes:
    blocks = [("CERTIFICATE", small_certificate()), ("PKCS7", bundle(small_certificate())), ("X", b"x" * 40)]
    return b"text\n" + b"".join(
        b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), encodebytes(body), label.encode())
        for label, body in blocks
    )


OTHERS: dict[str, Callable[[], bytes]] = {
    "PKCS12 without a code": lambda: with_mac(small_pkcs12(), b""),
    "PKCS12 as BER": lambda: berified(small_pkcs12()),
    "PKCS7": lambda: bundle(small_certificate(), small_certificate()),
    "DER": small_certificate,
    "PEM": small_pem,
    "a key": lambda: der.sequence(der.integer(0), der.sequence(der.oid("1.2.3")), der.octets(b"key")),
    "SEC1": lambda: der.sequence(der.integer(1), der.octets(b"key"), der.tlv(der.context(0), der.oid("1.2.3"))),
}


@pytest.mark.parametrize("kind", AUTHENTICATED)
def test_an_authenticated_store_is_whole_or_refused(kind: str) -> None:
    """Cut anywhere, or a bit changed in what the code covers."""
    data = AUTHENTICATED[kind]()
    keystore.loads(data, "password")
    assert not any(survive(data[:length]) for length in range(len(data)))
    before = contents(data)
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << (position % 8)
        if survive(bytes(changed)):
            assert contents(bytes(changed)) == before, f"bit {position} changed what is in it"


def contents(data: bytes) -> list[object]:
    """What a caller sees of a store."""
    store = keystore.loads(data, "password")
    return [(alias, type(store[alias]).__name__, getattr(store[alias], "certificate", b"")) for alias in store]


@pytest.mark.parametrize("kind", OTHERS)
def test_anything_else_does_no_harm(kind: str) -> None:
    data = OTHERS[kind]()
    keystore.loads(data, "password")
    for length in range(len(data)):
        survive(data[:length])
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << (position % 8)
        survive(bytes(changed))


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was derived once is not derived again: what is damaged is seldom the derivation's parameters."""
    monkeypatch.setattr(kdf.Pbkdf2, "derive", lru_cache(maxsize=64)(kdf.Pbkdf2.derive))
    monkeypatch.setattr(kdf.Scrypt, "derive", lru_cache(maxsize=64)(kdf.Scrypt.derive))
    monkeypatch.setattr(kdf, "pkcs12", lru_cache(maxsize=64)(kdf.pkcs12))


@pytest.mark.parametrize("name", [name for name in FILES if FILES[name]["size"]])
def test_every_vector_damaged_at_200_places(name: str, remembered: None) -> None:
    damage_at_200_places(FOLDER / name, FILES[name].get("store_password") or "changeit")


@pytest.mark.parametrize("name", CURRENT_FILES)
def test_every_current_vector_damaged_at_200_places(name: str, remembered: None) -> None:
    damage_at_200_places(CURRENT / name, CURRENT_FILES[name]["store_password"], signers().get(name))


def damage_at_200_places(path: Path, password: str | None, signer: bytes | None = None) -> None:
    """100 cuts and 100 flipped bits; a cost above 200,000 iterations is refused to save the test's time."""
    data, dice = path.read_bytes(), random.Random(path.name)
    terms = keystore.Terms(max_iterations=200_000, verify_with=signer)
    for _ in range(100):
        place = dice.randrange(len(data))
        flipped = data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :]
        for damaged in (data[:place], flipped):
            try:
                keystore.loads(damaged, password, terms=terms)
            except keystore.KeystoreError as error:
                assert "\n" not in str(error)


@given(st.binary(max_size=200))
def test_authenticated_nonsense(content: bytes) -> None:
    """Behind the integrity code, which its writer can make right."""
    survive(pkcs12_write._file(content, b"salt", 1, READING))
    survive(pkcs12_write._file(der.sequence(pkcs12_write._data(content)), b"salt", 1, READING))
    survive(made.jks(content))
    survive(made.jks(made.jceks_secret("x", made.START + content), magic="cececece"))
    survive(made.bks(content))


@given(st.sampled_from([1, 2, 3, 4, 5, 6, 7]), st.binary(max_size=120), st.binary(max_size=40))
def test_any_bag(kind: int, value: bytes, attributes: bytes) -> None:
    bag = pkcs12_write._bag(f"1.2.840.113549.1.12.10.1.{kind}", value, der.tlv(der.SET, attributes))
    survive(pkcs12_write._file(der.sequence(pkcs12_write._data(der.sequence(bag))), b"salt", 1, READING))


@given(st.recursive(st.binary(max_size=8), lambda inner: st.lists(inner, max_size=4), max_leaves=20), st.booleans())
@settings(max_examples=200)
def test_ber_becomes_the_der_it_was(tree: object, text: bool) -> None:
    def encoded(node: object) -> bytes:
        return der.octets(node) if isinstance(node, bytes) else der.sequence(*map(encoded, node))  # type: ignore[call-overload]

    data = encoded(tree)
    assert ber.normal(data, "it") == data
    assert ber.normal(berified(data), "it") == data


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_parsers(data: bytes) -> None:
    source = Source("it", "DER")
    parsers: list[Callable[[], object]] = [
        lambda: x509.fields(data),
        lambda: bare.bundle(data, "it"),
        lambda: private_key.from_any(data, "password", source, "it"),
        lambda: private_key.open_encrypted(data, "password", source, "it"),
        lambda: java_objects.sealed_object(made.START + data, "it"),
        lambda: java_objects.secret_key(made.START + data, "it"),
        lambda: pem.blocks(data, "it"),
        lambda: x509.Pool([data]).leaf(data, "it"),
    ]
    for parse in parsers:
        try:
            parse()
        except keystore.KeystoreError as error:
            assert str(error)


@given(st.binary(max_size=120))
def test_ber_parser(data: bytes) -> None:
    try:
        ber.normal(data, "it")
    except der.DerError as error:
        assert str(error)

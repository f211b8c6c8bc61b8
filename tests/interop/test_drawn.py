"""Stores drawn by hypothesis: Bouncy Castle reads what we write, writes it anew, and we read that.

OPENMID_EXAMPLES=N draws N a provider instead of a few, and other ones each time.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmid import keystore
from openmid.keystore import bcfks, pkcs12_write
from openmid.keystore.bcfks_crypto import Form
from tests.interop.facts import Fact, of_java, of_ours, undated
from tests.interop.java import Java
from tests.keystore.conftest import Pair
from tests.keystore.vectors import FOLDER

AES, HMAC_SHA256 = "2.16.840.1.101.3.4.1", "1.2.840.113549.2.9"
EXAMPLES = int(os.environ.get("OPENMID_EXAMPLES", "0"))
ROTE = settings(
    max_examples=EXAMPLES or 8,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Key(NamedTuple):
    """A private key with its chain; `own` is its password where it has one."""

    name: str
    length: int
    own: str | None


def pool() -> dict[str, Pair]:
    """Keys of every kind that all of the others take, with chains."""
    found = {}
    for file, alias in (("bcfks-pbkdf2-1024", "server"), *(("bcfks-ec", curve) for curve in ("p256", "p384", "p521"))):
        entry = keystore.load(FOLDER / f"{file}.bcfks", "changeit").private_keys()[alias]
        found[alias] = Pair(entry.private_key, entry.certificates)
    return found


POOL: dict[str, Pair] = {}
anything = st.text(st.characters(codec="utf-8"), max_size=60)
password = st.none() | st.text(st.characters(exclude_categories=[]), max_size=40) | st.text(min_size=200, max_size=2000)
keys = st.builds(Key, st.sampled_from(["server", "p256", "p384", "p521"]), st.integers(1, 3), st.none() | anything)
trusted = st.tuples(st.sampled_from(["server", "p384"]), st.integers(0, 1))
secret = st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
stores = st.dictionaries(anything, keys | trusted | secret, max_size=4)
options = st.sampled_from(
    ["default", "count=1", "count=2000,prf=sha3", "mac=sha3,count=1000", "scrypt=16/2/1", "scrypt=1024/3/7"]
)
forms = st.builds(Form, st.just(0), st.sampled_from(["CCM", "KWP"]), st.sampled_from(["SHA-512", "SHA3-512"]))


def build(drawn: dict[str, Key | tuple[str, int] | bytes]) -> keystore.KeyStore:
    POOL.update(POOL or pool())
    store = keystore.KeyStore()
    for alias, what in drawn.items():
        if isinstance(what, bytes):
            store.set_secret_key(alias, AES, what)
        elif isinstance(what, Key):
            pair = POOL[what.name]
            store.set_private_key(alias, pair.key, pair.chain[: what.length], password=what.own)
        else:
            store.set_certificate(alias, POOL[what[0]].chain[what[1]])
    return store


def known(store: keystore.KeyStore) -> dict[str, Fact]:
    return undated(of_ours(store, [None]))


@ROTE
@given(stores, password, password, options, st.integers(1, 2000), forms)
def test_there_and_back(
    other: Java,
    tmp_path: Path,
    drawn: dict[str, Key | tuple[str, int] | bytes],
    one: str | None,
    two: str | None,
    how: str,
    count: int,
    form: Form,
) -> None:
    store, ours, theirs = build(drawn), tmp_path / "ours.bcfks", tmp_path / "theirs.bcfks"
    own = [what.own for what in drawn.values() if isinstance(what, Key) and what.own is not None]
    ours.write_bytes(bcfks.write(store, one, count, form))
    assert undated(of_java(other.read(ours, one, keys=[*own, one]))) == known(store)
    assert other.copy(ours, one, theirs, two, how, keys=[*own, one], new_key=two) == {}
    assert undated(of_ours(keystore.load(theirs, two), [two])) == known(store)


def test_a_store_as_large_as_ccm_allows(other: Java, tmp_path: Path) -> None:
    """16 MiB - 1 with the tag; what bc-fips and bcprov 1.72 read."""
    (tmp_path / "large.bcfks").write_bytes(large())
    found = other.read(tmp_path / "large.bcfks", "elevenchars")
    assert len(found) == len(keystore.load(tmp_path / "large.bcfks", "elevenchars")) == 2_000
    assert len({entry.certificates for entry in found.values()}) == 1


def test_one_byte_more_needs_key_wrap(bouncy_castle: Java, tmp_path: Path) -> None:
    store = as_large_as_ccm_allows()
    store.comment = f"{store.comment}x"
    with pytest.raises(keystore.Unstorable, match="16777207"):
        bcfks.write(store, "elevenchars", 1)
    (tmp_path / "larger.bcfks").write_bytes(bcfks.write(store, "elevenchars", 1, Form(0, "KWP", "SHA-512")))
    assert len(bouncy_castle.read(tmp_path / "larger.bcfks", "elevenchars")) == 2_000


@cache
def large() -> bytes:
    return bcfks.write(as_large_as_ccm_allows(), "elevenchars", 1)


def as_large_as_ccm_allows() -> keystore.KeyStore:
    """Certificates, and a comment that fills the rest."""
    store = keystore.KeyStore()
    certificate = keystore.load(FOLDER / "bcfks-trusted.bcfks", "changeit").certificates()["root-rsa"]
    for number in range(2_000):
        store.put(f"ca {number}", keystore.TrustedCertificateEntry(certificate.certificate))
    store.comment = "x" * 14_000_000
    store.comment += "x" * bcfks_room(store)
    return store


@ROTE
@given(stores, password.filter(bool), st.integers(1, 2000))
def test_pkcs12_there_and_back(
    bouncy_castle: Java, tmp_path: Path, drawn: dict[str, Key | tuple[str, int] | bytes], secret: str, count: int
) -> None:
    """By the JDK, which has aliases in lower case only, passwords in ASCII only, and one password for all."""
    store = build({alias.lower(): own_less(what) for alias, what in drawn.items() if java_lower(alias)})
    ours, theirs, ascii_only = tmp_path / "ours.p12", tmp_path / "theirs.p12", secret.isascii() and secret.isprintable()
    ours.write_bytes(pkcs12_write.write(store, secret, count))
    assert undated(of_ours(keystore.load(ours, secret), [secret])) == known(store)
    if ascii_only:
        assert undated(of_java(bouncy_castle.read(ours, secret, "PKCS12"))) == known(store)
        assert bouncy_castle.copy(ours, secret, theirs, secret, kinds=("PKCS12", "PKCS12")) == {}
        assert undated(of_ours(keystore.load(theirs, secret), [secret])) == known(store)


def own_less(what: Key | tuple[str, int] | bytes) -> Key | tuple[str, int] | bytes:
    return what._replace(own=None) if isinstance(what, Key) else what


def java_lower(alias: str) -> bool:
    """Python and Java agree on the lower case of ASCII."""
    return bool(alias) and alias.isascii()


def bcfks_room(store: keystore.KeyStore) -> int:
    """Bytes that still fit: a store's content is what its ciphertext has over the tag."""
    from asn1crypto.parser import parse  # type: ignore[import-untyped]

    outer = parse(bcfks.write(store, None, iterations=1))[4]
    protected = parse(outer)[4]
    algorithm = parse(protected)
    content = parse(protected[len(algorithm[3]) + len(algorithm[4]) :])[4]
    return (1 << 24) - 1 - len(content)

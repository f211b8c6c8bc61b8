"""Every vector that Java can read at all: what Bouncy Castle finds in it is what we find; and back, written by it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from openmid import keystore
from tests.interop.facts import Fact, of_java, of_ours, undated
from tests.interop.java import Java, JavaError
from tests.keystore.vectors import FILES, FOLDER, of_type

UNSIGNED = [name for name in of_type("BCFKS") if "-signed-" not in name]

# What the other side cannot take out of a vector, and what it says: docs/bcfks.md, "Bouncy Castle's own limits".
NO_ALGORITHM = "no such algorithm"
SEALED = {
    "bcprov": {"hmac256": NO_ALGORITHM, "hmac512": NO_ALGORITHM},
    "bc-fips": {},
    "bc-fips-approved": {"camellia128": NO_ALGORITHM},
    "old-bc-fips-approved": {"camellia128": NO_ALGORITHM, "tdes": NO_ALGORITHM, "ed25519": NO_ALGORITHM},
}
SEALED_FOR_ALL = {"foreign-epki": "cannot recognize protection encryption algorithm"}


def passwords(name: str) -> list[str | None]:
    """Of the keys in a vector."""
    vector = FILES[name]
    keys = {entry["key_password"] for entry in vector.get("entries") or [] if entry.get("key_password") is not None}
    return [*sorted(keys - {vector["store_password"]}), vector["store_password"]]


@cache
def ours(name: str) -> dict[str, Fact]:
    """What we find in a vector: the same whomever it is compared with."""
    return of_ours(keystore.load(FOLDER / name, FILES[name]["store_password"]), passwords(name))


@pytest.mark.parametrize("name", UNSIGNED)
def test_bcfks(other: Java, name: str) -> None:
    """Alias by alias; what the other side leaves sealed must be what it is known to."""
    found = other.read(FOLDER / name, FILES[name]["store_password"], "BCFKS", passwords(name))
    limits = SEALED[other.name] | SEALED_FOR_ALL
    for alias, entry in found.items():
        assert (entry.kind == "sealed") == (alias in limits), f"{alias}: {entry}"
        assert entry.kind != "sealed" or limits[alias] in entry.algorithm
    readable = {alias: entry for alias, entry in found.items() if entry.kind != "sealed"}
    assert of_java(readable) == {
        alias: fact for alias, fact in ours(name).items() if alias not in found.keys() - readable
    }


@pytest.mark.parametrize(("name", "options"), [
    ("bcfks-ec.bcfks", "default"),
    ("bcfks-case-and-utf8-aliases.bcfks", "count=1024"),
    ("bcfks-pbkdf2-1024.bcfks", "prf=sha3,mac=sha3,count=1024"),
    ("bcfks-mixed.bcfks", "cipher=kwp"),
    ("bcfks-pbkdf2-1024.bcfks", "scrypt=1024/8/1"),
])  # fmt: skip
def test_what_bouncy_castle_writes_is_what_it_read(other: Java, name: str, options: str, tmp_path: Path) -> None:
    target, password = tmp_path / "new.bcfks", "another päss鍵🔑"
    assert other.copy(FOLDER / name, "changeit", target, password, options) == {}
    after = of_ours(keystore.load(target, password), [password])
    assert undated(after) == undated(ours(name))


def test_a_signed_store_is_no_store_for_bc_fips(approved: Java) -> None:
    with pytest.raises(JavaError, match=r"(?i)integrity check"):
        approved.read(FOLDER / "bcfks-signed-rsa-nocerts.bcfks", None)


@pytest.mark.parametrize("name", ["bcfks-truncated.bcfks", "p12-keytool-default.p12", "garbage.bin"])
def test_what_we_refuse_bouncy_castle_refuses(other: Java, name: str) -> None:
    with pytest.raises(keystore.KeystoreError):
        keystore.load(FOLDER / name, "changeit", type="BCFKS")
    with pytest.raises(JavaError):
        other.read(FOLDER / name, "changeit")


# Java passes over these without a word, and we do not: docs/bcfks.md, "Where Java's PKCS12 reader differs".
JAVA_IS_BLIND = {"p12-certs-only-openssl.p12": {"inter ca", "root ca"}, "p12-unencrypted-nomac.p12": {"server"}}


@pytest.mark.parametrize("name", of_type("PKCS12", "JKS", "JCEKS", "BKS"))
def test_older_formats(bouncy_castle: Java, name: str) -> None:
    """PKCS12, JKS and JCEKS as the JDK reads them, BKS as Bouncy Castle does."""
    password, kind, store = FILES[name]["store_password"], FILES[name]["type"], ours(name)
    found = of_java(bouncy_castle.read(FOLDER / name, password, kind, passwords(name)))
    assert store.keys() - found.keys() == JAVA_IS_BLIND.get(name, set())
    if kind == "PKCS12":  # it keeps no times
        store, found = undated(store), undated(found)
    assert found == {alias: fact for alias, fact in store.items() if alias in found}

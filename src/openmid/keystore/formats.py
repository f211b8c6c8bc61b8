"""Who reads and who writes which type; each is loaded when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openmid.keystore.detection import DESCRIPTIONS as DESCRIPTIONS
from openmid.keystore.detection import canonical as canonical
from openmid.keystore.detection import recognise as recognise
from openmid.keystore.errors import Unstorable, UnsupportedType, WrongType
from openmid.keystore.files import MAX_FILE as MAX_FILE
from openmid.keystore.files import read_file as read_file
from openmid.keystore.files import write_atomically as write_atomically
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Source, Terms

if TYPE_CHECKING:
    from pathlib import Path

READ = ("BCFKS", "PKCS12", "PEM", "DER", "PKCS7", "JKS", "JCEKS", "BKS")
WRITTEN = ("BCFKS", "PKCS12", "PEM")
ITERATIONS = 51_200  # Bouncy Castle's, below which no BCFKS store is written


def detect(path: Path | str) -> str:
    """`BCFKS`, `PKCS12`, `PEM`, `JKS`, `JCEKS`, `BKS`, `UBER`, `PKCS7`, `DER` or `UNKNOWN`. Raises FileProblem."""
    return recognise(read_file(path))


def load(
    path: Path | str,
    password: str | None,
    type: str | None = None,  # noqa: A002
    terms: Terms = Terms(),  # noqa: B008
) -> KeyStore:
    """Read a keystore; the type is detected, and one that is given must be right.

    Raises FileProblem, WrongType, UnsupportedType, WrongPassword, Unverified, Damaged, TooExpensive, NotApproved,
    KeyMismatch.
    """
    return loads(read_file(path), password, type, str(path), terms)


def loads(
    data: bytes,
    password: str | None,
    type: str | None = None,  # noqa: A002
    name: str = "the keystore",
    terms: Terms = Terms(),  # noqa: B008
) -> KeyStore:
    """As `load`, from bytes; `name` is what messages call it."""
    actual = recognise(data)
    if type is not None and canonical(type) != actual:
        expected = canonical(type)
        wanted = DESCRIPTIONS.get(expected, f"a keystore of type {type}")
        hint = f"say {actual} for its type" if actual in READ else ""
        raise WrongType(name, wanted, actual, DESCRIPTIONS[actual], hint)
    if actual == "UNKNOWN":
        raise WrongType(name, "a keystore", actual, DESCRIPTIONS[actual])
    source = Source(name, actual, terms)
    store = _read(actual, data, password, source)
    source.opening = False
    return store


def _read(actual: str, data: bytes, password: str | None, source: Source) -> KeyStore:
    if actual == "BCFKS":
        from openmid.keystore import bcfks

        return bcfks.read(data, password, source)
    if actual == "PKCS12":
        from openmid.keystore import pkcs12

        return pkcs12.read(data, password, source)
    if actual in ("PEM", "DER", "PKCS7"):
        from openmid.keystore import bare, pem

        return pem.read(data, password, source) if actual == "PEM" else bare.read(data, password, source)
    if actual in ("JKS", "JCEKS"):
        from openmid.keystore import jks

        return jks.read(data, password, source)
    if actual == "BKS":
        from openmid.keystore import bks

        return bks.read(data, password, source)
    raise UnsupportedType(
        f"{source.name} is {DESCRIPTIONS[actual]}, which openmid recognises and does not read",
        "convert it where it was made: keytool -importkeystore with -deststoretype PKCS12",
    )


def begin(store: KeyStore, password: str | None, type: str) -> None:  # noqa: A002
    """Derive in the background what `dumps` with the same password and type will need; a nothing but for BCFKS."""
    if canonical(type) == "BCFKS":
        from openmid.keystore import bcfks_write
        from openmid.keystore.bcfks_crypto import Form

        bcfks_write.begin(store, password, Form(ITERATIONS))


def dumps(
    store: KeyStore,
    password: str | None,
    type: str = "BCFKS",  # noqa: A002
    *,
    iterations: int | None = None,
    cipher: str = "CCM",
    digest: str = "SHA-512",
) -> bytes:
    """The store's bytes. `cipher` (CCM, KWP) and `digest` (SHA-512, SHA3-512) are BCFKS's.

    What the format cannot hold, and can be done without, is told in `store.notes`. Raises Unstorable, UnsupportedType,
    KeyMismatch, NotApproved.
    """
    wanted = canonical(type)
    if wanted == "BCFKS":
        from openmid.keystore import bcfks
        from openmid.keystore.bcfks_crypto import Form

        return bcfks.write(store, password, _enough(iterations, ITERATIONS, "Bouncy Castle"), Form(0, cipher, digest))
    if wanted == "PKCS12":
        from openmid.keystore import pkcs12_write

        return pkcs12_write.write(store, password, _enough(iterations, pkcs12_write.ITERATIONS, "openmid"))
    if wanted == "PEM":
        from openmid.keystore import pem_write

        return pem_write.write(store, password)
    if wanted in DESCRIPTIONS and wanted != "UNKNOWN":
        raise UnsupportedType(
            f"keystores of type {type} are read and never written: their protection is too old or is none",
            "write PKCS12, which every program reads, or BCFKS",
        )
    raise UnsupportedType(f"keystores of type {type} are not written", "write BCFKS, PKCS12 or PEM")


def _enough(iterations: int | None, least: int, whose: str) -> int:
    if iterations is not None and iterations < least:
        raise Unstorable(f"{iterations} iterations of key derivation are fewer than {whose}'s {least}")
    return iterations or least

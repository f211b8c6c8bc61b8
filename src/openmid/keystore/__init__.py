"""Keystores: BCFKS read and written without a JVM; PKCS12 and PEM; and what a file really is.

>>> from openmid import keystore
>>> store = keystore.load("client.bcfks", "store password")
>>> store["client"].private_key, store["client"].certificates      # PKCS#8 DER; X.509 DER, leaf first

Importing this imports nothing of cryptography: what a file needs is loaded when it is read.
"""

from openmid.keystore.conversion import conversion_command
from openmid.keystore.entries import (
    Entry,
    KeyEntry,
    OpaqueEntry,
    PbeKeyData,
    PbeKeyEntry,
    PrivateKeyEntry,
    SecretKeyEntry,
    TrustedCertificateEntry,
)
from openmid.keystore.errors import (
    Damaged,
    FileProblem,
    KeyMismatch,
    KeystoreError,
    NoSuchAlias,
    NotApproved,
    OldAlgorithm,
    TooExpensive,
    Unstorable,
    UnsupportedType,
    Unverified,
    WrongKeyPassword,
    WrongPassword,
    WrongType,
)
from openmid.keystore.formats import detect, dumps, load, loads
from openmid.keystore.store import KeyStore
from openmid.keystore.terms import Terms

__all__ = [
    "Damaged",
    "Entry",
    "FileProblem",
    "KeyEntry",
    "KeyMismatch",
    "KeyStore",
    "KeystoreError",
    "NoSuchAlias",
    "NotApproved",
    "OldAlgorithm",
    "OpaqueEntry",
    "PbeKeyData",
    "PbeKeyEntry",
    "PrivateKeyEntry",
    "SecretKeyEntry",
    "Terms",
    "TooExpensive",
    "TrustedCertificateEntry",
    "Unstorable",
    "UnsupportedType",
    "Unverified",
    "WrongKeyPassword",
    "WrongPassword",
    "WrongType",
    "conversion_command",
    "detect",
    "dumps",
    "load",
    "loads",
]

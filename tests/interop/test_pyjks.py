"""A second opinion on Java's old formats: pyjks, which nobody maintains and nothing but this test uses."""

from __future__ import annotations

from typing import Any

import jks  # type: ignore[import-untyped]
import pytest

from openmid import keystore
from tests.interop.facts import private
from tests.keystore.vectors import FILES, FOLDER, of_type


def opinion(name: str) -> dict[str, tuple[object, ...]]:
    """Alias -> what pyjks finds."""
    kind = jks.bks.BksKeyStore if name.startswith("bks") else jks.KeyStore
    found = kind.load(FOLDER / name, FILES[name]["store_password"], try_decrypt_keys=False)
    passwords = {entry["alias"]: entry.get("key_password") for entry in FILES[name]["entries"]}
    return {alias: _opened(entry, passwords[alias]) for alias, entry in found.entries.items()}


def _opened(entry: Any, password: str | None) -> tuple[object, ...]:
    if isinstance(entry, jks.TrustedCertEntry | jks.bks.BksTrustedCertEntry):
        return ("certificate", entry.cert)
    if not entry.is_decrypted():
        entry.decrypt(password)
    inner = entry.nested if isinstance(entry, jks.bks.BksSealedKeyEntry) else entry
    bks_secret = isinstance(inner, jks.bks.BksKeyEntry) and inner.type == jks.bks.KEY_TYPE_SECRET
    if isinstance(inner, jks.SecretKeyEntry) or bks_secret:
        return ("secret", inner.key)
    chain = [item if isinstance(item, tuple) else (item.type, item.cert) for item in entry.cert_chain]
    return ("private", private(inner.pkey_pkcs8), *(certificate for _, certificate in chain))


def ours(entry: keystore.Entry) -> tuple[object, ...]:
    if isinstance(entry, keystore.PrivateKeyEntry):
        return ("private", private(entry.private_key), *entry.certificates)
    if isinstance(entry, keystore.SecretKeyEntry):
        return ("secret", entry.key)
    assert isinstance(entry, keystore.TrustedCertificateEntry)
    return ("certificate", entry.certificate)


@pytest.mark.parametrize("name", of_type("JKS", "JCEKS", "BKS", "BKS-V1"))
def test_pyjks_agrees(name: str) -> None:
    store = keystore.load(FOLDER / name, FILES[name]["store_password"])
    for expected in FILES[name]["entries"]:
        entry = store[expected["alias"]]
        if isinstance(entry, keystore.KeyEntry):
            entry.unlock(expected["key_password"])
    assert {alias: ours(store[alias]) for alias in store} == opinion(name)

"""A key with its chain, and a store that is cheap to open."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from openmid import keystore
from openmid.keystore import bcfks
from tests.keystore.vectors import PLAIN_PEM


class Pair(NamedTuple):
    """PKCS#8 DER and X.509 DER, leaf first."""

    key: bytes
    chain: tuple[bytes, ...]


@pytest.fixture(scope="session")
def pair() -> Pair:
    entry = keystore.load(PLAIN_PEM, None).private_keys()["1"]
    return Pair(entry.private_key, entry.certificates)


def cheap(store: keystore.KeyStore, password: str | None) -> bytes:
    """The store's bytes under one iteration: for tests that open it thousands of times."""
    return bcfks.write(store, password, iterations=1)

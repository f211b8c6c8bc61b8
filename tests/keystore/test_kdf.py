"""Key derivation: who does it, in which threads, and what is derived ahead of a store's entries."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import pytest

from openmid import keystore
from openmid.keystore import bcfks_crypto as crypto
from openmid.keystore import bcfks_write, formats, kdf, pbes
from openmid.keystore.bcfks_crypto import Form
from tests.keystore.conftest import Pair

FORM = Form(iterations=formats.ITERATIONS)


@pytest.mark.parametrize("digest", sorted({*pbes.HMACS.values(), *crypto.HMAC_DIGESTS.values()}))
@pytest.mark.parametrize(("salt", "iterations", "length"), [(b"", 1, 1), (b"s", 3, 32), (b"s" * 64, 10, 1024)])
def test_cryptography_and_hashlib_derive_the_same(digest: str, salt: bytes, iterations: int, length: int) -> None:
    for secret in (b"", b"secret", b"\0" * 300):
        found = kdf.pbkdf2(digest, secret, salt, iterations, length)
        assert found == hashlib.pbkdf2_hmac(digest, secret, salt, iterations, length)


class TestDerivations:
    """Threads that share their work with whoever waits."""

    def test_results_stand_in_the_order_of_the_jobs(self) -> None:
        jobs: list[Callable[[], bytes]] = [lambda n=n: b"%d" % n for n in range(20)]  # type: ignore[misc]
        assert kdf.Derivations(jobs, 3).results() == [b"%d" % n for n in range(20)]

    def test_what_is_not_wanted_is_not_begun(self) -> None:
        begun: list[int] = []

        def job(number: int) -> bytes:
            begun.append(number)
            return b""

        derivations = kdf.Derivations([lambda n=n: job(n) for n in range(3)], 0)  # type: ignore[misc]
        assert (derivations.results(2), begun) == ([b"", b""], [0, 1])

    def test_the_first_failure_is_raised_wherever_it_happened(self) -> None:
        def fails() -> bytes:
            raise kdf.DerivationRefusedError("no")

        for threads in (0, 2):
            with pytest.raises(kdf.DerivationRefusedError):
                kdf.Derivations([fails, lambda: b"", fails], threads).results()

    def test_without_threads_it_is_done_all_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def none_left(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", none_left)
        assert kdf.all_at_once([lambda: b"a", lambda: b"b"]) == [b"a", b"b"]


class TestAhead:
    """`formats.begin`: salts and keys before there are entries."""

    def begun(self, password: str, pair: Pair) -> keystore.KeyStore:
        store = keystore.KeyStore()
        formats.begin(store, password, "BCFKS")
        store.set_private_key("client", *pair)
        store.set_private_key("other", *pair)
        return store

    def test_the_store_is_as_any_other(self, pair: Pair) -> None:
        store = self.begun("password", pair)
        ahead = store.ahead
        assert isinstance(ahead, bcfks_write.Ahead)
        data = keystore.dumps(store, "password")
        assert ahead.sealing.nonce in data  # it was used
        back = keystore.loads(data, "password").private_keys()
        assert [entry.private_key for entry in back.values()] == [pair.key, pair.key]

    def test_it_serves_once(self, pair: Pair) -> None:
        """Two contents under one key and nonce would betray both."""
        store = self.begun("password", pair)
        ahead = store.ahead
        assert isinstance(ahead, bcfks_write.Ahead)
        keystore.dumps(store, "password")
        again = keystore.dumps(store, "password")
        assert ahead.sealing.nonce not in again
        assert ahead.sealing.kdf.salt not in again

    @pytest.mark.parametrize(("password", "options"), [
        ("another", {}), ("password", {"cipher": "KWP"}), ("password", {"digest": "SHA3-512"}),
        ("password", {"iterations": 60_000}),
    ])  # fmt: skip
    def test_for_something_else_it_does_not_serve(self, pair: Pair, password: str, options: dict[str, str]) -> None:
        store = self.begun("password", pair)
        ahead = store.ahead
        assert isinstance(ahead, bcfks_write.Ahead)
        data = keystore.dumps(store, password, **options)  # type: ignore[arg-type]
        assert ahead.sealing.kdf.salt not in data
        assert keystore.loads(data, password).private_keys()["client"].private_key == pair.key

    def test_a_truststore_needs_no_third_key(self, pair: Pair) -> None:
        store = keystore.KeyStore()
        store.ahead = ahead = bcfks_write.Ahead("password", FORM, with_key=True, threads=0)
        store.set_certificate("ca", pair.chain[-1])
        assert keystore.loads(keystore.dumps(store, "password"), "password").aliases() == ["ca"]
        assert ahead.derivations.results() == [*ahead.derivations.results(2), b""]

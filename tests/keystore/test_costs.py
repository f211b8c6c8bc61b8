"""What a file may cost: key derivation is counted, memory is limited by the kernel; the clock is never asked."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from openmid import keystore
from openmid.keystore import bcfks, decrepit, der, kdf, pbes, pkcs12, pkcs12_mac, pkcs12_write
from openmid.keystore.algorithm import algorithm
from openmid.keystore.bcfks_crypto import Form
from openmid.keystore.passwords import readings
from tests.keystore import builders as made
from tests.keystore.conftest import Pair
from tests.keystore.test_pkcs12 import berified, with_mac
from tests.keystore.vectors import FOLDER

HUGE = 6_000_000
PRF = algorithm("1.2.840.113549.2.9")
IV = algorithm(pbes.AES_256_CBC, der.octets(b"i" * 16))
TRIPLE_DES = "1.2.840.113549.1.12.1.3"
READING = readings("password")[0]


def pbkdf2(iterations: int, length: int = 32) -> bytes:
    return algorithm(pbes.PBKDF2, der.sequence(der.octets(b"salt"), der.integer(iterations), der.integer(length), PRF))


def scrypt(n: int, r: int, p: int) -> bytes:
    return algorithm(pbes.SCRYPT, der.sequence(der.octets(b"salt"), der.integer(n), der.integer(r), der.integer(p)))


def pbes2(derivation: bytes) -> bytes:
    return algorithm(pbes.PBES2, der.sequence(derivation, IV))


def old_scheme(iterations: int) -> bytes:
    return algorithm(TRIPLE_DES, der.sequence(der.octets(b"saltsalt"), der.integer(iterations)))


def encrypted_key(scheme: bytes) -> bytes:
    return der.sequence(scheme, der.octets(b"c" * 32))


def encrypted_part(scheme: bytes) -> bytes:
    cipher = der.tlv(der.context(0, constructed=False), b"c" * 32)
    body = der.sequence(der.integer(0), der.sequence(der.oid(pkcs12.DATA), scheme, cipher))
    return der.sequence(der.oid(pkcs12.ENCRYPTED_DATA), der.tlv(der.context(0), body))


def in_pkcs12(*parts: bytes) -> bytes:
    """Without an integrity code: the parts are opened at once."""
    return with_mac(pkcs12_write._file(der.sequence(*parts), b"salt", 1, READING), b"")


def mac(iterations: int) -> bytes:
    info = der.sequence(algorithm(pkcs12_mac.SHA256), der.octets(b"m" * 32))
    return with_mac(in_pkcs12(), der.sequence(info, der.octets(b"salt"), der.integer(iterations)))


def pbmac1(iterations: int) -> bytes:
    found = algorithm(pkcs12_mac.PBMAC1, der.sequence(pbkdf2(iterations), PRF))
    return with_mac(
        in_pkcs12(), der.sequence(der.sequence(found, der.octets(b"m" * 32)), der.octets(b""), der.integer(1))
    )


def jceks(iterations: int) -> bytes:
    sealed = made.sealed_object(made.secret_key_spec("AES", b"k" * 16), iterations=iterations)
    return made.jks(made.jceks_secret("key", sealed), magic="cececece")


BOMBS: dict[str, Callable[[], bytes]] = {
    "PKCS12: integrity code": lambda: mac(HUGE),
    "PKCS12: PBMAC1": lambda: pbmac1(HUGE),
    "PKCS12: a part": lambda: in_pkcs12(encrypted_part(pbes2(pbkdf2(HUGE)))),
    "PKCS12: a part, old": lambda: in_pkcs12(encrypted_part(old_scheme(HUGE))),
    "PKCS12: scrypt's memory": lambda: in_pkcs12(encrypted_part(pbes2(scrypt(1 << 20, 8, 1)))),
    "PKCS12: scrypt's blocks": lambda: in_pkcs12(encrypted_part(pbes2(scrypt(2, 1 << 20, 1)))),
    "PKCS12: scrypt's work": lambda: in_pkcs12(encrypted_part(pbes2(scrypt(1 << 14, 8, 1 << 10)))),
    "PKCS12: a long key": lambda: in_pkcs12(encrypted_part(pbes2(pbkdf2(1, 1 << 20)))),
    "a key": lambda: encrypted_key(pbes2(pbkdf2(HUGE))),
    "a key, old": lambda: encrypted_key(old_scheme(HUGE)),
    "JCEKS: a secret key": lambda: jceks(HUGE),
    "BKS": lambda: made.bks(iterations=HUGE),
    "BKS: a key": lambda: made.bks(made.bks_key("key", 2, "AES", b"k" * 16, form="RAW", iterations=HUGE)),
}


@pytest.fixture
def nothing_derived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to derive a key but one iteration of PKCS#12's own fails the test."""

    def fail(*_: object, **__: object) -> bytes:
        pytest.fail("a key was derived")

    def cheap(digest: str, secret: bytes, salt: bytes, iterations: int, *words: int) -> bytes:
        assert iterations == 1, "a key was derived"
        return derive(digest, secret, salt, iterations, *words)

    derive = kdf.pkcs12
    monkeypatch.setattr(kdf, "pkcs12", cheap)
    monkeypatch.setattr(kdf, "pbkdf2", fail)
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", fail)
    monkeypatch.setattr(hashlib, "scrypt", fail)
    monkeypatch.setattr(decrepit, "open_jceks", fail)


def read_all(data: bytes, terms: keystore.Terms = keystore.Terms()) -> None:  # noqa: B008
    store = keystore.loads(data, "password", terms=terms)
    for alias in store:
        entry = store[alias]
        if isinstance(entry, keystore.KeyEntry):
            entry.reveal()


@pytest.mark.parametrize("kind", BOMBS)
def test_a_cost_above_the_cap_is_refused_before_anything_is_derived(kind: str, request: pytest.FixtureRequest) -> None:
    data = BOMBS[kind]()
    request.getfixturevalue("nothing_derived")
    with pytest.raises(keystore.TooExpensive, match=r"asks for .*at most") as caught:
        read_all(data)
    assert caught.value.hint


def test_the_caps_are_options() -> None:
    with pytest.raises(keystore.TooExpensive, match="at most 1000 are allowed"):
        keystore.load(FOLDER / "p12-keytool-default.p12", "changeit", terms=keystore.Terms(max_iterations=1000))
    small = keystore.Terms(max_scrypt_memory=1 << 20)
    with pytest.raises(keystore.TooExpensive, match="at most 1 MB are allowed"):
        keystore.load(FOLDER / "pem-pkcs8-encrypted-scrypt.pem", "changeit", terms=small)


def test_many_parts_below_the_cap_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the cap in all: then it stops, whatever the file has more."""
    rounds: list[int] = []

    def counted(digest: str, secret: bytes, salt: bytes, iterations: int, length: int) -> bytes:
        rounds.append(iterations)
        return b"k" * length

    part = encrypted_part(pbes2(pbkdf2(900)))
    monkeypatch.setattr(kdf, "pbkdf2", counted)
    monkeypatch.setattr(pbes, "aes_cbc", lambda *_: der.sequence())
    with pytest.raises(keystore.TooExpensive, match="4500 iterations of key derivation to be opened"):
        keystore.loads(in_pkcs12(*[part] * 50), "password", terms=keystore.Terms(max_iterations=1000))
    assert sum(rounds) <= 4000


def test_many_keys_of_one_pem_file_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from openmid.keystore import pem_write

    rounds: list[int] = []
    key = der.sequence(der.integer(0), algorithm("1.2.3"), der.octets(b"key"))

    def counted(digest: str, secret: bytes, salt: bytes, iterations: int, length: int) -> bytes:
        rounds.append(iterations)
        return b"k" * length

    monkeypatch.setattr(kdf, "pbkdf2", counted)
    monkeypatch.setattr(pbes, "aes_cbc", lambda *_: key)
    data = pem_write._block("ENCRYPTED PRIVATE KEY", encrypted_key(pbes2(pbkdf2(900)))) * 50
    with pytest.raises(keystore.TooExpensive, match="to be opened"):
        keystore.loads(data, "password", terms=keystore.Terms(max_iterations=1000))
    assert sum(rounds) <= 4000


def test_a_store_has_so_many_entries(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from openmid.keystore import store as module

    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    store = keystore.KeyStore()
    for number in range(3):
        store.set_certificate(f"ca {number}", pair.chain[0])
    store.set_certificate("ca 0", pair.chain[1])
    with pytest.raises(keystore.Unstorable, match="more than 3 entries"):
        store.set_certificate("ca 3", pair.chain[0])


class TestWriting:
    """Costs of what we write, and its limit."""

    @pytest.mark.parametrize(("type", "least"), [("BCFKS", 51_200), ("PKCS12", 20_000)])
    def test_never_cheaper_than_it_should_be(self, type: str, least: int) -> None:  # noqa: A002
        with pytest.raises(keystore.Unstorable, match=f"{least - 1} iterations of key derivation are fewer than"):
            keystore.dumps(keystore.KeyStore(), "password", type=type, iterations=least - 1)

    def test_more_iterations(self) -> None:
        data = keystore.dumps(keystore.KeyStore(), "password", iterations=60_000)
        assert data.count(der.integer(60_000)) == 2
        keystore.loads(data, "password")

    @pytest.mark.parametrize("cipher", ["CCM", "KWP"])
    @pytest.mark.parametrize("digest", ["SHA-512", "SHA3-512"])
    def test_every_form(self, cipher: str, digest: str, pair: Pair) -> None:
        store = keystore.KeyStore()
        store.set_private_key("client", *pair)
        data = bcfks.write(store, "password", 1, Form(0, cipher, digest))
        entry = keystore.loads(data, "password").private_keys()["client"]
        assert (entry.private_key, entry.certificates) == pair
        wrap, sha3 = der.oid("2.16.840.1.101.3.4.1.48"), der.oid("2.16.840.1.101.3.4.2.16")
        assert (wrap in data, sha3 in data) == (cipher == "KWP", digest == "SHA3-512")

    def test_a_form_that_does_not_exist(self) -> None:
        with pytest.raises(keystore.Unstorable, match="GCM and SHA-512 does not exist"):
            keystore.dumps(keystore.KeyStore(), "password", cipher="GCM")

    def test_ccm_has_a_limit_and_key_wrap_has_none(self) -> None:
        store = keystore.KeyStore()
        store.put("big", keystore.OpaqueEntry(7, b"x" * (1 << 24)))
        with pytest.raises(keystore.Unstorable, match="under AES-CCM holds 16777") as caught:
            bcfks.write(store, "password", 1)
        assert "cipher='KWP'" in caught.value.hint
        assert len(keystore.loads(bcfks.write(store, "password", 1, Form(cipher="KWP")), "password")) == 1

    def test_a_cheap_key_is_sealed_anew(self, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
        store = keystore.KeyStore()
        store.set_private_key("client", *pair)
        cheap = keystore.loads(bcfks.write(store, "password", 1), "password")
        rounds: list[int] = []
        derive = kdf.Pbkdf2.derive

        def counted(self: kdf.Pbkdf2, secret: bytes) -> bytes:
            rounds.append(self.iterations)
            return derive(self, secret)

        monkeypatch.setattr(kdf.Pbkdf2, "derive", counted)
        keystore.dumps(cheap, "password")
        assert sorted(rounds) == [1, 51_200, 51_200, 51_200]


LIMITED = """
import resource, sys
from openmid import keystore
for small in sys.argv[3:]:
    keystore.load(small, "changeit")
grown = [int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize")][0]
limit = grown + 6 * int(sys.argv[2]) + 32 * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    print(len(keystore.load(sys.argv[1], "password")))
except keystore.KeystoreError as error:
    print(type(error).__name__)
"""


def big_files(certificate: bytes) -> dict[str, bytes]:
    """Files of some 8 MB: many certificates, or one thing that fills it."""
    many = keystore.KeyStore()
    for number in range(8000):
        many.put(f"ca {number}", keystore.TrustedCertificateEntry(certificate))
    modern = pkcs12_write.write(many, "password", 1)
    store = keystore.KeyStore()
    store.put("big", keystore.OpaqueEntry(7, b"x" * 8_000_000))
    nulls = der.sequence(pkcs12_write._data(der.sequence(b"\5\0" * 4_000_000)))
    trusted = [made.jks_trusted(str(number), certificate) for number in range(8000)]
    line = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n"
    return {
        "many.bcfks": bcfks.write(many, "password", 1),
        "one.bcfks": bcfks.write(store, "password", 1),
        "wrapped.bcfks": bcfks.write(store, "password", 1, Form(cipher="KWP")),
        "many.p12": modern,
        "ber.p12": berified(modern),
        "nulls.p12": pkcs12_write._file(nulls, b"salt", 1, READING),
        "many.jks": made.jks(*trusted),
        "endless.jks": bytes.fromhex("feedfeed00000002ffffffff") + b"\0\0\0\2\0\0" * 1_300_000,
        "one.pem": line % (b"MDAw" * 2_000_000),
        "begin.pem": b"-----BEGIN X-----\n" * 450_000,
        "empty.pem": b"-----BEGIN X-----\n-----END X-----\n" * 240_000,
        "numbers.der": b"\x30\x83\x7f\xff\xff" + b"\2\1\0" * 2_796_202 + b"\0",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and /proc")
def test_memory_is_six_times_the_file_and_32_mb_at_most(pair: Pair, tmp_path: Path) -> None:
    small = [str(FOLDER / name) for name in ("bcfks-mixed.bcfks", "p12-keytool-legacy.p12", "pem-key-only.pem")]
    found = {}
    for name, data in big_files(pair.chain[0]).items():
        path = tmp_path / name
        path.write_bytes(data)
        words = [sys.executable, "-c", LIMITED, str(path), str(len(data)), *small]
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}  # arenas reserve addresses, not memory
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        found[name] = done.stdout.strip() or done.stderr.splitlines()[-1]
    assert found == {
        "many.bcfks": "8000", "one.bcfks": "1", "wrapped.bcfks": "1", "many.p12": "8000", "ber.p12": "8000",
        "nulls.p12": "Damaged", "many.jks": "8000", "endless.jks": "WrongPassword", "one.pem": "Damaged",
        "begin.pem": "Damaged", "empty.pem": "Damaged", "numbers.der": "Damaged",
    }  # fmt: skip

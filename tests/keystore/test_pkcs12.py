"""PKCS#12: every bag and reading of a password, integrity codes, BER, and what goes back out."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openmid import keystore
from openmid.keystore import ber, der, kdf, pbes, pkcs12, pkcs12_mac, pkcs12_write
from openmid.keystore.algorithm import algorithm
from openmid.keystore.passwords import readings
from tests import parts
from tests.keystore.conftest import Pair
from tests.keystore.vectors import FOLDER, PLAIN_PEM

RFC_9579 = FOLDER.parent / "rfc9579"
AES = "2.16.840.1.101.3.4.1"


class TestPbmac1:
    """RFC 9579, appendix A; the password is 1234."""

    @pytest.mark.parametrize("name", ["a1", "a2", "a3"])
    def test_valid(self, name: str) -> None:
        store = keystore.load(RFC_9579 / f"{name}.p12", "1234")
        (entry,) = store.private_keys().values()
        assert len(entry.certificates) == 1
        assert entry.private_key.startswith(b"\x30")

    @pytest.mark.parametrize(("name", "error", "part"), [
        ("a4", keystore.WrongPassword, "does not open"),  # an iteration count that is not the right one
        ("a5", keystore.WrongPassword, "does not open"),  # a salt that is not
        ("a6", keystore.Damaged, "the key length is missing"),
    ])  # fmt: skip
    def test_invalid(self, name: str, error: type[keystore.KeystoreError], part: str) -> None:
        with pytest.raises(error, match=part):
            keystore.load(RFC_9579 / f"{name}.p12", "1234")

    @pytest.mark.parametrize("name", ["a1", "a2", "a3"])
    def test_a_wrong_password(self, name: str) -> None:
        with pytest.raises(keystore.WrongPassword):
            keystore.load(RFC_9579 / f"{name}.p12", "12345")

    def test_a_key_of_one_byte_is_refused(self, pair: Pair) -> None:
        """Whoever changes the file could try all 256 keys without knowing the password."""
        prf = algorithm("1.2.840.113549.2.9")
        derivation = algorithm(pbes.PBKDF2, der.sequence(der.octets(b"salt"), der.integer(1), der.integer(1), prf))
        info = der.sequence(algorithm(pkcs12_mac.PBMAC1, der.sequence(derivation, prf)), der.octets(b"m" * 32))
        data = with_mac(written(pair), der.sequence(info, der.octets(b""), der.integer(1)))
        with pytest.raises(keystore.Damaged, match="key has 1 bytes, fewer than 20"):
            keystore.loads(data, "password")


def written(pair: Pair, password: str = "password") -> bytes:
    """One key with its chain under one iteration."""
    store = keystore.KeyStore()
    store.set_private_key("client", pair.key, pair.chain)
    return pkcs12_write.write(store, password, iterations=1)


def with_mac(data: bytes, mac: bytes) -> bytes:
    """The file with another MacData; empty for none."""
    body = der.Reader(data).sequence("it")
    return der.sequence(body.any("version"), body.any("safe"), mac)


def berified(data: bytes, depth: int = 0) -> bytes:
    """Every constructed element of indefinite length, every OCTET STRING in segments (one of them in segments too)."""
    tag, content = data[0], der.Reader(data).element(data[0], "it")
    if tag == der.OCTET_STRING:
        whole = content.rest()
        half = len(whole) // 2
        inner = b"\x24\x80" + der.octets(whole[:half]) + der.octets(b"") + b"\0\0"
        return b"\x24\x80" + inner + b"\x04\x84" + (len(whole) - half).to_bytes(4, "big") + whole[half:] + b"\0\0"
    if not tag & 0x20:
        return data
    parts_found = b""
    while content.peek() >= 0:
        parts_found += berified(content.any("it"), depth + 1)
    return bytes([tag, 0x80]) + parts_found + b"\0\0"


class TestBer:
    """X.690, 8.1.3.6 and 8.7.3; sources like Windows, NSS and old Java write PKCS#12 so."""

    @pytest.mark.parametrize(
        "name", ["p12-keytool-default.p12", "p12-openssl-modern-aes256.p12", "p12-legacy-rc2-40.p12"]
    )
    def test_it_becomes_der_again(self, name: str) -> None:
        data = (FOLDER / name).read_bytes()
        assert ber.normal(berified(data), "it") == data
        assert ber.normal(data, "it") is data
        assert keystore.loads(berified(data), "changeit").private_keys().keys() == {"server"}

    def test_inside_too(self, pair: Pair) -> None:
        body = der.Reader(with_mac(written(pair), b"")).sequence("it")
        version, info = body.any("version"), body.sequence("safe")
        kind, explicit = info.any("kind"), info.element(der.context(0), "safe")
        safe = berified(explicit.octets("safe"))
        data = der.sequence(version, der.sequence(kind, der.tlv(der.context(0), der.octets(safe))))
        entry = keystore.loads(data, "password").private_keys()["client"]
        assert (entry.private_key, entry.certificates) == pair

    @pytest.mark.parametrize(("data", "part"), [
        (b"\x30\x80" * 40 + b"\0\0" * 40, "nested more than 32 deep"),
        (b"\x04\x80\0\0", "indefinite length where there can be none"),
        (b"\x30\x80\x02\x01\x03", "cut short"),
        (b"\x30\x89" + b"\0" * 9, "a length of 9 bytes"),
        (b"\x30\x02\x1f\x00", "a tag that no keystore uses"),
        (b"\x24\x03\x02\x01\x01", "an octet string of strange pieces"),
        (b"\x30\x00\x00", "followed by 1 bytes"),
        (b"\x30\x84\xff\xff\xff\xff", "cut short"),
    ])  # fmt: skip
    def test_what_is_not(self, data: bytes, part: str) -> None:
        with pytest.raises(der.DerError, match=part):
            ber.normal(data, "it")

    def test_there_is_an_end_to_elements(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ber, "MAX_ELEMENTS", 100)
        with pytest.raises(der.DerError, match="more than 100 elements"):
            ber.normal(der.sequence(b"\x05\x00" * 100), "it")


class TestPasswords:
    """Java's and OpenSSL's readings of letters beyond ASCII, and of none."""

    @pytest.mark.parametrize("password", ["päss", "päss鍵", "🔑 key"])
    @pytest.mark.parametrize("options", [
        [], ["-legacy"], ["-keypbe", "PBE-SHA1-RC2-40", "-certpbe", "PBE-SHA1-RC2-128", "-legacy"],
        ["-keypbe", "aes-128-cbc", "-certpbe", "des-ede3-cbc", "-macalg", "sha512"], ["-nomac"],
    ])  # fmt: skip
    def test_openssl(self, password: str, options: list[str], tmp_path: Path, pair: Pair) -> None:
        program = parts.program("openssl", "openssl")
        target = tmp_path / "made.p12"
        words = [program, "pkcs12", "-export", "-in", str(PLAIN_PEM), "-out", str(target), "-passout", "env:SECRET"]
        done = subprocess.run(
            [*words, "-name", "Client", *options],
            env={"SECRET": password, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        entry = keystore.load(target, password).private_keys()["client"]
        assert (entry.private_key, entry.certificates) == pair

    def test_each_reading(self, pair: Pair) -> None:
        """A file made under each reading opens; old OpenSSL's made a letter of each byte of UTF-8."""
        for reading in readings("päss"):
            safe = der.sequence()
            data = pkcs12_write._file(safe, b"salt", 1, reading)
            assert len(keystore.loads(data, "päss")) == 0
            with pytest.raises(keystore.WrongPassword):
                keystore.loads(data, "pass")

    @pytest.mark.parametrize("secret", [b"\0\0", b""])
    @pytest.mark.parametrize("password", ["", None])
    def test_no_password(self, secret: bytes, password: str | None) -> None:
        reading = next(reading for reading in readings("") if reading.bmp == secret)
        assert len(keystore.loads(pkcs12_write._file(der.sequence(), b"salt", 1, reading), password)) == 0

    def test_an_ascii_password_is_tried_once(self, monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
        data, rounds, derive = written(pair), [], kdf.pkcs12
        monkeypatch.setattr(kdf, "pkcs12", lambda *words: rounds.append(words[3]) or derive(*words))  # type: ignore[func-returns-value]
        with pytest.raises(keystore.WrongPassword):
            keystore.loads(data, "wrong")
        assert rounds == [1]


class TestRoundTrip:
    """What a file holds, read, written and read again."""

    def test_everything(self, pair: Pair) -> None:
        other = keystore.load(FOLDER / "pem-ec-pkcs8.pem", None).private_keys()["1"]
        store = keystore.KeyStore()
        store.set_private_key("rsa", pair.key, pair.chain)
        store.set_private_key("ec", other.private_key, other.certificates, password="its own password")
        store.set_certificate("ca", pair.chain[-1])
        store.set_secret_key("aes", AES, b"k" * 32)
        moment = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
        store["rsa"].stamp(moment, moment)
        back = keystore.loads(keystore.dumps(store, "password", type="PKCS12"), "password")
        assert sorted(back) == ["aes", "ca", "ec", "rsa"]
        assert (back.private_keys()["rsa"].private_key, back.private_keys()["rsa"].certificates) == pair
        assert back["rsa"].modified == moment
        assert back.certificates()["ca"].certificate == pair.chain[-1]
        secret, ec = back["aes"], back.private_keys()["ec"]
        assert isinstance(secret, keystore.SecretKeyEntry)
        assert (secret.algorithm, secret.key) == (AES, b"k" * 32)
        assert ec.certificates == other.certificates
        with pytest.raises(keystore.WrongKeyPassword, match="it has a password of its own"):
            _ = ec.private_key
        ec.unlock("its own password")
        assert ec.private_key == other.private_key

    def test_names_and_attributes_stay(self, pair: Pair) -> None:
        unknown = der.sequence(der.oid("1.2.3.4"), der.tlv(der.SET, der.utf8("kept")))
        store = keystore.KeyStore()
        store.set_private_key("client", pair.key, pair.chain)
        store["client"].attributes, store["client"].friendly_name = (unknown,), "Client"
        once = keystore.loads(keystore.dumps(store, "password", type="PKCS12"), "password")
        again = keystore.loads(keystore.dumps(once, "password", type="PKCS12"), "password")
        assert (again["client"].attributes, again["client"].friendly_name) == ((unknown,), "Client")
        keystore.dumps(again, "password", type="BCFKS")
        assert again.notes == ["PKCS12 attributes of entries were left out: BCFKS has no place for them"]

    def test_what_pkcs12_has_no_place_for_is_said(self, pair: Pair) -> None:
        store = keystore.KeyStore()
        store.set_certificate("CA", pair.chain[-1])
        store["CA"].comment = "a comment"
        keystore.dumps(store, "password", type="PKCS12")
        assert [note.split(":")[0] for note in store.notes] == [
            "comments were left out", "Java and keytool show the aliases of a PKCS12 file in lower case",
        ]  # fmt: skip
        store.put("opaque", keystore.OpaqueEntry(7, b"data"))
        with pytest.raises(keystore.Unstorable, match="'opaque' is of a kind that only BCFKS holds"):
            keystore.dumps(store, "password", type="PKCS12")

    def test_names_twice_and_none(self, pair: Pair) -> None:
        bag = pkcs12_write._certificate_bag
        name = pkcs12_write._attributes((), "Same")
        bags = [bag(pair.chain[0], name), bag(pair.chain[1], name), bag(pair.chain[2], b"")]
        safe = der.sequence(pkcs12_write._data(der.sequence(*bags)))
        store = keystore.loads(pkcs12_write._file(safe, b"salt", 1, readings("x")[0]), "x")
        assert store.aliases() == ["same", "same (2)", "1"]
        assert store.notes == ["a second entry 'same' of the keystore is called 'same (2)'"]

    def test_safes_in_safes(self, pair: Pair) -> None:
        bags = pkcs12_write._certificate_bag(pair.chain[0], b"")
        for _ in range(pkcs12.MAX_NESTING - 1):
            bags = pkcs12_write._bag(pkcs12.SAFE_CONTENTS_BAG, der.sequence(bags), b"")
        safe = pkcs12_write._file(der.sequence(pkcs12_write._data(der.sequence(bags))), b"salt", 1, readings("x")[0])
        assert keystore.loads(safe, "x").aliases() == ["1"]
        deeper = pkcs12_write._bag(pkcs12.SAFE_CONTENTS_BAG, der.sequence(bags), b"")
        safe = pkcs12_write._file(der.sequence(pkcs12_write._data(der.sequence(deeper))), b"salt", 1, readings("x")[0])
        with pytest.raises(keystore.Damaged, match="nested more than 8 deep"):
            keystore.loads(safe, "x")


def test_a_key_beside_the_certificate_of_another(pair: Pair) -> None:
    """Both have the same identifier, so the pair looks right until the key is opened."""
    entry = keystore.PrivateKeyEntry(pair.key, pair.chain[1:])
    seal = pkcs12_write.Seal("x", 1)
    seal.key = seal.derive()
    key = pkcs12_write._key_bag("client", entry, seal, b"same")
    beside = pkcs12_write._certificate_bag(pair.chain[1], pkcs12_write._attributes((), None, b"same"))
    safe = der.sequence(pkcs12_write._data(der.sequence(key, beside)))
    store = keystore.loads(pkcs12_write._file(safe, b"salt", 1, readings("x")[0]), "x")
    with pytest.raises(keystore.KeyMismatch, match="'client' has no certificate of its own"):
        _ = store.private_keys()["client"].private_key


def test_a_renewed_authority_is_told_from_the_old_one_by_its_signature(tmp_path: Path) -> None:
    """Two authorities of one name: only one of them signed the leaf."""
    made = [authority(), authority()]
    leaf, key = issued(*made[1])
    store = keystore.KeyStore()
    store.set_private_key("client", key, [made[0][0], made[1][0], leaf])
    assert store.private_keys()["client"].certificates[:2] == (leaf, made[1][0])


def authority() -> tuple[bytes, object]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=One Name")
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2054, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER), key


def issued(issuer: bytes, issuer_key: object) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2054, 1, 1, tzinfo=UTC)
    subject = x509.Name.from_rfc4514_string("CN=Leaf")
    above = x509.load_der_x509_certificate(issuer).subject
    builder = x509.CertificateBuilder(above, subject, key.public_key(), x509.random_serial_number(), start, end)
    certificate = builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER)
    return certificate, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_hmac_digests_exist_everywhere() -> None:
    """Every digest in the tables is one that hashlib has."""
    import hmac

    for digest in {*pkcs12_mac.DIGESTS.values(), *pbes.HMACS.values()}:
        assert hmac.digest(b"key", b"data", digest)
        assert kdf.Pbkdf2(b"salt", 1, 16, digest).derive(b"secret")
    for digest in pkcs12_mac.DIGESTS.values():
        assert len(kdf.pkcs12(digest, b"\0x\0\0", b"salt", 2, 70, 3)) == 70

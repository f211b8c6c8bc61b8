"""What each command leaves behind, looked at with the library, cryptography and OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from openmid import keystore
from tests import parts
from tests.keystore.keytool.conftest import Keytool
from tests.keystore.keytool.transcript import CERTIFICATES
from tests.keystore.vectors import FOLDER

B = "-keystore s.bcfks -storetype BCFKS -storepass changeit"
NEW = f"-genkeypair -alias client -keyalg EC {B} -dname CN=client"


@pytest.fixture
def mixed(keytool: Keytool) -> Path:
    shutil.copyfile(FOLDER / "bcfks-mixed.bcfks", keytool.here / "s.bcfks")
    return keytool.here / "s.bcfks"


def opened(path: str = "s.bcfks", password: str = "changeit") -> keystore.KeyStore:
    return keystore.load(path, password)


def certificate(store: keystore.KeyStore, alias: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(store.private_keys()[alias].certificates[0])


class TestGenerate:
    def test_a_self_signed_certificate(self, keytool: Keytool) -> None:
        keytool.fine(NEW, "-validity", "30", "-groupname", "secp384r1")
        made = certificate(opened(), "client")
        made.verify_directly_issued_by(made)
        assert made.subject.rfc4514_string() == "CN=client"
        assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=30)
        public = made.public_key()
        assert isinstance(public, EllipticCurvePublicKey)
        assert public.curve.name == "secp384r1"
        assert made.serial_number > 1 << 120

    def test_openssl_verifies_what_was_signed(self, keytool: Keytool) -> None:
        openssl = parts.program("openssl", "openssl")
        for number, more in enumerate((["-sigalg", "RSASSA-PSS"], ["-sigalg", "SHA512withRSA"])):
            alias = f"rsa{number}"
            keytool.fine(f"-genkeypair -alias {alias} -keyalg RSA -keysize 2048 -dname CN=rsa {B}", *more)
            keytool.fine(f"-exportcert -rfc -alias {alias} -file c.pem {B}")
            keytool.fine(f"-certreq -alias {alias} -file r.pem {B}", *more)
            subprocess.run([openssl, "verify", "-CAfile", "c.pem", "c.pem"], check=True, capture_output=True)
            subprocess.run([openssl, "req", "-verify", "-noout", "-in", "r.pem"], check=True, capture_output=True)

    def test_extensions_are_javas_byte_for_byte(self, keytool: Keytool) -> None:
        """The same flags made extensions.cer with Java's keytool."""
        usages = "digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment,keyAgreement,keyCertSign,cRLSign"
        purposes = (
            "serverAuth,clientAuth,codeSigning,emailProtection,timeStamping,OCSPSigning,anyExtendedKeyUsage,1.2.3.4"
        )
        names = "dns:a.example,ip:192.0.2.1,ip:2001:db8::1,email:a@b.example,uri:https://c.example/x,oid:1.2.3.4.5"
        values = [
            "bc:c=ca:true,pathlen:3", f"ku:c={usages},encipherOnly,decipherOnly", f"eku={purposes}", f"san={names}",
            "ian=dns:issuer.example", "aia=ocsp:uri:http://o.example,caIssuers:uri:http://c.example/ca.cer",
            "sia=caRepository:uri:http://r.example,timeStamping:dns:t.example",
            "crl=uri:http://crl.example/a.crl,uri:http://crl.example/b.crl", "1.2.3.4.6:c=04:03:01:02:03", "1.2.3.4.7",
        ]  # fmt: skip
        keytool.fine(NEW, *[word for value in values for word in ("-ext", value)])
        theirs = x509.load_der_x509_certificate((CERTIFICATES / "extensions.cer").read_bytes()).extensions
        ours = certificate(opened(), "client").extensions
        assert [one.oid for one in ours] == [one.oid for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            if one.oid.dotted_string != "2.5.29.14":  # the key's identifier
                assert one == other

    @pytest.mark.parametrize(("word", "same"), [
        ("KeyUsage:critical=dS,kE", "ku:c=digitalSignature,keyEncipherment"),
        ("ku=digital", "ku=digitalSignature"),
        ("bc=3", "bc=ca:true,pathlen:3"),
        ("basic", "bc=ca:true"),
        ("ku=contentCommitment", "ku=nonRepudiation"),
    ])  # fmt: skip
    def test_extensions_in_short(self, word: str, same: str) -> None:
        from openmid.keystore.keytool.extension_values import requested

        assert requested([word], b"") == requested([same], b"")

    @pytest.mark.parametrize("word", [
        "nonsense", "san", "san=dns", "ku=key", "bc=ca:perhaps", "1.2.3=xyz", "san=ip:a.example", "ku:maybe=dS",
        "aia=x:uri:y", "1.40=00", "3.1=00",
    ])  # fmt: skip
    def test_extensions_that_cannot_be_made(self, keytool: Keytool, word: str) -> None:
        assert f"-ext {word} is not an extension that can be made\nhint: " in keytool.refused(NEW, "-ext", word)
        assert not list(keytool.here.iterdir())

    @pytest.mark.parametrize(("more", "sentence"), [
        ("-keysize 1024 -keyalg RSA", "RSA keys of 1024 bits are not made"),
        ("-keyalg DSA", "DSA KeyPairGenerator not available"),
        ("-groupname secp256k1", "EC keys of secp256k1 are not made"),
        ("-dname nonsense", "'nonsense' is not a distinguished name"),
        ("-sigalg SHA256withRSA", "SHA256withRSA does not go with an EC key"),
        ("-sigalg SHA1withECDSA", "SHA1withECDSA Signature not available"),
        ("-validity 9999999", "a validity of 9999999 days ends after the year 9999"),
        ("-startdate tomorrow", "Illegal startdate value"),
        ("-keypass short", "Key password must be at least 6 characters"),
        ("-storetype JKS", "keystores of type JKS are not written"),
        ("-signer ca", "-signer is not offered: a certificate signed by another entry"),
    ])  # fmt: skip
    def test_refusals(self, keytool: Keytool, more: str, sentence: str) -> None:
        assert keytool.refused(NEW, *more.split()).splitlines()[0] == f"keytool error: {sentence}"
        assert not list(keytool.here.iterdir())

    def test_a_key_password_of_its_own_is_typed_twice(self, keytool: Keytool) -> None:
        done = keytool.fine(NEW, answers="short\nlong enough\nother one\nlong enough\nlong enough\n")
        assert done.err.count("Enter key password for <client>\n\t(RETURN if same as keystore password):  ") == 3
        assert "Key password is too short - must be at least 6 characters\n" in done.err
        entry = opened().private_keys()["client"]
        with pytest.raises(keystore.WrongKeyPassword):
            entry.reveal()
        entry.unlock("long enough")

    def test_start_dates(self) -> None:
        from openmid.keystore.keytool.start_date import parse

        now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        assert parse("-1d+2H", now) == now - timedelta(hours=22)
        assert parse("+1y-1m", now).astimezone(UTC).date() == datetime(2027, 10, 23, tzinfo=UTC).date()
        assert parse("2020/01/02 03:04:05", now).astimezone().replace(tzinfo=None) == datetime(2020, 1, 2, 3, 4, 5)


class TestTheLifeOfAClientsCertificate:
    def test_from_a_new_key_to_the_authoritys_answer(self, keytool: Keytool) -> None:
        """Key, request, answer of an authority (OpenSSL), installed: one key, its chain, nothing left beside the store."""
        openssl = parts.program("openssl", "openssl")
        keytool.fine(NEW)
        keytool.fine(f"-certreq -alias client -file r.pem {B}", "-ext", "eku=clientAuth")
        for words in (
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=CA -days 30",
            "x509 -req -in r.pem -CA ca.pem -CAkey ca.key -days 10 -out answer.pem -copy_extensions copy",
        ):
            subprocess.run([openssl, *words.split()], check=True, capture_output=True)
        before = opened().private_keys()["client"].private_key
        lone = keytool.refused(f"-importcert -alias client -file answer.pem {B}")
        assert lone.startswith("keytool error: Failed to establish chain from reply\nhint: ")
        (keytool.here / "both.pem").write_text(Path("ca.pem").read_text() + Path("answer.pem").read_text())
        keytool.fine(f"-importcert -noprompt -alias client -file both.pem {B}")
        entry = opened().private_keys()["client"]
        assert entry.private_key == before
        assert [x509.load_der_x509_certificate(one).subject.rfc4514_string() for one in entry.certificates] == [
            "CN=client", "CN=CA",
        ]  # fmt: skip
        assert {path.name for path in keytool.here.iterdir()} == {
            "s.bcfks", "r.pem", "ca.key", "ca.pem", "answer.pem", "both.pem",
        }  # fmt: skip
        assert Path("s.bcfks").stat().st_mode & 0o777 == 0o600

    def test_an_answer_of_a_trusted_authority_needs_no_question(self, keytool: Keytool) -> None:
        for name in ("reply.bcfks", "reply-ca.pem", "reply-alone.pem", "reply.pem"):
            shutil.copyfile(CERTIFICATES / name, name)
        store = "-keystore reply.bcfks -storepass changeit"
        keytool.fine(f"-importcert -noprompt -alias root -file reply-ca.pem {store}")
        assert "installed" in keytool.fine(f"-importcert -alias client -file reply-alone.pem {store}").err
        assert len(opened("reply.bcfks").private_keys()["client"].certificates) == 2
        assert "installed" in keytool.fine(f"-importcert -alias client -file reply.pem {store}").err

    def test_the_systems_authorities_vouch_where_that_is_wanted(
        self, keytool: Keytool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """-trustcacerts: for a lone answer, for a chain's top, for a certificate to trust, and about the root itself."""
        for name in ("reply.bcfks", "reply-ca.pem", "reply-alone.pem", "reply.pem"):
            shutil.copyfile(CERTIFICATES / name, name)
        bundle = (CERTIFICATES / "reply-ca.pem").read_text() + (FOLDER / "pem-ca-bundle.pem").read_text()
        (keytool.here / "bundle.pem").write_text(bundle)
        monkeypatch.setenv("SSL_CERT_FILE", str(keytool.here / "bundle.pem"))
        store = "-keystore reply.bcfks -storepass changeit"
        lone = f"-importcert -alias client -file reply-alone.pem {store}"
        assert "Failed to establish chain" in keytool.refused(lone)
        assert "installed" in keytool.fine(f"{lone} -trustcacerts").err
        assert len(opened("reply.bcfks").private_keys()["client"].certificates) == 2
        assert "nobody answered" in keytool(f"-importcert -alias client -file reply.pem {store}").out
        keytool.fine(f"-importcert -trustcacerts -alias client -file reply.pem {store}")
        leaf = f"-importcert -alias leaf -file reply-alone.pem {B}"
        assert "nobody answered" in keytool(leaf).out
        keytool.fine(f"{leaf} -trustcacerts")
        assert opened().aliases() == ["leaf"]
        root = keytool(f"-importcert -trustcacerts -alias root -file reply-ca.pem {B}", answers="no\n")
        assert "Certificate already exists in system-wide CA keystore under alias <CN=" in root.err
        assert "Do you still want to add it to your own keystore? [no]:  " in root.err
        assert opened().aliases() == ["leaf"]

    def test_a_system_without_authorities(self, keytool: Keytool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(keytool.here / "none.pem"))
        shutil.copyfile(CERTIFICATES / "reply-alone.pem", "leaf.pem")
        said = keytool.refused(f"-importcert -trustcacerts -alias leaf -file leaf.pem {B}")
        assert said.startswith("keytool error: -trustcacerts: this system has no CA bundle\nhint: ")

    def test_the_real_bundle_is_read(self, keytool: Keytool) -> None:
        """Every certificate of this system's, by our own parser: what it vouches for does not include a stranger."""
        if not Path("/etc/ssl/certs/ca-certificates.crt").exists():
            parts.missing("a CA bundle", "ca-certificates")
        shutil.copyfile(CERTIFICATES / "reply-alone.pem", "leaf.pem")
        assert "nobody answered" in keytool(f"-importcert -trustcacerts -alias leaf -file leaf.pem {B}").out

    def test_nobody_to_ask(self, keytool: Keytool) -> None:
        shutil.copyfile(CERTIFICATES / "reply-ca.pem", "ca.pem")
        done = keytool(f"-importcert -alias root -file ca.pem {B}")
        assert done.status == 1
        assert "keytool error: nobody answered whether to trust the certificate\nhint: " in done.out
        assert not Path("s.bcfks").exists()

    def test_a_certificate_from_standard_input(self, keytool: Keytool) -> None:
        keytool.fine(f"-importcert -noprompt -alias root {B}", answers=(CERTIFICATES / "reply-ca.pem").read_text())
        assert opened().aliases() == ["root"]

    def test_a_secret_key_is_in_the_way(self, keytool: Keytool, mixed: Path) -> None:
        said = keytool.refused(f"-importcert -noprompt -alias aes -file {FOLDER / 'der-leaf.cer'} {B}")
        assert said.startswith("keytool error: Certificate not imported, alias <aes> is a secret key\n")


class TestPasswords:
    def test_keys_follow_the_stores_password(self, keytool: Keytool, mixed: Path) -> None:
        """Java's keytool would leave them under the old one."""
        keytool.fine(f"-storepasswd -new newpass1 {B}")
        store = opened(password="newpass1")
        assert all(store[alias].reveal() for alias in ("server", "ec", "aes"))  # type: ignore[attr-defined]

    def test_a_key_with_a_password_of_its_own_keeps_it(self, keytool: Keytool, mixed: Path) -> None:
        keytool.fine(f"-keypasswd -alias server -new ownpass1 {B}")
        keytool.fine(f"-storepasswd -new newpass1 {B}")
        store = opened(password="newpass1")
        entry = store.private_keys()["server"]
        with pytest.raises(keystore.WrongKeyPassword):
            entry.reveal()
        entry.unlock("ownpass1")
        assert store.private_keys()["ec"].private_key

    def test_a_key_gets_the_stores_password_back(self, keytool: Keytool, mixed: Path) -> None:
        keytool.fine(f"-keypasswd -alias aes -new ownpass1 {B}")
        assert "has a password of its own" in keytool.refused(f"-keypasswd -alias aes -keypass wrong6 -new other66 {B}")
        keytool.fine(f"-keypasswd -alias aes -keypass ownpass1 -new changeit {B}")
        keytool.fine(f"-storepasswd -new newpass1 {B}")
        entry = opened(password="newpass1")["aes"]
        assert isinstance(entry, keystore.SecretKeyEntry)
        assert entry.key

    def test_an_alias_moves_with_its_own_password(self, keytool: Keytool, mixed: Path) -> None:
        keytool.fine(f"-keypasswd -alias server -new ownpass1 {B}")
        keytool.fine(f"-changealias -alias server -destalias client {B}")
        entry = opened().private_keys()["client"]
        entry.unlock("ownpass1")


class TestOutput:
    def test_a_file_is_written_whole_and_is_for_everyone_to_read(self, keytool: Keytool, mixed: Path) -> None:
        keytool.fine(f"-exportcert -alias server -file c.cer {B}")
        assert Path("c.cer").read_bytes() == opened().private_keys()["server"].certificates[0]
        assert Path("c.cer").stat().st_mode & 0o777 == 0o644

    def test_the_keystore_is_not_overwritten_with_its_certificate(self, keytool: Keytool, mixed: Path) -> None:
        before = mixed.read_bytes()
        assert "s.bcfks is the keystore itself" in keytool.refused(f"-exportcert -alias server -file s.bcfks {B}")
        assert mixed.read_bytes() == before


class TestSources:
    def test_pem_with_the_key_in_another_file(self, keytool: Keytool) -> None:
        certificates, key = FOLDER / "pem-cert-only.pem", FOLDER / "pem-key-only.pem"
        to = "-destkeystore c.bcfks -deststoretype BCFKS -deststorepass changeit"
        keytool.fine(f"-importkeystore -srckeystore {certificates} -srckeyfile {key} -srcstoretype PEM {to}")
        assert opened("c.bcfks").private_keys()["1"].certificates
        said = keytool.refused(f"-importkeystore -srckeystore {FOLDER / 'p12-ec-p256.p12'} -srckeyfile {key} {to}")
        assert "is not a PEM file, and -srckeyfile joins two of them" in said

    def test_in_place_the_old_file_stays_beside(self, keytool: Keytool) -> None:
        shutil.copyfile(FOLDER / "p12-ec-p256.p12", "k")
        before = Path("k").read_bytes()
        same = "-srckeystore k -destkeystore k -srcstorepass changeit -deststorepass changeit"
        done = keytool.fine(f"-importkeystore {same} -deststoretype BCFKS")
        assert 'Migrated "k" to BCFKS. The PKCS12 keystore is backed up as "k.old".\n' in done.err
        assert Path("k.old").read_bytes() == before
        assert (Path("k.old").stat().st_mode & 0o777, opened("k").type) == (0o600, "BCFKS")

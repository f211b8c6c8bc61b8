"""Java's keytool with Bouncy Castle (Debian's libbcprov-java) and we read each other's stores; OpenSSL reads our PKCS12."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openmid import keystore
from tests import parts
from tests.keystore.vectors import FOLDER, sha256

pytestmark = pytest.mark.java

AES = "2.16.840.1.101.3.4.1"
P12 = FOLDER / "p12-keytool-default.p12"


def javas_keytool(*words: str | Path) -> str:
    """Run Java's keytool with Bouncy Castle; its standard output. A failure shows both outputs."""
    bouncy_castle = ("-provider", "org.bouncycastle.jce.provider.BouncyCastleProvider", "-providerpath", parts.bcprov())
    program = parts.program("keytool", "default-jre-headless")
    words = (program, "-J-Duser.language=en", "-J-Duser.country=US", "-J-Duser.timezone=UTC", *words, *bouncy_castle)
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def our_keytool(*words: str | Path) -> str:
    """Run ours, as its own process; its standard output."""
    program = (sys.executable, "-m", "openmid.keystore.keytool")
    done = subprocess.run([*program, *words], capture_output=True, text=True, env={"TZ": "UTC"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The article's conversion, by us, with another password for the destination."""
    path = tmp_path_factory.mktemp("converted") / "client.bcfks"
    our_keytool(
        *("-importkeystore", "-v", "-srckeystore", P12, "-srcstoretype", "PKCS12", "-srcstorepass", "changeit"),
        *("-destkeystore", path, "-deststoretype", "BCFKS", "-deststorepass", "destination password"),
        *("-provider", "org.bouncycastle.jcajce.provider.BouncyCastleFipsProvider", "-providerpath", "bc-fips.jar"),
    )
    return path


def test_java_lists_what_we_wrote_and_prints_what_we_print(converted: Path) -> None:
    words = ("-list", "-v", "-keystore", converted, "-storetype", "BCFKS", "-storepass", "destination password")
    theirs, ours = javas_keytool(*words).splitlines(), our_keytool(*words).splitlines()
    assert theirs[1] == "Keystore provider: BC"
    assert [*theirs[:1], "Keystore provider: openmid", *theirs[2:]] == ours


def test_a_key_that_we_converted_signs_in_java_under_the_destinations_password(converted: Path) -> None:
    words = ("-alias", "server", "-keystore", converted, "-storetype", "BCFKS", "-storepass", "destination password")
    request = x509.load_pem_x509_csr(javas_keytool("-certreq", *words).encode())
    assert request.is_signature_valid
    leaf = keystore.load(P12, "changeit").private_keys()["server"].certificates[0]
    public = x509.load_der_x509_certificate(leaf).public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert request.public_key().public_bytes(*form) == public.public_bytes(*form)


def test_we_read_what_java_converted(tmp_path: Path) -> None:
    path = tmp_path / "java.bcfks"
    javas_keytool(
        *("-importkeystore", "-srckeystore", P12, "-srcstoretype", "PKCS12", "-srcstorepass", "changeit"),
        *("-destkeystore", path, "-deststoretype", "BCFKS", "-deststorepass", "destination password"),
    )
    source, entry = keystore.load(P12, "changeit"), keystore.load(path, "destination password").private_keys()["server"]
    with pytest.raises(keystore.WrongKeyPassword):  # the trap: the key stays under the source's password
        _ = entry.private_key
    entry.unlock("changeit")
    assert entry.private_key == source.private_keys()["server"].private_key
    assert entry.certificates == source.private_keys()["server"].certificates


class Written(NamedTuple):
    """A store that we wrote for Java, and what must be found in it: alias -> (kind, key's digest, certificates' digests)."""

    path: Path
    password: str | None
    key_password: str | None
    expected: dict[str, tuple[str, str, str]]


def write_stores(folder: Path) -> list[Written]:
    rsa = keystore.load(FOLDER / "pem-pkcs8-key-and-chain.pem", None).private_keys()["1"]
    chain = ",".join(sha256(certificate) for certificate in rsa.certificates)
    private = ("private", sha256(rsa.private_key), chain)
    trusted = ("certificate", "-", sha256(rsa.certificates[-1]))
    written = []
    for name, password, key_password in (
        ("plain", "changeit", "changeit"),
        ("key-password", "store password", "a key's own password"),
        ("unicode", "päss鍵🔑", "päss鍵🔑"),
        ("null", None, None),
    ):
        store = keystore.KeyStore()
        own = key_password if key_password != password else None
        store.set_private_key("Zoë 鍵 🔑", rsa.private_key, tuple(reversed(rsa.certificates)), password=own)
        store.set_private_key("zoë 鍵 🔑", rsa.private_key, rsa.certificates, password=own)
        store.set_certificate("CA", rsa.certificates[-1])
        store.set_secret_key("aes", AES, bytes(range(32)), password=own)
        store.save(folder / f"{name}.bcfks", password)
        secret = ("secret", sha256(bytes(range(32))), "-")
        expected = {"Zoë 鍵 🔑": private, "zoë 鍵 🔑": private, "CA": trusted, "aes": secret}
        written.append(Written(folder / f"{name}.bcfks", password, key_password, expected))
    return written


def resaved_vector(folder: Path) -> Written:
    """A store that Java wrote, saved again by us under another password."""
    store = keystore.load(FOLDER / "bcfks-ec.bcfks", "changeit")
    store.save(folder / "resaved.bcfks", "another password")
    expected = {
        alias: ("private", sha256(entry.private_key), ",".join(map(sha256, entry.certificates)))
        for alias, entry in store.private_keys().items()
    }
    return Written(folder / "resaved.bcfks", "another password", "another password", expected)


def test_bouncy_castle_reads_every_kind_of_entry(tmp_path: Path) -> None:
    stores = [*write_stores(tmp_path), resaved_vector(tmp_path)]

    def encoded(password: str | None) -> str:
        return "-" if password is None else base64.b64encode(password.encode()).decode()

    orders = "".join(f"{store.path}\n{encoded(store.password)}\n{encoded(store.key_password)}\n" for store in stores)
    (tmp_path / "orders").write_text(orders)
    java, source = parts.program("java", "default-jre-headless"), Path(__file__).with_name("StoreChecker.java")
    words = (java, "-cp", str(parts.bcprov()), str(source), str(tmp_path / "orders"))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, tuple[str, str, str]]] = {store.path.name: {} for store in stores}
    for line in done.stdout.splitlines():
        file, alias, kind, key, certificates, signs = line.split("\t")
        found[file][base64.b64decode(alias).decode()] = (kind, key, certificates)
        assert signs == ("true" if kind == "private" else "-")
    assert found == {store.path.name: store.expected for store in stores}


def test_openssl_reads_our_pkcs12(converted: Path, tmp_path: Path) -> None:
    target = tmp_path / "back.p12"
    our_keytool(
        *("-importkeystore", "-srckeystore", converted, "-srcstorepass", "destination password"),
        *("-destkeystore", target, "-deststoretype", "PKCS12", "-deststorepass", "changeit"),
    )
    words = (parts.program("openssl", "openssl"), "pkcs12", "-in", str(target), "-passin", "pass:changeit", "-noenc")
    done = subprocess.run(words, capture_output=True, check=True)
    back = keystore.loads(done.stdout, None).private_keys()["1"]
    source = keystore.load(P12, "changeit").private_keys()["server"]
    assert (back.private_key, back.certificates) == (source.private_key, source.certificates)

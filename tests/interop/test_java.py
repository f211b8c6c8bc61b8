"""Java's keytool with Bouncy Castle (Debian's libbcprov-java) and we read each other's stores; OpenSSL reads our PKCS12."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openmid import keystore
from tests import parts
from tests.interop.conftest import APPROVED_ONLY
from tests.interop.java import BC, BC_FIPS, Java
from tests.keystore.vectors import FOLDER, sha256

pytestmark = pytest.mark.java

P12 = FOLDER / "p12-keytool-default.p12"


def javas_keytool(*words: str | Path, provider: tuple[str | Path, ...] = ()) -> str:
    """Run Java's keytool with Bouncy Castle; its standard output. A failure shows both outputs."""
    program = parts.program("keytool", "default-jre-headless")
    provider = provider or ("-provider", BC, "-providerpath", parts.bcprov())
    words = (program, "-J-Duser.language=en", "-J-Duser.country=US", "-J-Duser.timezone=UTC", *words, *provider)
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def our_keytool(*words: str | Path) -> str:
    """Run ours, as its own process; its standard output."""
    program = (sys.executable, "-m", "openmid.keystore.keytool")
    done = subprocess.run([*program, *words], capture_output=True, text=True, env={"TZ": "UTC"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def article(source: Path, target: Path, jar: Path) -> tuple[str | Path, ...]:
    """The words of the article's command, in its order, with the same password twice."""
    return (
        *("-importkeystore", "-v", "-srckeystore", source, "-srcstoretype", "PKCS12", "-srcstorepass", "changeit"),
        *("-destkeystore", target, "-deststoretype", "BCFKS", "-deststorepass", "changeit"),
        *("-provider", BC_FIPS, "-providerpath", jar),
    )


def test_the_articles_command(tmp_path: Path, approved: Java) -> None:
    """By Java's keytool with the real bc-fips in approved-only mode, and by ours: each reads what the other wrote."""
    jar = parts.bc_fips("2.1.2" if approved.version.startswith("2.") else "1.0.2.6")
    theirs, ours = tmp_path / "theirs.bcfks", tmp_path / "ours.bcfks"
    words = article(P12, theirs, jar)
    javas_keytool("-J" + APPROVED_ONLY, *words[:-4], provider=words[-4:])
    our_keytool(*article(P12, ours, jar))
    source = keystore.load(P12, "changeit").private_keys()["server"]
    entry = keystore.load(theirs, "changeit").private_keys()["server"]
    assert (entry.private_key, entry.certificates) == (source.private_key, source.certificates)
    for path in (theirs, ours):
        found = approved.read(path, "changeit")["server"]
        assert (found.key, found.signs) == (source.private_key, "true")
        assert found.certificates == tuple(map(sha256, source.certificates))


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The article's conversion, by us, with another password for the destination."""
    path = tmp_path_factory.mktemp("converted") / "client.bcfks"
    our_keytool(
        *("-importkeystore", "-v", "-srckeystore", P12, "-srcstoretype", "PKCS12", "-srcstorepass", "changeit"),
        *("-destkeystore", path, "-deststoretype", "BCFKS", "-deststorepass", "destination password"),
        *("-provider", BC_FIPS, "-providerpath", "bc-fips.jar"),
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


def test_openssl_reads_several_keys_and_trusted_certificates(tmp_path: Path) -> None:
    store = keystore.load(FOLDER / "p12-keytool-multi-secret-trusted.p12", "changeit")
    store.save(tmp_path / "several.p12", "päss", "PKCS12")
    words = (
        parts.program("openssl", "openssl"),
        "pkcs12",
        "-in",
        str(tmp_path / "several.p12"),
        "-passin",
        "pass:päss",
    )
    done = subprocess.run((*words, "-noenc"), capture_output=True, check=True)
    keys = done.stdout.split(b"-----BEGIN PRIVATE KEY-----")[1:]
    found = {keystore.loads(b"-----BEGIN PRIVATE KEY-----" + key, None).private_keys()["1"].private_key for key in keys}
    assert found == {entry.private_key for entry in store.private_keys().values()}
    assert len(found) == 2
    for entry in store.certificates().values():
        assert base64.encodebytes(entry.certificate)[:60] in done.stdout

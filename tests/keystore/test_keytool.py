"""keytool's two commands, as shell sessions: text, stream and exit status. The expected texts were taken from OpenJDK 17's
keytool with Bouncy Castle 1.72, but for what docs/keytool.md lists as different."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from openmid import keystore
from openmid.keystore.keytool.__main__ import main
from tests.keystore.conftest import Pair
from tests.keystore.vectors import FOLDER

P12 = str(FOLDER / "p12-keytool-default.p12")
MIXED = str(FOLDER / "bcfks-mixed.bcfks")
PROVIDER = [
    "-provider",
    "org.bouncycastle.jcajce.provider.BouncyCastleFipsProvider",
    "-providerpath",
    "../../lib/bc-fips.jar",
]


class Session(NamedTuple):
    """What a run of keytool gave."""

    status: int
    out: str
    err: str


class Keytool:
    """`keytool(...)` runs a command line in this process; `answers` are what standard input holds."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *words: str, answers: str = "") -> Session:
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
        status = main(words)
        return Session(status, *self.capsys.readouterr())


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """keytool prints local times; the expected texts are of a machine on UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    del os.environ["TZ"]
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def keytool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Keytool:
    monkeypatch.chdir(tmp_path)
    return Keytool(capsys, monkeypatch)


def import_p12(*more: str, target: str = "client.bcfks", password: str = "changeit") -> list[str]:
    words = ["-importkeystore", "-srckeystore", P12, "-srcstoretype", "PKCS12", "-srcstorepass", "changeit"]
    return [*words, "-destkeystore", target, "-deststoretype", "BCFKS", "-deststorepass", password, *more]


class TestImportKeystore:
    def test_the_articles_command(self, keytool: Keytool) -> None:
        done = keytool(*import_p12("-v", *PROVIDER))
        assert (done.status, done.out) == (0, "")
        lines = done.err.splitlines()
        assert lines[:4] == [
            f"Importing keystore {P12} to client.bcfks...",
            "Entry for alias server successfully imported.",
            "Import command completed:  1 entries successfully imported, 0 entries failed or cancelled",
            "[Storing client.bcfks]",
        ]
        assert all(line.startswith("note: ") for line in lines[4:])
        assert "-provider, -providerpath: accepted; there is no JVM" in done.err
        assert "-srcstorepass, -deststorepass: other users of this machine can read" in done.err
        source, target = keystore.load(P12, "changeit"), keystore.load("client.bcfks", "changeit", type="BCFKS")
        one, other = source.private_keys()["server"], target.private_keys()["server"]
        assert (one.private_key, one.certificates) == (other.private_key, other.certificates)

    def test_without_v_it_says_what_keytool_says_and_no_more(self, keytool: Keytool) -> None:
        done = keytool(*import_p12(*PROVIDER))
        assert done.err.splitlines() == [
            f"Importing keystore {P12} to client.bcfks...",
            "Entry for alias server successfully imported.",
            "Import command completed:  1 entries successfully imported, 0 entries failed or cancelled",
        ]

    def test_the_key_opens_with_the_destinations_password(self, keytool: Keytool) -> None:
        done = keytool(*import_p12("-v", password="destination-password"))
        assert "note: each key opens with the destination's password; Java's keytool would leave it" in done.err
        store = keystore.load("client.bcfks", "destination-password")
        assert store.private_keys()["server"].private_key

    def test_destkeypass(self, keytool: Keytool) -> None:
        assert keytool(*import_p12("-destkeypass", "key password")).status == 0
        entry = keystore.load("client.bcfks", "changeit").private_keys()["server"]
        with pytest.raises(keystore.WrongKeyPassword):
            _ = entry.private_key
        entry.unlock("key password")
        assert entry.private_key

    def test_one_entry_under_another_name(self, keytool: Keytool) -> None:
        done = keytool(*import_p12("-v", "-srcalias", "SERVER", "-destalias", "Client"))
        assert done.err.splitlines()[:2] == [f"Importing keystore {P12} to client.bcfks...", "[Storing client.bcfks]"]
        assert keystore.load("client.bcfks", "changeit").aliases() == ["Client"]

    def test_every_entry_of_a_bcfks_store(self, keytool: Keytool) -> None:
        done = keytool("-importkeystore", "-srckeystore", MIXED, "-srcstorepass", "changeit", "-destkeystore", "all.bcfks",
                       "-deststoretype", "BCFKS", "-deststorepass", "another password")  # fmt: skip
        assert "4 entries successfully imported, 0 entries failed" in done.err
        source, target = keystore.load(MIXED, "changeit"), keystore.load("all.bcfks", "another password")
        assert target.aliases() == source.aliases() == ["server", "ec", "ca", "aes"]
        for alias in source:
            one, other = source[alias], target[alias]
            assert type(one) is type(other)
            if isinstance(one, keystore.KeyEntry) and isinstance(other, keystore.KeyEntry):
                assert one.reveal() == other.reveal()

    @pytest.mark.parametrize("name", ["pem-pkcs8-key-and-chain.pem", "pem-ec-sec1-with-params.pem"])
    def test_from_pem(self, keytool: Keytool, name: str) -> None:
        words = [
            "-importkeystore",
            "-srckeystore",
            str(FOLDER / name),
            "-srcstoretype",
            "PEM",
            "-destkeystore",
            "c.bcfks",
        ]
        words += ["-deststoretype", "BCFKS", "-deststorepass", "changeit", "-srcalias", "1", "-destalias", "client"]
        done = keytool(*words)
        assert (done.status, done.out) == (0, "")
        assert keystore.load("c.bcfks", "changeit").private_keys()["client"].private_key

    def test_what_is_left_out_is_said(self, keytool: Keytool) -> None:
        source = str(FOLDER / "pem-chain-with-unrelated-cert.pem")
        words = ["-importkeystore", "-srckeystore", source, "-destkeystore", "c.bcfks", "-deststoretype", "BCFKS"]
        done = keytool(*words, "-deststorepass", "changeit")
        assert f"note: certificates of {source} that are no part of the key's chain were left out: 1\n" in done.err

    def test_from_an_encrypted_pem(self, keytool: Keytool) -> None:
        source = str(FOLDER / "pem-pkcs8-encrypted-pyca.pem")
        words = ["-importkeystore", "-srckeystore", source, "-destkeystore", "c.bcfks", "-deststoretype", "BCFKS"]
        done = keytool(*words, "-deststorepass", "changeit", answers="changeit\n")
        assert done.status == 0
        assert "Enter source keystore password:  " in done.err

    def test_back_to_pkcs12(self, keytool: Keytool) -> None:
        keytool(*import_p12())
        done = keytool("-importkeystore", "-srckeystore", "client.bcfks", "-srcstorepass", "changeit",
                       "-destkeystore", "back.p12", "-deststorepass", "changeit", "-destkeypass", "ignored")  # fmt: skip
        assert done.status == 0
        assert "Warning:  Different store and key passwords not supported for PKCS12" in done.err
        assert keystore.load("back.p12", "changeit", type="PKCS12").aliases() == ["server"]

    def test_an_alias_that_is_there_is_asked_about(self, keytool: Keytool) -> None:
        keytool(*import_p12())
        before = Path("client.bcfks").read_bytes()
        done = keytool(*import_p12(), answers="perhaps\nno\n\n")
        assert done.status == 0
        question = "Existing entry alias server exists, overwrite? [no]:  "
        assert f"{question}Wrong answer, try again\n{question}Enter new alias name\t(RETURN to cancel" in done.err
        assert "Entry for alias server not imported.\n" in done.err
        assert "0 entries successfully imported, 1 entries failed or cancelled" in done.err
        assert Path("client.bcfks").read_bytes() == before
        assert keytool(*import_p12(), answers="no\nsecond\n").status == 0
        assert keystore.load("client.bcfks", "changeit").aliases() == ["server", "second"]
        assert keytool(*import_p12(), answers="yes\n").status == 0
        assert keystore.load("client.bcfks", "changeit").aliases() == ["server", "second"]

    def test_an_alias_that_is_there_and_nobody_to_ask(self, keytool: Keytool) -> None:
        keytool(*import_p12())
        done = keytool(*import_p12())
        assert done.status == 1
        assert done.out == (
            "keytool error: client.bcfks already has an entry 'server', and there is nobody to ask\n"
            "hint: -noprompt overwrites it; -srcalias with -destalias gives the new one another name\n"
        )
        done = keytool(*import_p12("-noprompt"))
        assert done.status == 0
        assert "Warning: Overwriting existing alias server in destination keystore\nEntry for alias server" in done.err

    def test_a_key_with_its_own_password_is_asked_for(self, keytool: Keytool) -> None:
        words = ["-importkeystore", "-srckeystore", str(FOLDER / "bcfks-diff-keypass.bcfks"), "-srcstorepass", "changeit",
                 "-destkeystore", "c.bcfks", "-deststoretype", "BCFKS", "-deststorepass", "changeit"]  # fmt: skip
        done = keytool(*words, answers="wrong\nkeypass99\n")
        assert done.status == 0
        assert done.err.count("Enter key password for <server>") == 2
        assert keystore.load("c.bcfks", "changeit").private_keys()["server"].private_key
        Path("c.bcfks").unlink()
        assert keytool(*words, "-srcalias", "server", "-srckeypass", "keypass99").status == 0
        Path("c.bcfks").unlink()
        done = keytool(*words, "-srcalias", "server", "-srckeypass", "wrong")
        assert done.status == 1
        assert "has a password of its own" in done.out
        assert not Path("c.bcfks").exists()

    def test_passwords_are_asked_for(self, keytool: Keytool) -> None:
        words = ["-importkeystore", "-srckeystore", P12, "-destkeystore", "c.bcfks", "-deststoretype", "BCFKS"]
        done = keytool(*words, answers="short\nlong enough\nanother one\ndestination\ndestination\nchangeit\n")
        assert done.status == 0
        question = "Enter destination keystore password:  "
        assert done.err.startswith(
            f"Importing keystore {P12} to c.bcfks...\n"
            f"{question}Keystore password is too short - must be at least 6 characters\n"
            f"{question}Re-enter new password: They don't match. Try again\n"
            f"{question}Re-enter new password: Enter source keystore password:  Entry for alias server"
        )
        assert keystore.load("c.bcfks", "destination").aliases() == ["server"]

    def test_no_answer(self, keytool: Keytool) -> None:
        done = keytool("-importkeystore", "-srckeystore", P12, "-destkeystore", "c.bcfks", "-deststoretype", "BCFKS")
        assert done.status == 1
        assert done.out.startswith("keytool error: no password was given for -deststorepass\nhint: ")

    def test_passwords_from_environment_and_file(self, keytool: Keytool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOURCE_PASSWORD", "changeit")
        Path("password").write_text("päss鍵 word\nsecond line\n", encoding="utf-8")
        words = ["-importkeystore", "-v", "-srckeystore", P12, "-srcstorepass:env", "SOURCE_PASSWORD"]
        done = keytool(*words, "-destkeystore", "c.bcfks", "-deststoretype", "bcfks", "-deststorepass:file", "password")
        assert done.status == 0
        assert "can read a password" not in done.err
        assert keystore.load("c.bcfks", "päss鍵 word").aliases() == ["server"]

    @pytest.mark.parametrize(("words", "sentence"), [
        (["-importkeystore"], "Please specify -srckeystore"),
        (["-importkeystore", "-srckeystore", P12], "Please specify -destkeystore"),
        (import_p12("-destalias", "x"), "if alias not specified, destalias and srckeypass must not be specified"),
        (import_p12("-srcalias", "nosuch"), "Alias <nosuch> does not exist"),
        (import_p12(password="short"), "Keystore password must be at least 6 characters"),
        (import_p12(target="nodir/c.bcfks"), "nodir/c.bcfks cannot be written: the folder nodir does not exist"),
        (import_p12("-srcprotected"), "-srcprotected is not offered: source keystore on a token"),
        (import_p12("-deststoretype", "JKS"), "keystores of type JKS are not written"),
    ])  # fmt: skip
    def test_errors(self, keytool: Keytool, words: list[str], sentence: str) -> None:
        done = keytool(*words)
        assert done.status == 1
        assert done.out.splitlines()[0] == f"keytool error: {sentence}"
        assert "Traceback" not in done.err
        assert not list(Path().iterdir())

    @pytest.mark.parametrize(("source", "words", "sentence"), [
        ("nosuch.p12", [], "nosuch.p12 does not exist"),
        (P12, ["-srcstorepass", "wrongpass"], "(or the file was changed since it was written)"),
        (P12, ["-srcstoretype", "BCFKS"], f"{P12} is not a BCFKS keystore: it is a PKCS12 file"),
        (str(FOLDER / "uber-mixed.uber"), [], "a Bouncy Castle keystore (UBER), which openmid recognises and does not read"),
        (str(FOLDER / "pem-key-mismatch.pem"), [], "has no certificate of its own: its 3 certificates hold another key"),
        (str(FOLDER / "p12-key-only.p12"), [], "'keyonly' has no certificate, and a keystore holds a key with its chain"),
    ])  # fmt: skip
    def test_bad_sources(self, keytool: Keytool, source: str, words: list[str], sentence: str) -> None:
        basic = ["-importkeystore", "-srckeystore", source, "-srcstorepass", "changeit", "-destkeystore", "c.bcfks"]
        done = keytool(*basic, "-deststoretype", "BCFKS", "-deststorepass", "changeit", *words)
        assert done.status == 1
        assert done.out.startswith("keytool error: ")
        assert done.out.splitlines()[0].endswith(sentence)
        assert "changeit" not in done.out + done.err
        assert not Path("c.bcfks").exists()

    def test_an_empty_source(self, keytool: Keytool) -> None:
        Path("empty.p12").touch()
        done = keytool("-importkeystore", "-srckeystore", "empty.p12", "-destkeystore", "c.bcfks")
        assert done == (1, "keytool error: Source keystore file exists, but is empty: empty.p12\n", "")

    def test_a_wrong_password_of_an_existing_destination(self, keytool: Keytool) -> None:
        keytool(*import_p12())
        done = keytool(*import_p12(password="wrong password"))
        assert done.status == 1
        assert "the password does not open client.bcfks" in done.out


LISTED = """\
Keystore type: BCFKS
Keystore provider: openmid

Your keystore contains 4 entries

aes, Nov 23, 2026, SecretKeyEntry,\x20
ca, Nov 23, 2026, trustedCertEntry,\x20
Certificate fingerprint (SHA-256): {root}
ec, Nov 23, 2026, PrivateKeyEntry,\x20
Certificate fingerprint (SHA-256): {ec}
server, Nov 23, 2026, PrivateKeyEntry,\x20
Certificate fingerprint (SHA-256): {rsa}
"""
ROOT = "38:DC:47:F7:4A:91:A3:1F:F6:9C:9F:4C:8F:3C:B2:23:D7:67:EE:22:DB:2A:8D:5F:75:B1:98:F9:74:37:DF:79"
EC = "CF:4D:66:38:DD:D0:DC:7B:B1:86:87:AA:E4:88:45:F5:63:D3:9B:BF:30:4A:98:E6:FA:30:6E:A8:26:4B:A4:B1"
RSA = "D1:96:64:43:25:08:45:AE:17:D3:AA:10:8F:26:A5:40:CF:3C:D0:A5:17:EE:84:F7:17:DA:4D:FC:95:ED:B7:D9"
DETAILS = f"""\
Alias name: ca
Creation date: Nov 23, 2026
Entry type: trustedCertEntry

Owner: CN=Root-RSA fixture CA, O=FIXTURE TEST ONLY - DO NOT TRUST, C=ZZ
Issuer: CN=Root-RSA fixture CA, O=FIXTURE TEST ONLY - DO NOT TRUST, C=ZZ
Serial number: 265e282eae807b47d21d933fd6d55ad3062c9f92
Valid from: Mon Jan 01 00:00:00 UTC 2024 until: Thu Jan 01 00:00:00 UTC 2054
Certificate fingerprints:
\t SHA1: 3B:60:8A:89:65:D6:6C:C2:81:00:42:E1:BE:DC:92:0D:B8:5B:16:F1
\t SHA256: {ROOT}
Signature algorithm name: SHA256WITHRSA
Subject Public Key Algorithm: 3072-bit RSA key
Version: 3
"""


class TestList:
    def test_one_line_an_entry(self, keytool: Keytool) -> None:
        done = keytool("-list", "-keystore", MIXED, "-storetype", "BCFKS", "-storepass", "changeit")
        assert done == (0, LISTED.format(root=ROOT, ec=EC, rsa=RSA), "")

    def test_details(self, keytool: Keytool) -> None:
        done = keytool("-LIST", "-V", "-alias", "ca", "-keystore", MIXED, "-storepass", "changeit")
        assert (done.status, done.out) == (0, DETAILS)

    def test_pem(self, keytool: Keytool) -> None:
        done = keytool("-list", "-rfc", "-alias", "server", "-keystore", MIXED, "-storepass", "changeit")
        assert done.status == 0
        assert done.out.splitlines()[2:6] == [
            "Entry type: PrivateKeyEntry",
            "Certificate chain length: 3",
            "Certificate[1]:",
            "-----BEGIN CERTIFICATE-----",
        ]
        Path("chain.pem").write_text(done.out)
        chain = [entry.certificate for entry in keystore.load("chain.pem", None).certificates().values()]
        assert tuple(chain) == keystore.load(MIXED, "changeit").private_keys()["server"].certificates

    def test_weak_keys_and_signatures_are_named(self, keytool: Keytool) -> None:
        weak = str(FOLDER / "bcfks-weak-and-odd.bcfks")
        done = keytool("-list", "-keystore", weak, "-storepass", "changeit")
        assert done.err == (
            "\nWarning:\n"
            "<weak-rsa1024> uses a 1024-bit RSA key which is considered a security risk. "
            "This key size will be disabled in a future update.\n"
            "<weak-sha1sig> uses the SHA1WITHRSA signature algorithm which is considered a security risk. "
            "This algorithm will be disabled in a future update.\n"
        )
        details = keytool("-list", "-v", "-keystore", weak, "-storepass", "changeit").out
        for line in (
            "1024-bit RSA key (weak)",
            "SHA1WITHRSA (weak)",
            "Ed25519 key of unknown size",
            "2048-bit DSA key",
        ):
            assert f": {line}\n" in details
        assert details.endswith(f"\n\n{'*' * 43}\n{'*' * 43}\n\n\n")

    def test_an_empty_store(self, keytool: Keytool) -> None:
        done = keytool("-list", "-keystore", str(FOLDER / "bcfks-empty.bcfks"), "-storepass", "changeit")
        assert done.out == "Keystore type: BCFKS\nKeystore provider: openmid\n\nYour keystore contains 0 entries\n\n"

    def test_the_password_is_asked_for(self, keytool: Keytool) -> None:
        done = keytool("-list", "-keystore", MIXED, answers="changeit\n")
        assert (done.status, done.err) == (0, "Enter keystore password:  ")

    @pytest.mark.parametrize(("words", "sentence"), [
        (["-keystore", MIXED, "-storepass", "changeit", "-alias", "nope"], "Alias <nope> does not exist"),
        (["-keystore", "none.bcfks"], "Keystore file does not exist: none.bcfks"),
        (["-storepass", "changeit"], "Please specify -keystore"),
        (["-cacerts"], "-cacerts is not offered: Java's own truststore"),
        (["-keystore", MIXED, "-storepass", "changeit", "-storetype", "JKS"],
         f"{MIXED} is not a Java keystore (JKS): it is a BCFKS keystore"),
    ])  # fmt: skip
    def test_errors(self, keytool: Keytool, words: list[str], sentence: str) -> None:
        done = keytool("-list", *words)
        assert (done.status, done.out.splitlines()[0]) == (1, f"keytool error: {sentence}")

    def test_names_are_quoted_where_they_must_be(self, keytool: Keytool, pair: Pair) -> None:
        from openmid.keystore.keytool import names

        assert names.quoted('Müller, Söhne & "Co"') == '"Müller, Söhne & \\"Co\\""'
        assert names.quoted("plain text") == "plain text"


class TestUsage:
    @pytest.mark.parametrize(("words", "first"), [
        (["-bogus"], "Illegal option:  -bogus"),
        (["-list", "foo"], "Illegal option:  foo"),
        (["-list", "-alias"], "Command option -alias needs an argument."),
        (["-list", "-storepass:env", "NO_SUCH_VARIABLE"], "Cannot find environment variable: NO_SUCH_VARIABLE"),
        (["-list", "-storepass:file", "nosuch"], "Cannot find file: nosuch"),
        (["-list", "-storepass:what", "x"], "Illegal option:  -storepass:what"),
        (["-list", "-v", "-rfc"], "Must not specify both -v and -rfc with 'list' command"),
    ])  # fmt: skip
    def test_wrong_command_lines(self, keytool: Keytool, words: list[str], first: str) -> None:
        done = keytool(*words)
        assert (done.status, done.out) == (1, "")
        assert done.err.splitlines()[0] == first

    def test_help_goes_where_it_was_asked_for(self, keytool: Keytool) -> None:
        for words in (["-help"], ["--help"], ["-?"]):
            done = keytool(*words)
            assert (done.status, done.err) == (0, "")
            assert "-importkeystore" in done.out
        done = keytool("-importkeystore", "--help")
        assert "-srckeystore <keystore>" in done.out
        assert "client.bcfks" in done.out
        assert keytool().status == 0

    @pytest.mark.parametrize("command", ["-genseckey", "-gencert", "-importpass", "-importpassword", "-printcrl"])
    def test_commands_that_are_known(self, keytool: Keytool, command: str) -> None:
        done = keytool(command, "-alias", "x", "-whatever")
        assert done.status == 1
        assert "is not offered\nhint: instead: " in done.out
        assert "Not offered. Instead: " in keytool(command, "-help").out

    @pytest.mark.parametrize(("flag", "instead"), [
        ("-sslserver", "openssl s_client"), ("-jarfile", "jarsigner"), ("-conf", "command line"), ("-signer", "-certreq"),
    ])  # fmt: skip
    def test_flags_that_are_known(self, keytool: Keytool, flag: str, instead: str) -> None:
        done = keytool("-printcert", flag, "x")
        assert (done.status, done.err) == (1, "")
        assert done.out.startswith(f"keytool error: {flag} is not offered: ")
        assert instead in done.out

    def test_flags_of_other_commands_do_no_harm(self, keytool: Keytool) -> None:
        words = ("-list", "-noprompt", "-keypass", "x", "-keystore", MIXED, "-storepass", "changeit")
        assert keytool(*words) == keytool("-list", "-keystore", MIXED, "-storepass", "changeit")
        assert "note: -noprompt, -keypass: accepted; -list does not use it\n" in keytool(*words, "-v").err

    def test_an_argument_that_looks_like_a_command(self, keytool: Keytool) -> None:
        done = keytool("-list", "-keystore", MIXED, "-storepass", "-importkeystore")
        assert "the password does not open" in done.out


class TestProcess:
    def test_it_runs_as_a_program_and_imports_little(self, tmp_path: Path) -> None:
        code = (
            "import sys; from openmid.keystore.keytool.__main__ import main; status = main(sys.argv[1:]);"
            "heavy = ('click', 'rich', 'cryptography.x509', 'asyncio', 'dataclasses');"
            "print([name for name in heavy if name in sys.modules], status)"
        )
        words = [sys.executable, "-c", code, "-list", "-keystore", MIXED, "-storepass", "changeit"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[] 0"

    def test_a_password_is_not_echoed(self, tmp_path: Path) -> None:
        """On a real terminal."""
        parent, child = pty.openpty()
        words = [sys.executable, "-m", "openmid.keystore.keytool", "-list", "-keystore", MIXED]
        process = subprocess.Popen(words, stdin=child, stdout=child, stderr=child, start_new_session=True)
        shown = b""
        while b"password:" not in shown:
            shown += os.read(parent, 1024)
        os.write(parent, b"changeit\n")
        os.close(child)
        while True:
            try:
                shown += os.read(parent, 65536)
            except OSError:  # Linux's end of a terminal
                break
        os.close(parent)
        assert process.wait() == 0
        assert b"Your keystore contains 4 entries" in shown
        assert b"changeit" not in shown

    def test_a_reader_that_goes_away(self) -> None:
        words = [
            sys.executable,
            "-m",
            "openmid.keystore.keytool",
            "-list",
            "-keystore",
            MIXED,
            "-storepass",
            "changeit",
        ]
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, check=False)
        os.close(write)
        assert (done.returncode, done.stderr) == (1, b"")

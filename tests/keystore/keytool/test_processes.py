"""Whole processes: terminals, writers that meet, writers that are killed, disks that are full, what is loaded."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from openmid import keystore
from openmid.keystore import formats
from tests.keystore.keytool.conftest import Keytool
from tests.keystore.keytool.transcript import CERTIFICATES
from tests.keystore.vectors import FOLDER

KEYTOOL = (sys.executable, "-m", "openmid.keystore.keytool")
CA = str(CERTIFICATES / "reply-ca.pem")


class Terminal:
    """keytool on a pseudo-terminal: what stands on the screen, and what is typed."""

    def __init__(self, line: str, folder: Path) -> None:
        self.parent, child = pty.openpty()
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a shell starts in the background ignores it
        self.process = subprocess.Popen(
            [*KEYTOOL, *line.split()], stdin=child, stdout=child, stderr=child, cwd=folder, start_new_session=True
        )
        signal.signal(signal.SIGINT, before)
        self.child = child
        self.shown = ""

    def expect(self, text: str) -> None:
        """Read until this stands there, after what was read before."""
        seen = ""
        while text not in seen:
            more = os.read(self.parent, 4096).decode()
            assert more, self.shown
            seen += more.replace("\r\n", "\n")
            self.shown += more
        self.echoes = bool(termios.tcgetattr(self.child)[3] & termios.ECHO)

    def type(self, text: str) -> None:
        os.write(self.parent, f"{text}\n".encode())

    def end(self) -> int:
        os.close(self.child)
        while True:
            try:
                self.shown += os.read(self.parent, 4096).decode()
            except OSError:  # Linux's end of a terminal
                break
        os.close(self.parent)
        return self.process.wait()


class TestTerminal:
    def test_passwords_are_not_echoed_and_names_are(self, tmp_path: Path) -> None:
        screen = Terminal("-genkeypair -alias c -keyalg EC -keystore s.bcfks -storetype BCFKS", tmp_path)
        for _ in ("Enter keystore password:  ", "Re-enter new password: "):
            screen.expect(_)
            assert not screen.echoes
            screen.type("secret words")
        for answer in ("Jane", "", "", "", "", "ZZ"):
            screen.expect("]:  ")
            assert screen.echoes
            screen.type(answer)
        screen.expect("Is CN=Jane, OU=Unknown, O=Unknown, L=Unknown, ST=Unknown, C=ZZ correct?\n  [no]:  ")
        screen.type("yes")
        screen.expect("(RETURN if same as keystore password):  ")
        assert not screen.echoes
        screen.type("")
        assert screen.end() == 0
        assert "secret" not in screen.shown
        assert keystore.load(tmp_path / "s.bcfks", "secret words").private_keys()["c"].private_key

    def test_changing_passwords(self, tmp_path: Path) -> None:
        shutil.copyfile(FOLDER / "bcfks-ec.bcfks", tmp_path / "s")
        screen = Terminal("-storepasswd -keystore s", tmp_path)
        for question, answer in (
            ("Enter keystore password:  ", "changeit"),
            ("New keystore password: ", "changeit"),
            ("Passwords must differ\n", ""),
            ("New keystore password: ", "another one"),
            ("Re-enter new keystore password: ", "another one"),
        ):
            if question not in screen.shown[-len(question) :].replace("\r\n", "\n"):
                screen.expect(question)
            if answer:
                assert not screen.echoes
                screen.type(answer)
        assert screen.end() == 0
        assert "another" not in screen.shown
        assert keystore.load(tmp_path / "s", "another one")

    def test_a_question_is_answered_and_an_interrupt_ends_it(self, tmp_path: Path) -> None:
        line = f"-importcert -alias root -file {CA} -keystore s.p12 -storepass changeit"
        screen = Terminal(line, tmp_path)
        screen.expect("Trust this certificate? [no]:  ")
        screen.type("yes")
        assert screen.end() == 0
        assert keystore.load(tmp_path / "s.p12", "changeit").aliases() == ["root"]
        before = (tmp_path / "s.p12").read_bytes()
        screen = Terminal(line.replace("-alias root", "-alias more"), tmp_path)
        screen.expect("Do you still want to add it? [no]:  ")
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 130
        assert "Traceback" not in screen.shown
        assert (tmp_path / "s.p12").read_bytes() == before


class TestWriters:
    def test_a_store_that_another_program_changed_meanwhile_is_left_alone(
        self, keytool: Keytool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, real = keytool.here / "s", formats.dumps
        line = f"-importcert -noprompt -alias root -file {CA} -keystore s -storetype BCFKS -storepass changeit"
        for before, meanwhile, word in (
            (None, b"theirs", "appeared"),
            (b"", b"theirs", "was changed"),
            (b"", None, "disappeared"),
        ):
            if before is None:
                store.unlink(missing_ok=True)
            else:
                shutil.copyfile(FOLDER / "bcfks-empty.bcfks", store)

            def while_we_work(*words: object, meanwhile: bytes | None = meanwhile, **more: object) -> bytes:
                if meanwhile is None:
                    store.unlink()
                else:
                    store.write_bytes(meanwhile)
                return real(*words, **more)  # type: ignore[arg-type]

            monkeypatch.setattr(formats, "dumps", while_we_work)
            said = keytool.refused(line)
            assert said.startswith(f"keytool error: s {word} while this command worked; it was left as it is\nhint: ")
            assert (store.read_bytes() if store.exists() else None) == meanwhile

    def test_many_writers_at_once_lose_nothing(self, tmp_path: Path) -> None:
        """Whoever was told that it worked finds the entry; whoever came too late was told so."""
        shutil.copyfile(FOLDER / "bcfks-empty.bcfks", tmp_path / "s")
        line = f"-importcert -noprompt -file {CA} -keystore s -storepass changeit -alias"
        writers = {
            alias: subprocess.Popen([*KEYTOOL, *line.split(), alias], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
            for alias in "abcd"
        }
        outcomes = {alias: (process.communicate()[0], process.returncode) for alias, process in writers.items()}
        done = {alias for alias, (_, status) in outcomes.items() if status == 0}
        assert done
        assert set(keystore.load(tmp_path / "s", "changeit")) == done
        assert all("while this command worked" in said for said, status in outcomes.values() if status)
        assert [path.name for path in tmp_path.iterdir()] == ["s"]

    @pytest.mark.parametrize("line", [
        f"-importcert -noprompt -alias a -file {CA} -keystore no/s.p12",
        "-genkeypair -keyalg EC -dname CN=a -keystore no/s.p12",
        f"-importkeystore -srckeystore {FOLDER / 'p12-ec-p256.p12'} -destkeystore no/s.p12",
    ])  # fmt: skip
    def test_what_cannot_be_written_is_said_first(self, keytool: Keytool, line: str) -> None:
        """Java's keytool reports success before it fails."""
        done = keytool(line)
        assert (
            done.out == "keytool error: no/s.p12 cannot be written: the folder no does not exist\nhint: mkdir -p no\n"
        )
        assert (done.status, "password" in done.err, "success" in done.err) == (1, False, False)

    def test_a_folder_that_this_user_may_not_write(self, keytool: Keytool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)  # root, whom tests often run as, may write everywhere
        said = keytool.refused(f"-importcert -noprompt -alias a -file {CA} -keystore s.p12 -storepass changeit")
        assert said.startswith("keytool error: s.p12 cannot be written by this user\nhint: ")

    def test_a_writer_that_cannot_finish_leaves_the_old_store(self, tmp_path: Path) -> None:
        """The file-size limit stands for a full disk."""
        shutil.copyfile(FOLDER / "bcfks-ec.bcfks", tmp_path / "s")
        before = (tmp_path / "s").read_bytes()
        code = (
            "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200));"
            "from openmid.keystore.keytool.__main__ import main; sys.exit(main())"
        )
        line = f"-importcert -noprompt -alias more -file {CA} -keystore s -storepass changeit"
        done = subprocess.run(
            [sys.executable, "-c", code, *line.split()], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "keytool error: s cannot be written: File too large\n")
        assert (tmp_path / "s").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["s"]

    def test_a_writer_that_is_killed_leaves_the_old_store(self, tmp_path: Path) -> None:
        """At the moment before the rename."""
        shutil.copyfile(FOLDER / "bcfks-ec.bcfks", tmp_path / "s")
        before = (tmp_path / "s").read_bytes()
        code = (
            "import os, signal, sys; os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
            "from openmid.keystore.keytool.__main__ import main; sys.exit(main())"
        )
        line = "-changealias -alias p256 -destalias new -keystore s -storepass changeit"
        done = subprocess.run([sys.executable, "-c", code, *line.split()], cwd=tmp_path, check=False)
        assert done.returncode == -signal.SIGKILL
        assert (tmp_path / "s").read_bytes() == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(closed: str, tmp_path: Path) -> None:
    line = f"-importcert -noprompt -alias a -file {CA} -keystore s.p12 -storepass changeit"
    command = f"{' '.join(KEYTOOL)} {line} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr
    assert keystore.load(tmp_path / "s.p12", "changeit").aliases() == ["a"]


def test_a_reader_of_errors_that_goes_away(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    line = f"-importcert -noprompt -alias a -file {CA} -keystore s.p12 -storepass changeit"
    done = subprocess.run([*KEYTOOL, *line.split()], cwd=tmp_path, stdout=subprocess.PIPE, stderr=write, check=False)
    os.close(write)
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_conversion_loads_little(tmp_path: Path) -> None:
    source = FOLDER / "p12-keytool-default.p12"
    code = (
        "import sys; from openmid.keystore.keytool.__main__ import main; status = main(sys.argv[1:]);"
        "heavy = ('click', 'rich', 'ssl', 'subprocess', 'argparse', 'asyncio', 'dataclasses', 'runpy',"
        " 'cryptography.x509', 'cryptography.hazmat.primitives.serialization');"
        "print([name for name in heavy if name in sys.modules], status)"
    )
    line = f"-importkeystore -srckeystore {source} -srcstorepass changeit -destkeystore d -deststorepass changeit"
    words = [sys.executable, "-c", code, *line.split(), "-deststoretype", "BCFKS"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[] 0"


@pytest.fixture
def store(keytool: Keytool) -> str:
    """-keystore and its password, with the entry `client`."""
    keytool.fine("-genkeypair -alias client -keyalg EC -dname CN=client -keystore s.p12 -storepass secret")
    return "-keystore s.p12 -storepass secret -alias client"


def test_what_is_no_file_is_written_to_and_never_replaced(store: str, keytool: Keytool) -> None:
    """Root's -file /dev/null put a file in the device's place."""
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    keytool.fine(f"-exportcert -rfc {store} -file pipe")
    assert os.read(reader, 10_000).startswith(b"-----BEGIN CERTIFICATE-----")
    os.close(reader)
    assert Path("pipe").is_fifo()
    assert "cannot be written" in keytool.refused(f"-exportcert {store} -file .")


@pytest.mark.parametrize(("command", "stream"), [("-list", "stdout"), ("-list -alias no", "stdout"), ("-v", "stderr")])
def test_a_standard_stream_on_a_full_disk(store: str, tmp_path: Path, command: str, stream: str) -> None:
    assert store
    into = "-importkeystore -srckeystore s.p12 -srcstorepass secret -destkeystore d.p12 -deststorepass secret"
    line = f"{into if command == '-v' else f'{command} -keystore s.p12 -storepass secret'}"
    with Path("/dev/full").open("w") as full:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        done = subprocess.run([*KEYTOOL, *line.split()], text=True, cwd=tmp_path, **pipes)  # type: ignore[call-overload]
    said = (done.stdout or "") + (done.stderr or "")
    assert done.returncode == 1
    assert "cannot be written: No space left on device" in said
    assert "Traceback" not in said


def test_a_password_that_is_not_utf8_on_standard_input(store: str, tmp_path: Path) -> None:
    """Under an UTF-8 locale Python reads standard input strictly; PYTHONIOENCODING says the same on every machine."""
    assert store
    done = subprocess.run(
        [*KEYTOOL, "-list", "-keystore", "s.p12"],
        input=b"secr\xe9t\n",
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (1, False), done.stderr
    assert b"the password does not open s.p12" in done.stdout

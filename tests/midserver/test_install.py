"""`openmid mid install`, read as a shell session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmid.midserver.config import Config
from openmid.midserver.install import Wish, install
from tests.midserver.conftest import Authority

Session = subprocess.CompletedProcess[str]


class Shell:
    """A folder with a CA and a token in it."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        (folder / "ca.pem").write_text(authority.pem)
        (folder / "token").write_text("token-1\n")

    def install(self, **changes: str) -> Session:
        options = {"url": "https://instance.example", "name": "mid-1", "ca": "ca.pem", "token": "token", **changes}
        folder = options.pop("folder", "mid")
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return self.run(sys.executable, "-m", "openmid", "mid", "install", folder, *words)

    def run(self, *words: str, cwd: str = ".") -> Session:
        return subprocess.run(words, cwd=self.folder / cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def shell(tmp_path: Path, authority: Authority) -> Shell:
    return Shell(tmp_path, authority)


def assert_refused(done: Session, *says: str) -> None:
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("openmid: ")
    assert all(word in done.stderr for word in says), done.stderr
    assert "Traceback" not in done.stderr


def test_the_folder_is_laid_out(shell: Shell) -> None:
    done = shell.install(name="mid")
    assert done.returncode == 0, done.stderr
    agent = shell.folder / "mid" / "agent"
    assert str(agent / "config.xml") in done.stdout
    config = Config.read(agent)
    assert (config.parameter("url"), config.parameter("name")) == ("https://instance.example", "mid")
    assert (agent / "jre/bin/keytool").readlink() == Path("../../bin/keytool")
    for name in ("bin/mid.sh", "bin/keytool", "bin/scripts/set-fips-enforced-mode.sh"):
        assert os.access(agent / name, os.X_OK)
    assert (agent / "bin/scripts/set-fips-enforced-mode.bat").exists()
    assert (agent / "security/enrolment.token").stat().st_mode & 0o777 == 0o600
    assert (agent / "security").stat().st_mode & 0o777 == 0o700
    assert "no jar" in (agent / "lib/README.txt").read_text()


def test_a_careless_umask_opens_no_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        agent, _ = install(tmp_path / "mid", Wish("https://instance.example", "mid", "", "token"))
    finally:
        os.umask(before)
    for path in (agent.parent, agent, *agent.rglob("*")):
        assert path.is_symlink() or not path.stat().st_mode & 0o022, path


def test_keytool_runs_from_the_folder_that_the_article_names(shell: Shell) -> None:
    shell.install()
    keystore = Path(__file__).parents[1] / "vectors/keystores/bcfks-ec.bcfks"
    done = shell.run("./keytool", "-list", "-keystore", str(keystore), "-storepass", "wrong", cwd="mid/agent/jre/bin")
    assert done.returncode == 1
    assert "keytool error" in done.stdout


def test_a_second_time_it_says_what_is_there(shell: Shell) -> None:
    shell.install()
    config = shell.folder / "mid/agent/config.xml"
    config.write_text(config.read_text().replace('value="25"', 'value="7"'))
    (shell.folder / "token").write_text("token-2\n")
    done = shell.install()
    assert done.returncode == 0
    assert done.stdout.startswith("already there: the MID Server mid-1")
    assert Config.read(config.parent).parameter("threads.max") == "7"
    assert (shell.folder / "mid/agent/security/enrolment.token").read_text() == "token-2"


def test_an_enrolled_mid_server_gets_no_new_token(shell: Shell) -> None:
    shell.install()
    security = shell.folder / "mid/agent/security"
    (security / "credential").write_text("sealed")
    (security / "enrolment.token").unlink()
    assert shell.install().returncode == 0
    assert not (security / "enrolment.token").exists()


@pytest.mark.parametrize("other", [{"name": "mid-2"}, {"url": "https://other.example"}])
def test_another_mid_server_is_not_overwritten(shell: Shell, other: dict[str, str]) -> None:
    shell.install()
    before = (shell.folder / "mid/agent/config.xml").read_bytes()
    assert_refused(shell.install(**other), "holds the MID Server mid-1 of https://instance.example already")
    assert (shell.folder / "mid/agent/config.xml").read_bytes() == before


def test_a_folder_of_something_else_is_not_touched(shell: Shell) -> None:
    (shell.folder / "mid/agent").mkdir(parents=True)
    (shell.folder / "mid/agent/letter.txt").write_text("mine")
    assert_refused(shell.install(), "is not a MID Server's folder")
    assert [path.name for path in (shell.folder / "mid/agent").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"url": "http://instance.example"}, "https://"),
        ({"url": "instance"}, "not the URL"),
        ({"url": "https://user:pw@instance.example"}, "holds a user name"),
        ({"name": "two words"}, "not a name"),
        ({"name": ""}, "not a name"),
        ({"ca": "token"}, "no PEM certificate"),
        ({"ca": "missing.pem"}, "missing.pem cannot be read"),
        ({"token": "missing"}, "missing cannot be read"),
        ({"token": "ca.pem"}, "no enrolment token"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(shell: Shell, changes: dict[str, str], says: str) -> None:
    assert_refused(shell.install(**changes), says)
    assert not (shell.folder / "mid").exists()


def test_a_missing_option_is_usage(shell: Shell) -> None:
    assert shell.run(sys.executable, "-m", "openmid", "mid", "install", "mid").returncode == 2


def test_a_folder_that_holds_none_has_its_sentence(shell: Shell) -> None:
    done = shell.run(sys.executable, "-m", "openmid", "mid", "start", "--dir", ".")
    assert_refused(done, "there is no MID Server in", "openmid mid install")

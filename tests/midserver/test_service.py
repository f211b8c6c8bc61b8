"""The MID Server as a service: the unit as systemd reads it, the notification as systemd gets it, Windows' task."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from openmid.midserver import install as install_room
from openmid.midserver import secret_key, service_manager
from openmid.midserver.errors import StartError
from openmid.midserver.os_service import Service
from openmid.system import Posix
from openmid.systemd import quoted
from tests import parts
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures
from tests.test_system import windows


class System:
    """systemctl and schtasks, as far as anybody could see them being called."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.words: list[list[str]] = []
        self.xml = ""

    def __call__(self, words: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        self.words.append(list(words))
        if "/XML" in words:
            self.xml = Path(words[-1]).read_text("utf-16")
        failed = self.fails in words
        return subprocess.CompletedProcess(words, int(failed), "", "first\nFailed to do it\n" if failed else "")


def agent(tmp_path: Path, name: str = "mid dir %n $HOME") -> Path:
    wish = install_room.Wish("https://instance.example", "mid-1", "", "token")
    return install_room.install(tmp_path / name, wish)[0]


def service(tmp_path: Path, system: System | None = None, folder: str = "mid") -> Service:
    (tmp_path / "units").mkdir(exist_ok=True)
    return Service(agent(tmp_path, folder), "mid-1", Posix(), system or System(), tmp_path / "units")


@pytest.mark.parametrize("folder", ["mid", "mid dir %n $HOME"])
def test_systemd_understands_the_unit(tmp_path: Path, folder: str) -> None:
    analyze = parts.program("systemd-analyze", "systemd")
    path = tmp_path / "openmid-mid-1.service"
    path.write_text(service(tmp_path, folder=folder).text())
    done = subprocess.run([analyze, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    ours = [row for row in done.stderr.splitlines() if "openmid-mid-1.service" in row]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_the_service_has_little_to_do_harm_with(tmp_path: Path) -> None:
    analyze = parts.program("systemd-analyze", "systemd")
    path = tmp_path / "openmid-mid-1.service"
    path.write_text(service(tmp_path).text())
    words = [analyze, "security", "--offline=true", "--no-pager", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze does not judge units that are not loaded")
    assert "OK" in done.stdout.splitlines()[-1], done.stdout


def test_words_of_a_unit_are_quoted() -> None:
    assert quoted(r'a "b" 100% $HOME \n') == r'"a \"b\" 100%% $$HOME \\n"'


def test_a_path_that_no_unit_can_hold(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot stand in a service's file"):
        service(tmp_path, folder="two\nlines").text()


def test_it_is_installed_and_removed_by_systemds_own_means(tmp_path: Path) -> None:
    system = System()
    made = service(tmp_path, system)
    made.install()
    unit = tmp_path / "units/openmid-mid-mid-1.service"
    assert unit.read_text() == made.text()
    assert (unit.stat().st_mode & 0o777, (made.agent / secret_key.FILE).stat().st_mode & 0o777) == (0o644, 0o600)
    assert f"LoadCredential=secret.key:{made.agent / secret_key.FILE}" in made.text()
    made.uninstall()
    assert not unit.exists()
    assert system.words == [
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "--now", "openmid-mid-mid-1"],
        ["systemctl", "disable", "--now", "openmid-mid-mid-1"],
        ["systemctl", "daemon-reload"],
    ]
    with pytest.raises(StartError, match="there is no"):
        made.uninstall()


def test_what_systemd_refuses_is_told_in_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="systemctl enable failed: Failed to do it"):
        service(tmp_path, System("enable")).install()


def test_a_system_without_systemd_has_its_sentence(tmp_path: Path) -> None:
    def missing(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError(2, "No such file or directory")

    made = service(tmp_path)
    with pytest.raises(StartError, match="systemctl cannot be started"):
        Service(made.agent, "mid-1", Posix(), missing, made.units).install()


def test_a_secret_key_that_is_lost_is_not_made_anew(tmp_path: Path) -> None:
    made = service(tmp_path)
    (made.agent / "security/agent_keystore").write_bytes(b"locked")
    with pytest.raises(StartError, match=r"secret\.key is missing"):
        made.install()


def test_a_scheduled_task_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERDOMAIN", "R&D")
    monkeypatch.setenv("USERNAME", "mid")
    system = System()
    made = Service(agent(tmp_path), "mid-1", windows(), system)
    made.install()
    made.uninstall()
    assert [words[:2] for words in system.words] == [
        ["schtasks", "/Create"],
        ["schtasks", "/Run"],
        ["schtasks", "/Delete"],
    ]
    task = ElementTree.fromstring(system.xml.encode("utf-16"))
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    assert task.findtext(f".//{space}UserId") == "R&D\\mid"
    assert task.findtext(f".//{space}Command") == sys.executable
    assert task.findtext(f".//{space}Arguments") == f'-P -m openmid mid run --dir "{made.agent}"'


@pytest.mark.parametrize("abstract", [False, True])
def test_the_notification_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    address = f"\0openmid-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        monkeypatch.setenv(service_manager.SOCKET, address.replace("\0", "@"))
        service_manager.notify("READY=1", "STATUS=up")
        assert listening.recv(100) == b"READY=1\nSTATUS=up"


@pytest.mark.parametrize("address", ["", "vsock:1:2", "/nowhere/notify"])
def test_nobody_listens_and_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(service_manager.SOCKET, address)
    service_manager.notify("READY=1")


@pytest.mark.e2e
async def test_a_service_tells_when_it_is_up_and_takes_its_secret_from_the_credential(
    tmp_path: Path,
    installed: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
) -> None:
    """What the unit does, without systemd: ExecStart's words, NOTIFY_SOCKET, CREDENTIALS_DIRECTORY, SIGTERM."""
    (tmp_path / "credentials").mkdir()
    (installed.agent / secret_key.FILE).rename(tmp_path / "credentials/secret.key")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        environment = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"),
        }
        words = [sys.executable, "-P", "-m", "openmid", "mid", "run", "--dir", str(installed.agent)]
        process = await asyncio.create_subprocess_exec(
            *words, env=os.environ | environment, stderr=asyncio.subprocess.DEVNULL
        )
        said = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(listening, 1000), 60)
    process.terminate()
    assert await process.wait() == 0
    assert said == b"READY=1\nSTATUS=up"
    assert instance.public_key
    assert not (installed.agent / secret_key.FILE).exists()

"""The instance as a service: what systemd is told, and what is told of systemd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from openmid.instance.errors import FolderError, NotDoneError
from openmid.instance.folder import Folder, Listen
from openmid.instance.operations.service import BIND, Service
from tests import parts
from tests.instance.test_commands import openmid
from tests.midserver.test_service import System


def service(tmp_path: Path, name: str = "instance", port: int = 8443, system: System | None = None) -> Service:
    folder = Folder(tmp_path / name)
    folder.path.mkdir()
    folder.write_listen(Listen(port=port, public_names=("openmid.example",)))
    (tmp_path / "units").mkdir()
    return Service(folder, True, system or System(), tmp_path / "units")


@pytest.mark.parametrize(("name", "port"), [("instance", 8443), ("my dir %n $HOME", 443)])
def test_systemd_understands_the_unit(tmp_path: Path, name: str, port: int) -> None:
    analyze = parts.program("systemd-analyze", "systemd")
    made = service(tmp_path, name, port)
    path = tmp_path / "openmid-instance-x.service"
    path.write_text(made.text())
    done = subprocess.run([analyze, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    ours = [row for row in done.stderr.splitlines() if path.name in row]
    assert (done.returncode, ours) == (0, []), done.stderr
    assert (f"AmbientCapabilities={BIND}" in made.text()) == (port == 443)
    assert "Environment=OPENMID_FIPS=enforced" in made.text()


def test_it_is_installed_and_removed(tmp_path: Path) -> None:
    system = System()
    made = service(tmp_path, system=system)
    assert "journalctl -u openmid-instance-instance" in made.install()[1]
    assert made.unit.path.read_text() == made.text()
    made.uninstall()
    assert not made.unit.path.exists()
    assert [words[1] for words in system.words] == ["daemon-reload", "enable", "disable", "daemon-reload"]
    with pytest.raises(NotDoneError, match="there is no"):
        made.uninstall()


def test_what_systemd_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotDoneError, match="systemctl enable failed: Failed to do it"):
        service(tmp_path, system=System("enable")).install()


def test_the_folders_owner_writes_no_lines_of_the_unit(tmp_path: Path) -> None:
    made = service(tmp_path)
    made.folder.write_listen(Listen(public_names=("x\n[Service]\nExecStartPre=+/bin/id #",)))
    with pytest.raises(NotDoneError, match="cannot stand in a service's file"):
        made.text()


def test_no_instance_no_unit(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="is not an instance's folder"):
        Service(Folder(tmp_path)).text()
    assert "is not an instance's folder" in openmid("service", "print", "--dir", str(tmp_path), expect=1).stderr

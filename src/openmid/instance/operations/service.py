"""The instance as a service of systemd."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openmid import system
from openmid.instance.errors import NotDoneError
from openmid.instance.folder import Folder
from openmid.systemd import HARDENING, UNITS, Run, SystemdError, Unit, quoted

BIND = "CAP_NET_BIND_SERVICE"
UNIT = """\
# Written by `openmid instance service`. What stands here and why: docs/instance.md, "As a service".
[Unit]
Description=openmid instance {url}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
User={user}
ExecStart={python} -P -m openmid instance run {folder}
Environment=OPENMID_FIPS={fips}
Restart=on-failure
RestartSec=5
TimeoutStopSec=60
UMask=0077
LimitNOFILE=65536
AmbientCapabilities={capabilities}

"""


@dataclass(frozen=True)
class Service:
    """The service of one instance's folder. `enforced`: it runs in FIPS Enforced Mode."""

    folder: Folder
    enforced: bool = False
    run: Run = subprocess.run
    units: Path = UNITS

    @property
    def unit(self) -> Unit:
        """What systemd has of it; named after the folder."""
        name = "".join(each if each.isalnum() else "-" for each in self.folder.path.name)
        return Unit(f"openmid-instance-{name}", self.run, self.units)

    def text(self) -> str:
        """The unit.

        Raises:
            FolderError: no instance's folder. NotDoneError: a path that no unit can hold.
        """
        path, listen = str(self.folder.path), self.folder.listen()
        if not path.isprintable():
            raise NotDoneError(f"{path!r} cannot stand in a service's file", "move the instance to another folder")
        if (
            not listen.url.isprintable()
        ):  # its owner, who need not be root, wrote instance.json: one more line is a command
            raise NotDoneError(f"{listen.url!r} cannot stand in a service's file", f"see {self.folder.settings}")
        capabilities = BIND if listen.port < 1024 else ""
        head = UNIT.format(
            url=listen.url.replace("%", "%%"),
            user=system.HERE.owner(self.folder.settings),
            python=quoted(sys.executable),
            folder=quoted(path),
            fips="enforced" if self.enforced else "",
            capabilities=capabilities,
        )
        return head + HARDENING.format(capabilities=capabilities, folder=quoted(path))

    def install(self) -> list[str]:
        """Install and start it. Returns what was done, in sentences.

        Raises:
            FolderError, NotDoneError: it may not be written, or systemd refuses it.
        """
        with _as_not_done():
            self.unit.install(self.text())
        return [f"unit           {self.unit.path}", f"log            journalctl -u {self.unit.called}"]

    def uninstall(self) -> list[str]:
        """Stop it and take it away; the folder stays as it is.

        Raises:
            NotDoneError: it is not there, or systemd refuses.
        """
        with _as_not_done():
            self.unit.uninstall("openmid instance service install")
        return [f"removed        {self.unit.path}"]


@contextmanager
def _as_not_done() -> Iterator[None]:
    try:
        yield
    except SystemdError as error:
        raise NotDoneError(str(error), error.hint) from error

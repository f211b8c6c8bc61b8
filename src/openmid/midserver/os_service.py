"""The MID Server as a service of its host, by the host's own means: a systemd unit, or a scheduled task on Windows."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from openmid import system
from openmid.midserver import secret_key
from openmid.midserver.config import Config
from openmid.midserver.errors import StartError
from openmid.midserver.process import running_pid
from openmid.systemd import HARDENING, UNITS, Run, SystemdError, Unit, quoted

UNIT = """\
# Written by `openmid mid service`. What stands here and why: docs/mid-server.md, "As a service".
[Unit]
Description=openmid MID Server {name}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
User={user}
ExecStart={python} -P -m openmid mid run --dir {agent}
Restart=on-failure
RestartSec=5
TimeoutStartSec=120
TimeoutStopSec=90
UMask=0077
# The secret may lie elsewhere, for root only, or sealed to this machine's TPM (LoadCredentialEncrypted=).
LoadCredential=secret.key:{secret}

"""

TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>openmid MID Server {name}</Description></RegistrationInfo>
  <Triggers><BootTrigger><Enabled>true</Enabled></BootTrigger></Triggers>
  <Principals><Principal id="Owner">
    <UserId>{user}</UserId><LogonType>S4U</LogonType><RunLevel>LeastPrivilege</RunLevel>
  </Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <RestartOnFailure><Interval>PT1M</Interval><Count>255</Count></RestartOnFailure>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
  </Settings>
  <Actions Context="Owner"><Exec>
    <Command>{python}</Command><Arguments>-P -m openmid mid run --dir "{agent}"</Arguments>
  </Exec></Actions>
</Task>
"""


@dataclass(frozen=True)
class Service:
    """The service of one agent folder. `run` starts the system's own programs, `units` is where systemd looks."""

    agent: Path
    name: str
    here: system.System = system.HERE
    run: Run = subprocess.run
    units: Path = UNITS

    @classmethod
    def of(cls, agent: Path) -> Service:
        """The service of the MID Server in `agent`. Raises ConfigError: its config.xml has no name."""
        return cls(agent, Config.read(agent).required("name"))

    @property
    def called(self) -> str:
        """What the system calls it."""
        return f"openmid-mid-{self.name}"

    def text(self) -> str:
        """The unit, or the task as XML.

        Raises:
            StartError: a path that no unit can hold.
        """
        agent, user = str(self.agent), self.here.owner(self.agent / "config.xml")
        if not agent.isprintable():
            raise StartError(f"{agent!r} cannot stand in a service's file", "move the MID Server to another folder")
        if self.here.windows:
            words = {"name": self.name, "user": user, "python": sys.executable, "agent": agent}
            return TASK.format(**{key: escape(value) for key, value in words.items()})
        secret = str(self.agent / secret_key.FILE).replace("%", "%%")
        words = {"name": self.name, "user": user, "python": quoted(sys.executable), "agent": quoted(agent)}
        return UNIT.format(**words, secret=secret) + HARDENING.format(capabilities="", folder=quoted(agent))

    def install(self) -> list[str]:
        """Install and start it. Returns what was done, in sentences.

        Raises:
            StartError: it runs already, may not be written, or the system refuses it.
        """
        pid = running_pid(self.agent)
        if pid is not None:
            raise StartError(f"the MID Server in {self.agent} runs already (pid {pid})", "stop it first: mid.sh stop")
        return self._install_task() if self.here.windows else self._install_unit()

    def _install_unit(self) -> list[str]:
        self._expect_secret()
        with _as_start_error():
            self._unit.install(self.text())
        return [
            f"unit           {self._unit.path}",
            f"log            journalctl -u {self.called}; {self.agent / 'logs/agent0.log'}",
        ]

    @property
    def _unit(self) -> Unit:
        return Unit(self.called, self.run, self.units)

    def _expect_secret(self) -> None:
        """systemd starts no service whose credential is not there: it is made before the first start."""
        if not (self.agent / secret_key.FILE).exists():
            if (self.agent / "security/agent_keystore").exists():
                raise StartError(
                    f"{self.agent / secret_key.FILE} is missing", "put it there, or write the unit yourself"
                )
            secret_key.make(self.agent)
            self.here.keep_owner(self.agent / secret_key.FILE, self.agent / "config.xml")

    def _install_task(self) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "task.xml")
            path.write_text(self.text(), "utf-16")
            self._system("schtasks", "/Create", "/F", "/TN", self.called, "/XML", str(path))
        self._system("schtasks", "/Run", "/TN", self.called)
        return [f"task           {self.called}", f"log            {self.agent / 'logs/agent0.log'}"]

    def uninstall(self) -> list[str]:
        """Stop it and take it away; nothing in the agent folder is touched.

        Raises:
            StartError: it is not there, or the system refuses.
        """
        if self.here.windows:
            self._system("schtasks", "/Delete", "/F", "/TN", self.called)
            return [f"removed        {self.called}; the process, if it runs, is stopped by mid.bat stop"]
        with _as_start_error():
            self._unit.uninstall("openmid mid service install")
        return [f"removed        {self._unit.path}"]

    def _system(self, *words: str) -> None:
        with _as_start_error():
            self._unit.system(*words)


@contextlib.contextmanager
def _as_start_error() -> Iterator[None]:
    try:
        yield
    except SystemdError as error:
        raise StartError(str(error), error.hint) from error

"""A service of systemd: its unit written, enabled, started; and taken away again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openmid.system import write_atomic

UNITS = Path("/etc/systemd/system")
Run = Callable[..., "subprocess.CompletedProcess[str]"]

HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet={capabilities}
ProtectSystem=strict
ReadWritePaths={folder}
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
"""The end of a unit: it writes in its folder and nowhere else (systemd.exec(5))."""


class SystemdError(Exception):
    """Raised when the unit cannot be written, or systemd refuses it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Unit:
    """The unit `called`, in the folder `units`. `run` starts the system's own programs."""

    called: str
    run: Run = subprocess.run
    units: Path = UNITS

    @property
    def path(self) -> Path:
        """Its file."""
        return self.units / f"{self.called}.service"

    def install(self, text: str) -> None:
        """Write it, enable it at boot, start it.

        Raises:
            SystemdError.
        """
        try:
            write_atomic(self.path, text.encode(), 0o644)
        except OSError as error:
            raise SystemdError(f"{self.path} cannot be written: {error.strerror}", "run this as root") from error
        self.system("systemctl", "daemon-reload")
        self.system("systemctl", "enable", "--now", self.called)

    def uninstall(self, made_by: str) -> None:
        """Stop it and take it away. `made_by`: the command that installs it.

        Raises:
            SystemdError.
        """
        if not self.path.exists():
            raise SystemdError(f"there is no {self.path}", f"{made_by} makes it")
        self.system("systemctl", "disable", "--now", self.called)
        try:
            self.path.unlink()
        except OSError as error:
            raise SystemdError(f"{self.path} cannot be removed: {error.strerror}", "run this as root") from error
        self.system("systemctl", "daemon-reload")

    def system(self, *words: str) -> None:
        """One of the system's own programs.

        Raises:
            SystemdError: it is not there, or it refuses; in its last words.
        """
        try:
            done = self.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise SystemdError(
                f"{words[0]} cannot be started: {error.strerror}", "is this system run by it?"
            ) from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise SystemdError(
                f"{' '.join(words[:2])} failed: {said[0]}", f"what would be installed: service print ({self.called})"
            )


def quoted(word: str) -> str:
    """One word of a unit's command line or list of paths (systemd.syntax(7), systemd.service(5))."""
    for mark, instead in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(mark, instead)
    return f'"{word}"'

"""The one process that serves an agent folder: its lock, its pid, its status file."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from openmid import system
from openmid.midserver.config import write_atomic
from openmid.midserver.errors import AlreadyRunning, StartError, remedy

LOCK, PID, STATUS = "work/mid.lock", "work/mid.pid", "work/status.json"
STOP = "work/stop"
"""Asks the process to finish, where there are no signals."""
PUBLIC_KEY = "security/public_key.pem"


class Lock:
    """Held by the process as long as it lives: the kernel lets go of it, however the process ends."""

    def __init__(self, agent: Path, holder: str = "") -> None:
        """Take the lock and write the pid, and what has the lock where that is not the MID Server itself.

        Raises:
            AlreadyRunning: another process has it; names its pid.
            StartError: the pid cannot be written.
        """
        (agent / "work").mkdir(mode=0o700, exist_ok=True)
        self._descriptor = os.open(agent / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._descriptor)
        except OSError as error:
            os.close(self._descriptor)
            raise AlreadyRunning(*_in_the_way(agent)) from error
        self._agent = agent
        try:
            _write_pid(agent / PID, holder)
        except OSError as error:
            os.close(self._descriptor)
            raise StartError(f"{agent / PID} cannot be written: {error.strerror}", remedy(error)) from error

    def release(self) -> None:
        """Let go, and remove what only a running MID Server has."""
        for name in (PID, STATUS):
            (self._agent / name).unlink(missing_ok=True)
        os.close(self._descriptor)


def _in_the_way(agent: Path) -> tuple[str, str]:
    """Who has the lock, and what to do."""
    if held := holder(agent):
        return f"{held} is under way in {agent} (pid {_pid(agent)})", "wait until it has ended"
    return f"the MID Server in {agent} is running already (pid {_pid(agent)})", "agent/bin/mid.sh stop stops it"


def _write_pid(path: Path, holder: str) -> None:
    """On a full disk in the place of an earlier one: it is the start that makes room, by delivering what waits."""
    content = f"{os.getpid()} {holder}".strip().encode() + b"\n"
    try:
        write_atomic(path, content, 0o644)
    except OSError:
        if not path.exists():
            raise
        path.write_bytes(content)


def _lock(descriptor: int) -> None:
    """The lock, or OSError. `running_pid` holds it for a moment when it looks: hence the second and third try."""
    for _ in range(2):
        with contextlib.suppress(OSError):
            return system.HERE.lock(descriptor)
        time.sleep(0.05)
    return system.HERE.lock(descriptor)


def running_pid(agent: Path) -> int | None:
    """The pid of the process that serves this agent folder, or None. A left-over pid file deceives nobody."""
    try:
        descriptor = os.open(agent / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        system.HERE.lock(descriptor)
    except OSError:
        return _pid(agent)
    finally:
        os.close(descriptor)
    return None


def _pid(agent: Path) -> int:
    """What the pid file says; 0 in the moment before it is written."""
    try:
        return int((agent / PID).read_text().partition(" ")[0])
    except (OSError, ValueError):
        return 0


def holder(agent: Path) -> str:
    """What has the lock, as long as somebody has it: a switch of FIPS Enforced Mode; empty for the MID Server itself."""
    try:
        return (agent / PID).read_text().partition(" ")[2].strip()
    except (OSError, ValueError):
        return ""


def write_status(agent: Path, status: dict[str, Any]) -> None:
    """What `mid.sh status` shows besides the pid. Holds no secret."""
    write_atomic(agent / STATUS, json.dumps(status, indent=2).encode(), 0o644, lasting=False)


def read_status(agent: Path) -> dict[str, Any]:
    """The last status written by the running process; empty when there is none."""
    try:
        status = json.loads((agent / STATUS).read_text())
    except (OSError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}


def fingerprint(agent: Path) -> str:
    """The fingerprint of the MID Server's own key, as the instance shows it; empty before the first start.

    By the published public key alone: it opens nothing and needs no `cryptography`.
    """
    try:
        rows = (agent / PUBLIC_KEY).read_text().split("\n")
    except OSError:
        return ""
    spki = base64.b64decode("".join(row for row in rows if not row.startswith("-")))
    return hashlib.sha256(spki).digest().hex(":").upper()

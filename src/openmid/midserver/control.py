"""start, stop, status: what mid.sh does with the one process of an agent folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from openmid import system
from openmid.midserver.errors import AlreadyRunning, StartError
from openmid.midserver.process import STOP, fingerprint, holder, read_status, running_pid
from openmid.midserver.start import BACKGROUND, READY

CONSOLE = "logs/console.log"
START_SECONDS, STOP_SECONDS = 60.0, 60.0


def start(agent: Path) -> str:
    """Start the MID Server in the background, unless it runs. Returns its own words once it is up.

    Raises:
        StartError: it did not come up; in its own words.
    """
    pid = running_pid(agent)
    if pid is not None and not holder(agent):
        return f"is running already (pid {pid})"
    (agent / CONSOLE).parent.mkdir(mode=0o750, exist_ok=True)
    with (agent / CONSOLE).open("wb") as console:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "openmid", "mid", "run", "--dir", str(agent)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=console,
            cwd=agent.anchor,
            env={**os.environ, READY: "1", BACKGROUND: "1"},
            **system.HERE.spawn_options(),
        )
        return _outcome(agent, process, _said(process))


def _said(process: subprocess.Popen[bytes]) -> bytes:
    """What the process says before it closes its stdout, or b"" when that takes too long."""
    said: list[bytes] = []
    assert process.stdout
    reader = threading.Thread(target=lambda stdout: said.append(stdout.read()), args=[process.stdout], daemon=True)
    reader.start()
    reader.join(START_SECONDS)
    return b"".join(said)


def _outcome(agent: Path, process: subprocess.Popen[bytes], said: bytes) -> str:
    try:
        outcome: dict[str, str] = json.loads(said)
    except ValueError:
        end = (agent / CONSOLE).read_text(errors="replace").strip().splitlines()[-1:]
        reason = end[0] if end else f"nothing was said within {START_SECONDS:.0f} s"
        raise StartError(f"the MID Server did not start: {reason}", f"see {agent / CONSOLE}") from None
    if "error" in outcome:
        process.wait()
        pid = _serving(agent)
        if outcome["kind"] == AlreadyRunning.__name__ and pid is not None:  # another start was faster
            return f"is running already (pid {pid})"
        raise StartError(outcome["error"], outcome["hint"])
    return f"{outcome['up']} (pid {process.pid})"


def stop(agent: Path) -> int | None:
    """Stop the MID Server and wait until it has finished its work. Returns its pid; None when it was not running.

    Raises:
        StartError: it is still there after a minute, or belongs to somebody else.
    """
    pid = _serving(agent)
    if not pid:
        return None
    try:
        system.HERE.ask_to_stop(pid, agent / STOP)
    except PermissionError as error:
        raise StartError(
            f"the MID Server in {agent} (pid {pid}) belongs to another user", "stop it as that user"
        ) from error
    except ProcessLookupError:
        return pid
    deadline = time.monotonic() + STOP_SECONDS
    while running_pid(agent) == pid:
        if time.monotonic() > deadline:
            raise StartError(f"pid {pid} is still there after {STOP_SECONDS:.0f} s", f"see {agent / 'logs/agent0.log'}")
        time.sleep(0.05)
    return pid


def _serving(agent: Path) -> int | None:
    """The MID Server's own pid: what else has the folder is neither up nor to be stopped."""
    pid = running_pid(agent)
    return None if pid is not None and holder(agent) else pid


def _busy(agent: Path) -> dict[str, Any]:
    pid = running_pid(agent)
    return {"busy": f"{holder(agent)} is under way (pid {pid})"} if pid is not None and holder(agent) else {}


def status(agent: Path) -> dict[str, Any]:
    """What is known: `running`, `pid`, `fingerprint`, and what the running process writes. No secret."""
    pid = _serving(agent)
    said = read_status(agent) if pid is not None else _busy(agent)
    return {"running": pid is not None, "pid": pid, "agent": str(agent), "fingerprint": fingerprint(agent), **said}

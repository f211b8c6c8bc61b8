"""The programs that the walk starts, and their end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from openmid.demo.stage import DemoError

OPENMID = [sys.executable, "-m", "openmid"]


def run(command: list[str], *, cwd: Path | None = None, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """A command to its end.

    Raises:
        DemoError: it exits with another status than `expect`; holds what it printed.
    """
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{_name(command)} did not end within {error.timeout:.0f} s") from error
    if done.returncode != expect:
        printed = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
        raise DemoError(f"{_name(command)} ended with exit status {done.returncode}, not {expect}:\n{printed}")
    return done


def openmid(*words: str) -> str:
    """What `openmid …` prints on stdout."""
    return run([*OPENMID, *words]).stdout.strip()


def start(command: list[str], log: Path, ready: Callable[[], bool]) -> subprocess.Popen[bytes]:
    """A server, once `ready()`.

    Raises:
        DemoError: it ended, or was not ready in time; holds the end of its log.
    """
    import time

    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if ready():
            return process
        time.sleep(0.1)
    stop(process)
    raise DemoError(
        f"{_name(command)} did not come up:\n{log.read_text(errors='replace').strip()[-1500:]}", f"see {log}"
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL to whatever does not listen."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _name(command: list[str]) -> str:
    """The command without its values: a password may stand among them."""
    words = command[len(OPENMID) :] if command[: len(OPENMID)] == OPENMID else command
    name = "openmid" if words is not command else Path(words[0]).name
    return " ".join([name, *(word for word in words[words is command :][:2] if not word.startswith("-"))])

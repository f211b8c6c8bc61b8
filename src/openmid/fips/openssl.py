"""The `openssl` program: the one place that starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from openmid.fips.errors import FipsError

# What would change which modules and configuration the program (or a re-started process) loads.
STEERING = ("OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_MODULES", "OPENSSL_ENGINES")
NO_CONFIGURATION = Path(os.devnull)
TIMEOUT_SECONDS = 120


def environment(conf: Path) -> dict[str, str]:
    """This process's environment with `conf` as the only thing that steers OpenSSL."""
    return {name: value for name, value in os.environ.items() if name not in STEERING} | {"OPENSSL_CONF": str(conf)}


def run(*words: str, conf: Path | None, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `openssl WORDS` under `conf` (None: the environment as it is).

    The caller looks at the return code; both outputs are captured.

    Raises FipsError when there is no such program or it does not end.
    """
    program = shutil.which("openssl")
    if program is None:
        raise FipsError("the openssl program is not on the PATH", "install the package openssl")
    try:
        return subprocess.run(
            [program, *words],
            env=environment(conf) if conf else None,
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FipsError(f"openssl {words[0]} did not end within {TIMEOUT_SECONDS} seconds") from error


def complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    """The reason in the first error that a failed run wrote, with its detail; else its first line."""
    rows = [row.strip() for row in done.stderr.decode(errors="replace").splitlines() if row.strip()]
    for row in rows:
        _, found, rest = row.partition(":error:")
        if found:  # code:library:function:reason:file:line:data (OpenSSL, ERR_error_string(3))
            fields = rest.split(":", 6)
            detail = fields[6].rsplit(": ", 1)[-1] if len(fields) > 6 else ""
            return ": ".join(text for text in (*fields[3:4], detail) if text)
    return next((row for row in rows if " : Pass" not in row), f"exit status {done.returncode}")

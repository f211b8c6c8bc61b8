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

    The caller looks at the return code; both outputs are captured. Raises FipsError when there is no such program or it does not end.
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
    """The most telling line of what a failed run wrote."""
    rows = [row.strip() for row in done.stderr.decode(errors="replace").splitlines() if row.strip()]
    errors = [row.split(":error:", 1)[1] for row in rows if ":error:" in row]
    telling = errors[0] if errors else next((row for row in rows if " : Pass" not in row), "")
    return telling or f"exit status {done.returncode}"

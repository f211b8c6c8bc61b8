"""Entering FIPS Enforced Mode: the one module that knows the order in which a process meets its libcryptos.

`OPENSSL_CONF` is read once, when a libcrypto initialises, so a process has to be started with it. `enter` does that by
replacing the process with itself; then it initialises `ssl`'s libcrypto under the first configuration and that of the
`cryptography` wheel under the second, each with its own copy of fips.so. It runs before anything imports cryptography.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from openmid import system
from openmid.fips import libcryptos, openssl
from openmid.fips.errors import NotActivated
from openmid.fips.provider import Staged

# The wheel would load OpenSSL's legacy provider by itself.
NO_LEGACY = {"CRYPTOGRAPHY_OPENSSL_NO_LEGACY": "1"}
AGAIN = "switch FIPS Enforced Mode off and on again"

_entered: Path | None = None


def enter(staged_folder: Path) -> None:
    """Bring this process under the staged configuration; on return both libcryptos are initialised under theirs.

    May replace the process by itself (same arguments, same environment but for what steers OpenSSL), so call it first.
    Calling it again for the same folder changes nothing. Raises NotActivated, or StagingFailed for a folder that
    `stage` did not write.
    """
    global _entered
    expect_supported()
    staged = Staged(staged_folder.resolve())
    if _entered == staged.folder:
        return
    _expect_files(staged)
    if initial_environment().get("OPENSSL_CONF") != str(staged.ssl_conf):
        _start_again(staged)
    if "cryptography" in sys.modules:
        raise NotActivated(
            "cryptography was imported before FIPS Enforced Mode was entered: this is a defect of openmid"
        )
    _initialise_ssl()
    _initialise_cryptography(staged)
    _entered = staged.folder


def expect_supported() -> None:
    """Raises NotActivated on Windows: what is proved of a process is read from Linux' own tables of it."""
    if system.HERE.windows:
        raise NotActivated(
            "FIPS Enforced Mode is not available on Windows: it cannot be proved there", "run this MID Server on Linux"
        )


def environment(staged_folder: Path) -> dict[str, str]:
    """The environment in which a process has to be started to be enforced."""
    return openssl.environment(Staged(staged_folder.resolve()).ssl_conf) | NO_LEGACY


def initial_environment() -> dict[str, str]:
    """The environment with which this process was started, whatever `os.environ` became since (proc(5) environ)."""
    try:
        rows = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    return dict(os.fsdecode(row).split("=", 1) for row in rows if b"=" in row)


def _expect_files(staged: Staged) -> None:
    """With a missing configuration OpenSSL silently runs without FIPS: look before anything loads it."""
    staged.record()
    for conf in {staged.ssl_conf, staged.cryptography_conf}:
        for path in (conf, conf.with_name("fipsmodule.cnf"), conf.with_name("fips.so")):
            if not path.is_file():
                raise NotActivated(f"{path} is missing, so FIPS Enforced Mode cannot be entered", AGAIN)
    if libcryptos.cryptography_has_its_own() and staged.cryptography_conf == staged.ssl_conf:
        raise NotActivated(
            f"the cryptography package has a libcrypto of its own, and {staged.folder} has no copy of the provider for it",
            AGAIN,
        )


def _start_again(staged: Staged) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    words = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, words, environment(staged.folder))  # noqa: S606 - no shell is wanted


def _initialise_ssl() -> None:
    """The system's libcrypto and libssl read the first configuration now."""
    try:
        hashes = importlib.import_module("_hashlib")
        tls = importlib.import_module("ssl")
        hashes.new("sha256", b"")
        tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    except (ImportError, ValueError, OSError) as error:
        raise NotActivated(f"ssl's libcrypto does not start under the FIPS provider: {error}", AGAIN) from error


def _initialise_cryptography(staged: Staged) -> None:
    """The wheel's libcrypto reads the second configuration now; children then inherit the first again."""
    os.environ["OPENSSL_CONF"] = str(staged.cryptography_conf)
    try:
        hashes = importlib.import_module("cryptography.hazmat.primitives.hashes")
        hashes.Hash(hashes.SHA256()).finalize()
    except ImportError as error:
        raise NotActivated(
            f"the cryptography package does not start under the FIPS provider: {error}", AGAIN
        ) from error
    except Exception as error:  # its own errors have no common base
        raise NotActivated(
            f"cryptography's libcrypto does not start under the FIPS provider: {error}", AGAIN
        ) from error
    finally:
        os.environ["OPENSSL_CONF"] = str(staged.ssl_conf)

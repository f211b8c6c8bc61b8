"""How a MID Server begins. Nothing here may import `cryptography` before FIPS Enforced Mode is entered and proved."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path

import structlog

from openmid import __version__, system
from openmid.fips import activation
from openmid.fips.errors import FipsError
from openmid.fips.proof import Proof, prove
from openmid.midserver import config_check, fips_backup, logs, service_manager
from openmid.midserver.config import Config, agent_folder
from openmid.midserver.errors import MidError, StartError, as_sentences
from openmid.midserver.process import Lock

log = structlog.get_logger()

STAGED = "security/fips"
READY = "OPENMID_REPORT_READY"
"""Set in a process whose stdout leads to `mid.sh start`, which waits."""
BACKGROUND = "OPENMID_BACKGROUND"
"""Set in a process that has no console, also when it begins anew."""


def run(folder: Path, *, console: bool) -> None:
    """Be the MID Server in `folder` until SIGTERM or SIGINT.

    In FIPS Enforced Mode the process replaces itself once, to begin under the staged configuration.

    Raises:
        MidError: it cannot start; one sentence.
    """
    _repair(folder, console=console)
    config = Config.read(folder)
    if config.fips_enforced:
        _enter(config)
    logs.configure(config.agent, config.parameter("mid.log.level", "info"), console=console)
    lock = Lock(config.agent)
    try:
        with as_sentences():
            again = _serve(folder, config)
    except MidError as error:
        log.error(f"stopped: {error}", remedy=error.hint)  # noqa: TRY400  the sentence says it all
        raise
    finally:
        lock.release()
    if again:
        system.HERE.run_again()


def _serve(folder: Path, config: Config) -> bool:
    """Whether to begin anew at the end."""
    if Config.read(folder).fips_enforced != config.fips_enforced:
        raise StartError("FIPS Enforced Mode was switched while this MID Server started", "start it again")
    log.info(f"openmid {__version__} starts", name=config.parameter("name"), pid=os.getpid())
    config_check.look(config)
    proof = _prove(config) if config.fips_enforced else None
    from openmid.midserver.service import serve  # imports cryptography

    # Not uvloop: tests/midserver/test_exchange.py has the answers whose end it loses.
    return asyncio.run(serve(config, proof))


def _repair(folder: Path, *, console: bool) -> None:
    """Put back what an interrupted switch of FIPS Enforced Mode left, before anything is read."""
    agent = agent_folder(folder)
    if not fips_backup.under_way(agent):
        return
    lock = Lock(agent)
    try:
        sentences = fips_backup.recover(agent)
    finally:
        lock.release()
    logs.configure(agent, "info", console=console)
    for sentence in sentences:
        log.warning(sentence)


def _enter(config: Config) -> None:
    try:
        activation.enter(config.agent / STAGED)
    except FipsError as error:
        raise not_enforced(config, str(error), error.hint) from error


def _prove(config: Config) -> Proof:
    """The proof, in this very process; without it a MID Server that should be enforced does not run."""
    try:
        proof = prove(config.agent / STAGED)
    except FipsError as error:
        raise not_enforced(config, str(error), error.hint) from error
    if not proof.enforced:
        raise not_enforced(config, proof.reason)
    log.info(
        "Running in FIPS Enforced mode",
        provider=f"{proof.provider_name} {proof.provider_version}",
        proved_in=", ".join(f"{one.name} ({one.openssl_version})" for one in proof.libcryptos),
    )
    return proof


def not_enforced(config: Config, reason: str, hint: str = "") -> StartError:
    """Why a MID Server that should be enforced does not run."""
    script = config.agent / "bin/scripts/set-fips-enforced-mode.sh"
    return StartError(f"the MID Server does not start: {reason}", hint or f"{script} off, then on, stages it again")


def report_ready(sentence: str = "", *, error: MidError | None = None) -> None:
    """Tell `mid.sh start`, which waits at the other end of stdout, and systemd how it went."""
    if error is None:
        service_manager.notify("READY=1", f"STATUS={sentence}")
    if not os.environ.pop(READY, ""):
        return
    outcome = {"error": str(error), "hint": error.hint, "kind": type(error).__name__} if error else {"up": sentence}
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(outcome).encode())
    os.dup2(2, 1)  # the pipe ends here: whatever is printed from now on goes where stderr goes

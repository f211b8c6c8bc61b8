"""The instance in FIPS Enforced Mode: `OPENMID_FIPS=enforced openmid instance …`.

Its provider is staged in DIR/fips by the first command that is run so. Every command then begins under it, with the same
proof as a MID Server's; the running instance looks again and again, and stops when the mode is lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from openmid.fips import activation, provider
from openmid.fips.errors import FipsError
from openmid.fips.proof import Proof, look_again, prove
from openmid.instance.errors import InstanceError
from openmid.instance.folder import Folder

ENVIRONMENT, ENFORCED = "OPENMID_FIPS", "enforced"
LOOK_S = 5.0
log = logging.getLogger("openmid.instance")
_proved: Proof | None = None


class NotEnforced(InstanceError):
    """Raised when the instance should be in FIPS Enforced Mode, and is not."""


def wanted() -> bool:
    """Whether OPENMID_FIPS asks for it.

    Raises:
        NotEnforced: it says something else; a typing mistake must not switch it off.
    """
    value = os.environ.get(ENVIRONMENT, "")
    if value not in ("", ENFORCED):
        raise NotEnforced(f'{ENVIRONMENT} is "{value}"', f"it is {ENFORCED}, or not set")
    return value == ENFORCED


def enforce(folder: Folder) -> None:
    """Come under the provider and prove it, where that is wanted. May replace the process by itself: call it early.

    Raises:
        NotEnforced: it is wanted and cannot be; nothing is served then.
        FipsError: there is no provider.
    """
    global _proved
    if not wanted():
        return
    try:
        if not folder.fips.exists():
            provider.stage(provider.find_provider(), folder.fips)
        activation.enter(folder.fips)
        proof = prove(folder.fips)
    except FipsError as error:
        raise NotEnforced(f"the instance does not start: {error}", _hint(folder, error.hint)) from error
    if not proof.enforced:
        raise NotEnforced(f"the instance does not start: {proof.reason}", _hint(folder))
    _proved = proof


def expect_still(folder: Folder) -> None:
    """Where the mode is wanted: libpq has been loaded, and is it still in force?

    Raises:
        NotEnforced: no. Debian's libpq brings GnuTLS, by way of LDAP.
    """
    reason = look_again(folder.fips) if wanted() else ""
    if reason:
        raise NotEnforced(
            f"the instance does not start with PostgreSQL's libpq: {reason}",
            "put a libpq that was built without LDAP and GSSAPI first (LD_LIBRARY_PATH), or keep this instance on SQLite",
        )


def _hint(folder: Folder, hint: str = "") -> str:
    return hint if not folder.fips.exists() else f"remove {folder.fips}: the next start stages the provider again"


def say() -> None:
    """A line in the log of a process that is enforced, as a MID Server writes it."""
    if _proved is not None:
        names = ", ".join(f"{one.name} ({one.openssl_version})" for one in _proved.libcryptos)
        provider_name = f"{_proved.provider_name} {_proved.provider_version}"
        log.info("Running in FIPS Enforced mode: %s, proved in %s", provider_name, names)


async def watch(folder: Folder) -> None:
    """Look at files and loaded libraries every few seconds; once the mode is lost the instance stops."""
    while True:
        reason = await asyncio.to_thread(look_again, folder.fips)
        if reason:
            log.critical("the instance stops: %s", reason)
            signal.raise_signal(signal.SIGTERM)
            return
        await asyncio.sleep(LOOK_S)

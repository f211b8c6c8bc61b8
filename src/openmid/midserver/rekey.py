"""`openmid mid rekey`: a new key pair for the MID Server, announced to the instance and signed by the old one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openmid.midserver import announcement, fips_mode
from openmid.midserver.config import agent_folder
from openmid.midserver.errors import StartError
from openmid.midserver.fips_backup import Backup
from openmid.midserver.process import PUBLIC_KEY, fingerprint


@dataclass(frozen=True)
class Rekeyed:
    """`announced` says whether the instance knows already; `backups` are the files as they were."""

    fingerprint: str
    announced: str
    backups: tuple[Path, ...]


def rekey(folder: Path) -> Rekeyed:
    """Make the new key, by the provider where FIPS Enforced Mode is on, and announce it.

    The administrator's validation carries over. Without network the announcement waits for the next start.

    Raises:
        SwitchError, StartError, ConfigError, AlreadyRunning: each with its sentence; the key is as it was.
    """
    agent = agent_folder(folder)
    fips_mode.expect_stopped(agent)
    fips_mode.expect_owner(agent)
    with fips_mode.exclusively(agent, "openmid mid rekey"):
        if not (agent / fips_mode.KEYSTORE).exists():
            raise StartError(f"the MID Server in {agent} has no key yet", "start it: its first start makes one")
        with fips_mode.scratch_folder(agent) as scratch:
            backup = Backup.make(agent, "rekey", (fips_mode.KEYSTORE, PUBLIC_KEY), scratch)
        announced = announcement.in_fresh_process(agent, new=True)
        return Rekeyed(fingerprint(agent), announced, tuple(backup.copies()))

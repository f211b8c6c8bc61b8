"""FIPS Enforced Mode while the MID Server runs: looked at again and again, and no more work once it is lost."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from pathlib import Path

import structlog

from openmid.fips.errors import FipsError
from openmid.fips.proof import Proof, look_again, not_entered, prove
from openmid.wire.probes import Failure

log = structlog.get_logger()

REMEDY = (
    "find out who changed it; then: agent/bin/mid.sh stop, agent/bin/scripts/set-fips-enforced-mode.sh off and on, "
    "agent/bin/mid.sh start"
)


class FipsGuard:
    """The proof of the running process. `in_force` is set while the process may work."""

    def __init__(self, staged: Path | None, proof: Proof | None) -> None:
        """`staged` and `proof` are None for a MID Server that is not enforced: it may always work."""
        self.proof = proof
        self.in_force = asyncio.Event()
        self.in_force.set()
        self._staged = staged

    @property
    def enforced(self) -> bool:
        """Whether FIPS Enforced Mode is in force, as far as is known."""
        return self.proof is not None and self.proof.enforced

    async def look(self) -> None:
        """Compare files and loaded libraries with what was proved. Some milliseconds, in a thread."""
        if self._staged is None or not self.enforced:
            return
        reason = await asyncio.to_thread(look_again, self._staged)
        if reason and self.proof is not None:
            self._keep(replace(self.proof, enforced=False, reason=reason, time=not_entered("").time))

    async def prove(self) -> None:
        """The whole proof anew, on demand. A mode that was lost is in force again if it passes."""
        if self._staged is not None:
            self._keep(await asyncio.to_thread(_prove, self._staged))

    def refusal(self) -> Failure:
        """What becomes of a job that arrives when the mode is lost."""
        reason = self.proof.reason if self.proof else ""
        return Failure("fips_lost", f"the MID Server takes no work: {reason}", REMEDY)

    def text(self) -> str:
        """The proof as JSON, as it is signed and shown; empty when there is none."""
        return json.dumps(asdict(self.proof)) if self.proof else ""

    def _keep(self, proof: Proof) -> None:
        before, self.proof = self.enforced, proof
        if proof.enforced:
            self.in_force.set()
            log.info("FIPS Enforced Mode was proved again", provider=f"{proof.provider_name} {proof.provider_version}")
            return
        self.in_force.clear()
        if before:
            log.error(f"no more work is taken: {proof.reason}", remedy=REMEDY)


def _prove(staged: Path) -> Proof:
    try:
        return prove(staged)
    except FipsError as error:
        return not_entered(f"FIPS Enforced Mode is not in force: {error}")

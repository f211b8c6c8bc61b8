"""Which MID Server makes a call; and, when none can, why not, as a sentence.

Pure: rows in, one MID Server or a reason out. The filters run in the order profile, validated, status, FIPS: what the
administrator must change comes before what may pass by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from openmid.instance.mid.models import DOWN_AFTER
from openmid.wire.probes import Failure


class Requirement(msgspec.Struct, frozen=True):
    """What a call asks of its MID Server. Empty `mid`: any; empty `profile`: none is needed."""

    mid: str = ""
    profile: str = ""
    protocol: str = ""
    require_fips: bool = False


@dataclass(frozen=True)
class Candidate:
    """A MID Server as selection sees it. `open_jobs` are those that wait for it."""

    sys_id: str
    name: str
    validated: str
    reported_status: str
    last_refreshed: int | None
    fips_enforced: bool
    profile_applies: bool
    open_jobs: int

    def up(self, now: int) -> bool:
        """Whether it has been heard of lately."""
        return self.last_refreshed is not None and now - self.last_refreshed <= DOWN_AFTER


def choose(candidates: list[Candidate], requirement: Requirement, now: int) -> Candidate | Failure:
    """The candidate with the fewest open jobs among those that meet `requirement`, or why there is none."""
    pool = [each for each in candidates if requirement.mid in ("", each.sys_id)]
    if not pool:
        return Failure("no_mid_server", "no MID Server is enrolled", "install one: openmid mid install")
    for holds, code, reason, remedy in _filters(requirement, now):
        left = [each for each in pool if holds(each)]
        if not left:
            return Failure(code, f"{_names(pool)} {reason}", remedy)
        pool = left
    return min(pool, key=lambda each: (each.open_jobs, each.name))


def _filters(requirement: Requirement, now: int) -> list[tuple[Any, str, str, str]]:
    profile = f"MID Protocol Profile {requirement.protocol}"
    return [
        (
            lambda each: not requirement.profile or each.profile_applies,
            "profile_does_not_apply",
            f"has no {profile}: it does not apply there",
            f"add the MID Server to the MID Servers of {profile}",
        ),
        (
            lambda each: each.validated == "true",
            "mid_server_not_validated",
            "is not validated",
            "compare the key's fingerprint and validate the MID Server",
        ),
        (
            lambda each: each.reported_status != "Degraded",
            "mid_server_degraded",
            "has lost FIPS Enforced Mode, and takes no work",
            "look into the MID Server's issues for what was lost, and into its agent/logs/agent0.log",
        ),
        (
            lambda each: each.up(now),
            "mid_server_down",
            "is Down: it has not been heard of for 15 seconds",
            "start it (agent/bin/mid.sh start) and look into agent/logs/agent0.log",
        ),
        (
            lambda each: each.reported_status in ("", "Up"),
            "mid_server_down",
            "takes no new work: it is paused, draining or being upgraded",
            "wait until it is Up again; one that was draining has to be started (agent/bin/mid.sh start)",
        ),
        (
            lambda each: not requirement.require_fips or each.fips_enforced,
            "mid_server_not_fips_enforced",
            "is not in FIPS Enforced Mode, which this connection requires",
            "stop it, run agent/bin/scripts/set-fips-enforced-mode.sh on, and start it again",
        ),
    ]


def _names(pool: list[Candidate]) -> str:
    if len(pool) == 1:
        return f"MID Server {pool[0].name}"
    return f"every MID Server ({', '.join(sorted(each.name for each in pool))})"

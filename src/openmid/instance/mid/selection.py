"""Which MID Server makes a call; and, when none can, why not, as a sentence.

Pure: rows in, one MID Server or a reason out. The filters run in the product's order: status, application, IP range,
capability; then the MID Protocol Profile and FIPS Enforced Mode.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

import msgspec

from openmid.instance.mid.addresses import within
from openmid.instance.mid.models import DOWN_AFTER
from openmid.wire.probes import Failure

ALL = "ALL"
"""The capability, or the application, that stands for every one."""
NAMED = 5
"""So many MID Servers are named for one reason; of others only the number is said."""


class Requirement(msgspec.Struct, frozen=True):
    """What a call asks of its MID Server. Empty `mid` and `cluster`: any; empty `profile`: none is needed.

    `address` is the connection's host where that is an IP address.
    """

    mid: str = ""
    profile: str = ""
    protocol: str = ""
    require_fips: bool = False
    cluster: str = ""
    cluster_name: str = ""
    application: str = ""
    capabilities: tuple[str, ...] = ()
    address: str = ""


@dataclass(frozen=True)
class Candidate:
    """A MID Server as selection sees it. `order` is its place in a failover cluster; `trouble` why the profile is not
    loaded there, as its heartbeat said."""

    sys_id: str
    name: str
    validated: str
    reported_status: str
    last_refreshed: int | None
    fips_enforced: bool
    profile_applies: bool
    paused: bool = False
    order: int | None = None
    trouble: Failure | None = None
    applications: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()

    def up(self, now: int) -> bool:
        """Whether it has been heard of lately."""
        return self.last_refreshed is not None and now - self.last_refreshed <= DOWN_AFTER


MOST_COMPARED = 8
"""Of more MID Servers that fit, so many are compared, others at each turn: the best of a few is nearly the best of all."""


def fit(candidates: list[Candidate], requirement: Requirement, now: int) -> list[Candidate] | Failure:
    """The MID Servers that can make the call, or why there is none.

    `candidates` are those that the connection means: the one, the cluster's members, or all. Of a failover cluster only the
    one with the lowest order stays.
    """
    if not candidates:
        return _nobody(requirement)
    applying = [each for each in candidates if each.profile_applies] if requirement.profile else candidates
    reasons = {each.sys_id: why_not(each, requirement, now) for each in applying or candidates}
    found = [each for each in candidates if reasons.get(each.sys_id, UNFIT) is None]
    if not found:
        return _failure([(each, reason) for each in candidates if (reason := reasons.get(each.sys_id)) is not None])
    if any(each.order is not None for each in found):
        return [min(found, key=lambda each: (each.order or 0, each.name))]
    return sorted(found, key=attrgetter("name"))


def pick(found: list[Candidate], open_jobs: Callable[[Candidate], int], turn: int) -> Candidate:
    """Of those that fit the one with the fewest open jobs; equals take turns."""
    if len(found) == 1:
        return found[0]
    in_turn = [found[(turn + place) % len(found)] for place in range(min(len(found), MOST_COMPARED))]
    return min(in_turn, key=open_jobs)


def why_not(each: Candidate, requirement: Requirement, now: int) -> Failure | None:
    """Why `each` does not make the call: the first filter that it does not pass; `message` goes after its name."""
    filters = (_status(each, now), _purpose(each, requirement), _profile(each, requirement), _fips(each, requirement))
    return next((reason for part in filters for reason in part), None)


def _status(each: Candidate, now: int) -> Iterator[Failure]:
    if each.validated != "true":
        yield Failure(
            "mid_server_not_validated",
            "is not validated",
            "compare the key's fingerprint and validate the MID Server",
        )
    if each.reported_status == "Degraded":
        yield Failure(
            "mid_server_degraded",
            "has lost FIPS Enforced Mode, and takes no work",
            "look into the MID Server's issues for what was lost, and into its agent/logs/agent0.log",
        )
    if not each.up(now):
        yield Failure(
            "mid_server_down",
            "is Down: it has not been heard of for 15 seconds",
            "start it (agent/bin/mid.sh start) and look into agent/logs/agent0.log",
        )
    if each.paused:
        yield Failure("mid_server_paused", "is Paused", "press Resume on the MID Server's record")
    if each.reported_status not in ("", "Up", "Paused"):
        yield Failure(
            "mid_server_down",
            f"takes no new work: it is {each.reported_status}",
            "wait until it is Up again; one that was draining has to be started (agent/bin/mid.sh start)",
        )


def _purpose(each: Candidate, requirement: Requirement) -> Iterator[Failure]:
    if requirement.application and not each.applications & {requirement.application, ALL}:
        yield Failure(
            "mid_server_application",
            f"is not there for the application {requirement.application}",
            "add the application to the MID Server, or take it out of the connection",
        )
    if requirement.address and not within(each.ranges, requirement.address):
        yield Failure(
            "mid_server_ip_range",
            f"is not there for the address {requirement.address}",
            "add an IP range with the address to the MID Server",
        )
    missing = set(requirement.capabilities) - each.capabilities
    if missing and ALL not in each.capabilities:
        yield Failure(
            "mid_server_capability",
            f"has not the capability {', '.join(sorted(missing))}",
            "add the capability to the MID Server, or take it out of the connection",
        )


def _profile(each: Candidate, requirement: Requirement) -> Iterator[Failure]:
    profile = f"MID Protocol Profile {requirement.protocol}"
    if requirement.profile and not each.profile_applies:
        yield Failure(
            "profile_does_not_apply",
            f"has no {profile}: it does not apply there",
            f"add the MID Server to the MID Servers of {profile}",
        )
    if requirement.profile and each.trouble:
        yield Failure(
            each.trouble.code or "profile_not_loaded",
            f"has not loaded {profile}: {each.trouble.message or 'its log says why'}",
            each.trouble.remedy,
        )


def _fips(each: Candidate, requirement: Requirement) -> Iterator[Failure]:
    if requirement.require_fips and not each.fips_enforced:
        yield Failure(
            "mid_server_not_fips_enforced",
            "is not in FIPS Enforced Mode, which this connection requires",
            "stop it, run agent/bin/scripts/set-fips-enforced-mode.sh on, and start it again",
        )


UNFIT = Failure("mid_server_unfit", "does not fit")


def _nobody(requirement: Requirement) -> Failure:
    if requirement.cluster:
        return Failure(
            "no_mid_server",
            f"MID Cluster {requirement.cluster_name} has no members",
            "add MID Servers to the cluster",
        )
    return Failure("no_mid_server", "no MID Server is enrolled", "install one: openmid mid install")


def _failure(found: list[tuple[Candidate, Failure]]) -> Failure:
    """One sentence; MID Servers with the same reason share it."""
    if len(found) == 1:
        mid, reason = found[0]
        return Failure(reason.code, f"MID Server {mid.name} {reason.message}", reason.remedy)
    names = defaultdict(list)
    for mid, reason in found:
        names[reason].append(mid.name)
    if len(names) == 1:
        ((reason, all_),) = names.items()
        return Failure(reason.code, f"every MID Server ({_named(all_)}) {reason.message}", reason.remedy)
    codes = {reason.code for reason in names}
    told = "; ".join(f"{_named(each)} {reason.message}" for reason, each in list(names.items())[:NAMED])
    more = f"; and {len(names) - NAMED} more reasons" if len(names) > NAMED else ""
    code = codes.pop() if len(codes) == 1 else "no_mid_server_fits"
    remedy = "; or: ".join(dict.fromkeys(reason.remedy for reason in names if reason.remedy))
    return Failure(code, f"no MID Server fits: {told}{more}", remedy[:500])


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(sorted(names)[:NAMED]) + more

"""What of a heartbeat an administrator should look at. Pure: a heartbeat in, sentences by source out.

An issue ends when its cause does: a source that a later heartbeat does not bring is resolved.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from openmid.instance.mid import copies
from openmid.instance.records import clock
from openmid.wire.messages import Heartbeat, ProfileStatus

CLOCK, COPIES = "Clock", "Copies"
SKEW_US = 30_000_000
DAYS = (7, 14, 30)
LONGEST = 255


def problems(name: str, message: Heartbeat, now: int, processes: list[copies.Process]) -> dict[str, str]:
    """By source, what is wrong on the MID Server `name`, as which these `processes` speak, at the instance's time `now`
    (microseconds)."""
    found: dict[str, str] = {}
    if message.now >= 0 and abs(message.now - now) > SKEW_US:
        seconds = (message.now - now) // 1_000_000
        found[CLOCK] = (
            f"{name}: its clock is {abs(seconds)} seconds {'ahead of' if seconds > 0 else 'behind'} the instance's: "
            "set it by NTP, certificates are judged by it"
        )
    if copied := copies.sentence(name, processes):
        found[COPIES] = copied
    for status in message.profiles:
        found |= _of_profile(name, status, now)
    return {source[:80]: sentence[:LONGEST] for source, sentence in found.items()}


def _of_profile(name: str, status: ProfileStatus, now: int) -> dict[str, str]:
    found = {}
    profile = f"MID Protocol Profile {status.protocol}"
    if not status.loaded and not status.error:
        return {}  # it has just started and has not tried yet
    if not status.loaded:
        found[f"Profile {status.protocol}"] = f"{name}: {profile} does not load: {status.error}"
    elif status.error:
        found[f"Profile {status.protocol}"] = (
            f"{name}: the new keystore of {profile} does not load, {status.subject[:60]} (serial {status.serial[:24]}) "
            f"stays in use: {status.error}"
        )
    ends = _ends(status.not_after, clock.moment(now)) if status.loaded else ""
    if ends:
        found[f"Certificate {status.protocol}"] = f"{name}: the certificate of {profile} {ends}: {status.subject}"
    return found


def _ends(not_after: str, now: datetime) -> str:
    """`expired on …`, `expires within 7 days, on …`, or nothing where there is time."""
    try:
        end = datetime.fromisoformat(not_after)
    except ValueError:
        return ""
    left = (end if end.tzinfo else end.replace(tzinfo=UTC)) - now
    if left <= timedelta():
        return f"expired on {end:%Y-%m-%d}"
    within = next((days for days in DAYS if left <= timedelta(days=days)), 0)
    return f"expires within {within} days, on {end:%Y-%m-%d}" if within else ""

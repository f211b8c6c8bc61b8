"""When a call is made again, where it is made: the probe's `RetryPolicy`, decided without a clock or a socket."""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from openmid.diagnosis.causes import PASSING
from openmid.midserver.retry import chance
from openmid.wire.messages import Job
from openmid.wire.probes import HttpProbe, ProbeResult

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})  # RFC 9110, 9.2.2
LONGEST_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Outcome:
    """One attempt's end. `sent`: the request may have reached the partner."""

    result: ProbeResult
    sent: bool


def wanted(probe: HttpProbe, outcome: Outcome) -> bool:
    """Whether the policy's conditions call for another attempt."""
    policy, result = probe.retry, outcome.result
    if outcome.sent and not policy.any_method and probe.method.upper() not in IDEMPOTENT:
        return False
    if result.failure is not None:
        return result.failure.code in (policy.failures or PASSING)
    return result.status_code in policy.statuses


def repeats(probe: HttpProbe, status: int) -> bool:
    """Whether an answer of this status calls for another attempt."""
    safe = probe.retry.any_method or probe.method.upper() in IDEMPOTENT
    return bool(probe.retry.count) and safe and status in probe.retry.statuses


def fits(probe: HttpProbe, job: Job | None, elapsed: int, wait: int) -> bool:
    """Whether another attempt may begin after `wait` ms: within the policy's time, and over before the lease is."""
    if elapsed + wait > probe.retry.max_elapsed_ms:
        return False
    lease = job.lease_us // 1000 if job is not None else 0
    return lease <= 0 or elapsed + wait + probe.timeout_ms < lease


def wait_ms(probe: HttpProbe, attempts: int, result: ProbeResult, draw: Callable[[], float] = chance) -> int:
    """How long to wait after so many attempts, in milliseconds.

    exponential: the interval, doubled each time, less up to a half of it by chance, so that many do not come at once.
    retry_after: what the partner asks for, or else the interval.
    """
    policy = probe.retry
    if policy.kind == "fixed":
        return policy.interval_ms
    if policy.kind == "retry_after":
        asked = retry_after_ms({name.lower(): value for name, value in result.headers})
        return policy.interval_ms if asked is None else asked
    longest = min(policy.interval_ms << min(attempts - 1, 30), LONGEST_MS)
    return int(longest * (1 - draw() / 2))


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """`Retry-After` (RFC 9110, 10.2.3): seconds, or a date, by the partner's own clock where it says the time."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]) * 1000, LONGEST_MS)
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0, int((until - now).total_seconds() * 1000)), LONGEST_MS)


def _date(value: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError, IndexError, TypeError):  # the parser has bad days
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

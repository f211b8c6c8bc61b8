"""The home page: MID Servers, executions, certificates, at a glance."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, Q
from django.http import HttpRequest
from django.utils.safestring import SafeString

from openmid.instance.actions.models import Execution
from openmid.instance.mid.models import MidIssue, MidServer, Validated
from openmid.instance.records import clock
from openmid.instance.web import labels

ROWS = 8
HOUR_US = 3600 * 1_000_000
HEIGHT = 6
"""Units of the chart's height; a bar is one unit wide."""


def overview(request: HttpRequest) -> dict[str, Any]:
    """What the home page shows; each part only to those who may see its records."""
    may = getattr(request.user, "has_perm", lambda _: False)
    context: dict[str, Any] = {}
    if may("mid.view_midserver"):
        context |= _mids(list(MidServer.objects.all()), certificates=may("connections.view_midprotocolprofile"))
    if may("mid.view_midissue"):
        opened = MidIssue.objects.filter(state=MidIssue.State.NEW).select_related("mid_server")
        context |= {"issues": opened.count(), "open_issues": list(opened[:ROWS])}
    if may("actions.view_execution"):
        context["hours"] = hours()
        context["executions"] = [_execution(each) for each in Execution.objects.order_by("-sys_created_on")[:ROWS]]
    return context


def hours() -> dict[str, Any]:
    """The executions of the last 24 hours, an hour a bar: `bars` for an SVG of 24 by `HEIGHT` units, `total`, `failed`."""
    last = clock.now() // HOUR_US
    found = (
        Execution.objects.filter(sys_created_on__gte=(last - 23) * HOUR_US)
        .annotate(hour=F("sys_created_on") / HOUR_US)
        .values("hour")
        .annotate(total=Count("sys_id"), failed=Count("sys_id", filter=Q(state="Error")))
        .order_by("hour")
    )
    by_hour = {row["hour"]: row for row in found}
    most = max([row["total"] for row in by_hour.values()], default=0)
    bars = [
        _bar(hour - last + 23, hour, by_hour.get(hour, {"total": 0, "failed": 0}), most)
        for hour in range(last - 23, last + 1)
    ]
    total, failed = (sum(row[name] for row in by_hour.values()) for name in ("total", "failed"))
    return {"bars": bars, "total": total, "failed": failed, "height": HEIGHT}


def _bar(x: int, hour: int, row: Any, most: int) -> dict[str, Any]:
    """Good below, failed above it; something is always seen of what is not nothing."""
    good, failed = (_units(count, most) for count in (row["total"] - row["failed"], row["failed"]))
    return {
        "x": x,
        "good": good,
        "failed": failed,
        "good_y": HEIGHT - good,
        "failed_y": HEIGHT - good - failed,
        "says": f"{clock.moment(hour * HOUR_US):%H:%M}: {row['total']} executions, {row['failed']} failed",
    }


def _units(count: int, most: int) -> float:
    return max(0.4, round(count / most * HEIGHT, 2)) if count else 0


def _mids(mids: list[MidServer], *, certificates: bool) -> dict[str, Any]:
    context: dict[str, Any] = {
        "mids": [{"mid": mid, "status": labels.mid_status(mid.status)} for mid in mids[:ROWS]],
        "mid_count": len(mids),
        "mids_up": sum(mid.status == "Up" for mid in mids),
        "mids_enforced": sum(mid.fips_enforced for mid in mids),
        "mids_to_validate": sum(mid.validated != Validated.TRUE for mid in mids),
    }
    if certificates:
        context["certificates"] = _certificates(mids)
    return context


def _certificates(mids: list[MidServer]) -> list[dict[str, Any]]:
    """Those that end first."""
    reported = [
        (status, mid)
        for mid in mids
        for status in mid.profile_statuses or []
        if status.get("loaded") or status.get("error")
    ]
    reported.sort(key=lambda each: str(each[0].get("not_after", "")))
    return [{**status, "mid": mid, "expiry": _expiry(status)} for status, mid in reported[:ROWS]]


def _expiry(status: dict[str, Any]) -> SafeString:
    if not status.get("loaded"):
        return labels.label("not loaded", "danger")
    return labels.label(*labels.expiry(status.get("not_after", "")))


def _execution(execution: Execution) -> dict[str, Any]:
    return {
        "sys_id": execution.sys_id,
        "action": execution.action_name,
        "state": labels.state(execution.state),
        "when": labels.ago(execution.sys_created_on),
        "took": labels.duration(execution.finished - execution.sys_created_on if execution.finished else None),
        "exact": clock.iso(execution.sys_created_on),
    }

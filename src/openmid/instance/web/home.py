"""The home page: MID Servers, executions, certificates, at a glance."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString

from openmid.instance.actions.models import Execution
from openmid.instance.mid.models import MidServer, Validated
from openmid.instance.records import clock
from openmid.instance.web import labels

ROWS = 8


def overview(request: HttpRequest) -> dict[str, Any]:
    """What the home page shows; each part only to those who may see its records."""
    may = getattr(request.user, "has_perm", lambda _: False)
    context: dict[str, Any] = {}
    if may("mid.view_midserver"):
        context |= _mids(list(MidServer.objects.all()), certificates=may("connections.view_midprotocolprofile"))
    if may("actions.view_execution"):
        context["executions"] = [_execution(each) for each in Execution.objects.order_by("-sys_created_on")[:ROWS]]
    return context


def _mids(mids: list[MidServer], *, certificates: bool) -> dict[str, Any]:
    context: dict[str, Any] = {
        "mids": [{"mid": mid, "status": labels.mid_status(mid.status)} for mid in mids[:ROWS]],
        "mid_count": len(mids),
        "mids_up": sum(mid.status == "Up" for mid in mids),
        "mids_enforced": sum(mid.fips_enforced for mid in mids),
        "mids_to_validate": sum(mid.validated != Validated.TRUE for mid in mids),
    }
    if certificates:
        context["certificates"] = sorted(_certificates(mids), key=lambda row: str(row["not_after"]))[:ROWS]
    return context


def _certificates(mids: list[MidServer]) -> list[dict[str, Any]]:
    return [
        {**status, "mid": mid, "expiry": _expiry(status)}
        for mid in mids
        for status in mid.profile_statuses or []
        if status.get("loaded") or status.get("error")
    ]


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

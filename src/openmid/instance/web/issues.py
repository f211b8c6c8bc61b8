"""MID Server > Issues: what an administrator should look at. They are made by the instance, and end with their cause."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from openmid.instance.mid.models import MidIssue
from openmid.instance.web import labels
from openmid.instance.web.plain import PlainAdmin
from openmid.instance.web.site import site


@admin.register(MidIssue, site=site)
class MidIssueAdmin(PlainAdmin):
    """Read-only."""

    list_display = ("short_description", "state_label", "mid_server", "source", "count", "detected")
    list_filter = ("state", "source", "mid_server")
    search_fields = ("short_description", "mid_server__name")
    list_select_related = ("mid_server",)
    list_per_page = 50
    fields = (
        "mid_server",
        "source",
        "short_description",
        "state",
        "count",
        "detected",
        "created_at",
        "resolved_at",
    )
    readonly_fields = ("detected", "created_at", "resolved_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The instance makes them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="State", ordering="state")
    def state_label(self, issue: MidIssue) -> SafeString:
        return labels.label(issue.get_state_display(), "danger" if issue.state == MidIssue.State.NEW else "success")

    @admin.display(description="Last detected", ordering="last_detected")
    def detected(self, issue: MidIssue) -> str:
        return labels.ago(issue.last_detected)

    @admin.display(description="Created")
    def created_at(self, issue: MidIssue) -> str:
        return f"{issue.sys_created_on:%Y-%m-%d %H:%M:%S} UTC"

    @admin.display(description="Resolved")
    def resolved_at(self, issue: MidIssue) -> str:
        return labels.ago(issue.resolved) if issue.resolved else "–"

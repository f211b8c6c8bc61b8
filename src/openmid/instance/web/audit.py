"""System > Audit: who changed what, from where. Nothing here can be changed; Export has everything that the filters show."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from openmid.instance.audit import trail, watch
from openmid.instance.audit.models import Audit
from openmid.instance.records import clock
from openmid.instance.records.actor import SYSTEM
from openmid.instance.web import streams
from openmid.instance.web.long_list import LongListAdmin
from openmid.instance.web.plain import PlainAdmin
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import action

SHOWN = 60
MOST_USERS = 50


class Table(admin.SimpleListFilter):
    """What was changed. Django's own filter would read every entry for the tables that it offers."""

    title = "table"
    parameter_name = "tablename"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(table, table) for table in watch.tables()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Audit]) -> QuerySet[Audit]:
        return queryset.filter(tablename=self.value()) if self.value() else queryset


class Who(admin.SimpleListFilter):
    """The users that there are, and the command line's; the search finds those who have gone."""

    title = "user"
    parameter_name = "user"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = User.objects.order_by("username").values_list("username", flat=True)[:MOST_USERS]
        return [(name, name) for name in (SYSTEM, *names)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Audit]) -> QuerySet[Audit]:
        return queryset.filter(user=self.value()) if self.value() else queryset


@admin.register(Audit, site=site)
class AuditAdmin(LongListAdmin, PlainAdmin):
    """The list, an entry, the export."""

    list_display = ("when", "user", "address", "event", "record", "change")
    list_filter: ClassVar = ("event", Table, Who)
    search_fields = ("user", "address", "display", "documentkey", "fieldname")
    list_per_page = 50
    actions_list: ClassVar = ("export",)
    readonly_fields = ("when",)
    fieldsets: ClassVar = [(None, {"fields": list(trail.COLUMNS)})]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.csv)
        return [path("export.csv", view, name="audit_audit_csv"), *super().get_urls()]

    @action(description="Export", permissions=["view"])
    def export(self, request: HttpRequest) -> HttpResponseBase:
        asked = request.META.get("HTTP_REFERER", "").partition("?")[2]
        return HttpResponseRedirect(f"{reverse('admin:audit_audit_csv')}?{asked}")

    def csv(self, request: HttpRequest) -> HttpResponseBase:
        """The entries of the list, under its filters, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return streams.csv(trail.as_csv(self.filtered(request)), "sys_audit.csv")

    @admin.display(description="When", ordering="sys_created_on")
    def when(self, entry: Audit) -> SafeString:
        return format_html(
            '<span class="om-nowrap">{}</span>', f"{clock.moment(entry.sys_created_on):%Y-%m-%d %H:%M:%S} UTC"
        )

    @admin.display(description="Record", ordering="tablename")
    def record(self, entry: Audit) -> str:
        return f"{entry.tablename} {entry.display}".strip() or "–"

    @admin.display(description="Change")
    def change(self, entry: Audit) -> str:
        if not entry.fieldname:
            return _short(entry.newvalue) or "–"
        before = f"{_short(entry.oldvalue)} → " if entry.oldvalue else ""
        return f"{entry.fieldname}: {before}{_short(entry.newvalue) or 'empty'}"


def _short(value: str) -> str:
    return value if len(value) <= SHOWN else f"{value[:SHOWN]}…"

"""The list of executions: filters by time and MID Server, and its export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from openmid.instance.actions.models import Execution, StepExecution
from openmid.instance.audit.trail import csv_line
from openmid.instance.mid.models import MidServer
from openmid.instance.records import clock

HOUR_US = 3600 * 1_000_000
COLUMNS = ("sys_id", "action", "version", "state", "started_by", "start", "end", "duration_ms")
AT_ONCE = 2000


class Started(admin.SimpleListFilter):
    """How long ago."""

    title = "started"
    parameter_name = "started"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Last hour"), ("24", "Last 24 hours"), ("168", "Last 7 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        hours = self.value()
        if hours not in ("1", "24", "168"):
            return queryset
        return queryset.filter(sys_created_on__gte=clock.now() - int(hours) * HOUR_US)


class OnMidServer(admin.SimpleListFilter):
    """Which MID Server made a call of it."""

    title = "MID Server"
    parameter_name = "mid_server"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in MidServer.objects.values_list("name", flat=True)[:50]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        steps = StepExecution.objects.filter(execution=OuterRef("sys_id"), mid_server=self.value())
        return queryset.filter(Exists(steps))


def as_csv(executions: QuerySet[Execution]) -> Iterator[str]:
    """The executions as CSV, some thousand at a time."""
    yield csv_line(COLUMNS)
    for each in executions.iterator(chunk_size=AT_ONCE):
        yield csv_line(_cells(each))


def _cells(each: Execution) -> list[Any]:
    took = (each.finished - each.sys_created_on) / 1000 if each.finished else ""
    start, end = clock.iso(each.sys_created_on), clock.iso(each.finished) or ""
    return [each.sys_id, each.action_name, each.version, each.state, each.sys_created_by, start, end, took]

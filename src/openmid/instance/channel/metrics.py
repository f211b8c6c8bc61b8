"""`/metrics` (Prometheus), `/ready`: what a monitor asks of an instance.

Metrics name MID Servers, protocols and hosts' fates: an API token of the role admin or auditor is demanded (scope read is
enough), also on loopback.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Min
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openmid.instance.access.roles import ADMIN, AUDITOR
from openmid.instance.actions.models import Execution
from openmid.instance.channel.execute import follower
from openmid.instance.channel.http import Json, Refused, in_thread
from openmid.instance.ecc.models import EccQueueItem
from openmid.instance.ecc.writer import writer
from openmid.instance.mid.models import MidIssue, MidServer
from openmid.instance.records import clock

READY_S = 5.0


class Instance:
    """What the database says, asked for at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """The metrics, none of them a secret."""
        mids = list(MidServer.objects.all())
        yield _gauge("mid_servers", "MID Servers by status.", "status", Tally(each.status for each in mids))
        jobs = EccQueueItem.objects.filter(queue="output", state__in=("ready", "processing"))
        states = dict(jobs.values_list("state").annotate(Count("pk")).order_by())
        yield _gauge("ecc_queue_jobs", "Jobs that are not done.", "state", {"ready": 0, "processing": 0} | states)
        oldest = jobs.filter(state="ready").aggregate(at=Min("sequence"))["at"]
        yield GaugeMetricFamily(
            "openmid_ecc_queue_oldest_ready_seconds",
            "Age of the oldest job that nobody has taken.",
            value=max(0, clock.now() - oldest) / 1e6 if oldest else 0,
        )
        ended = dict(Execution.objects.values_list("state").annotate(Count("pk")).order_by())
        yield _gauge("executions", "Executions that are kept, by state.", "state", ended)
        open_ = MidIssue.objects.filter(state=MidIssue.State.NEW).count()
        yield GaugeMetricFamily("openmid_issues_open", "Open issues of MID Servers.", value=open_)
        yield _certificates(mids)


def _gauge(name: str, what: str, label: str, values: dict[str, int]) -> Metric:
    found = GaugeMetricFamily(f"openmid_{name}", what, labels=[label])
    for key, value in sorted(values.items()):
        found.add_metric([key], value)
    return found


def _certificates(mids: list[MidServer]) -> Metric:
    labels = ["mid_server", "protocol"]
    found = GaugeMetricFamily("openmid_certificate_days_left", "Days until a client certificate ends.", labels=labels)
    for mid in mids:
        for status in mid.profile_statuses or []:
            days = _days(status.get("not_after", "")) if status.get("loaded") else None
            if days is not None:
                found.add_metric([mid.name, status.get("protocol", "")], days)
    return found


def _days(not_after: str) -> float | None:
    try:
        end = datetime.fromisoformat(not_after)
    except ValueError:
        return None
    return ((end if end.tzinfo else end.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds() / 86_400


def _text() -> bytes:
    registry = CollectorRegistry()
    registry.register(Instance())
    return generate_latest(registry)


async def metrics(request: Request) -> Response:
    """The instance's metrics, as text."""
    caller = await follower(request)
    if not set(caller.roles) & {ADMIN, AUDITOR}:
        raise Refused(403, "not_allowed", "metrics are for the roles admin and auditor", "use a token of an auditor")
    return Response(await in_thread(_text), media_type="text/plain; version=0.0.4; charset=utf-8")


Name = tuple[str, str]


@cache
def _migrations() -> set[Name]:
    """Those that this version's database has had, one by one where a later one stands for several (Django takes that for
    applied when all of them are). Their files do not change while this runs, and /ready is for everybody."""
    loader = MigrationLoader(None)
    return {each for name in loader.graph.nodes for each in loader.disk_migrations[name].replaces or [name]}


def _migrated() -> bool:
    return MigrationRecorder(connection).applied_migrations().keys() >= _migrations()


async def ready(request: Request) -> Response:
    """200 when the database answers, its migrations are applied, and the writer commits; else 503."""
    try:
        await asyncio.wait_for(writer().done(lambda _: None), READY_S)
        migrated = await in_thread(_migrated)
    except Exception:  # whatever it is, it is not ready
        return Json({"status": "not ready", "reason": "the database does not take writes"}, status_code=503)
    if not migrated:
        reason = "migrations are not applied: run openmid instance init"
        return Json({"status": "not ready", "reason": reason}, status_code=503)
    return Json({"status": "ready"})


ROUTES = [Route("/metrics", metrics, methods=["GET"]), Route("/ready", ready, methods=["GET"])]

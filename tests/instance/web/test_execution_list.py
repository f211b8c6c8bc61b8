"""The list of executions: filters, search, export; and the home page's hours."""

from __future__ import annotations

import csv
import io
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from openmid.instance.actions.models import Execution, StepExecution
from openmid.instance.mid.models import MidServer
from openmid.instance.records import clock
from openmid.instance.web import execution_list, home
from tests.instance.web.conftest import streamed

LIST = "/actions/execution/"
HOUR = execution_list.HOUR_US


@pytest.fixture
def many(admin: Client) -> None:
    now = clock.now()
    rows = [
        Execution(
            sys_id=f"{n:032x}",
            sys_created_on=now - n * HOUR,
            sys_created_by="alice",
            action="a",
            action_name="=cmd|x" if n == 0 else f"call {n}",
            state="Error" if n % 3 == 0 else "Completed",
            finished=now - n * HOUR + 1500,
        )
        for n in range(60)
    ]
    MidServer(name="m1").save()
    for row in rows:
        super(type(row), row).save_base(raw=True, force_insert=True)
    step = StepExecution(
        sys_id="s", execution=f"{5:032x}", position=0, name="REST", state="Completed", plan="{}", mid_server="m1"
    )
    super(type(step), step).save_base(raw=True, force_insert=True)


def shown(page: str) -> list[str]:
    return sorted({f"call {n}" for n in range(60) if f">call {n}<" in page})


@pytest.mark.parametrize("page", [LIST, "/audit/audit/"])
def test_a_list_offers_all_only_where_it_shows_less(admin: Client, many: None, page: str) -> None:
    def offered(query: str) -> bool:
        return re.search(r"\d+ results? \(<a", admin.get(f"{page}{query}").content.decode()) is not None

    assert [offered(query) for query in ("", "?p=2&o=1", "?q=1", "?q=nothing+like+it")] == [False, False, True, True]


def test_filters_search_and_export(admin: Client, many: None) -> None:
    assert (
        len(shown(admin.get(f"{LIST}?started=24").content.decode())) == 23
    )  # and the one of a moment ago, which has another name
    assert shown(admin.get(f"{LIST}?mid_server=m1").content.decode()) == ["call 5"]
    assert shown(admin.get(f"{LIST}?q=call+59").content.decode()) == ["call 59"]
    answer = admin.get(f"{LIST}export.csv?state__exact=Error&started=24")
    rows = list(csv.DictReader(io.StringIO(streamed(answer))))
    assert [row["action"] for row in rows] == ["'=cmd|x", *(f"call {n}" for n in range(3, 24, 3))]
    assert (rows[1]["state"], rows[1]["duration_ms"]) == ("Error", "1.5")
    assert answer["Content-Disposition"] == 'attachment; filename="execution.csv"'


def test_few_queries(admin: Client, many: None) -> None:
    for page in (LIST, "/"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin.get(page).status_code == 200
        assert len(queries) <= 20, [each["sql"] for each in queries]


def test_the_hours_of_a_day(admin: Client, many: None) -> None:
    found = home.hours()
    assert len(found["bars"]) == 24
    assert (found["total"], found["failed"]) in ((23, 8), (24, 8))
    assert {bar["good"] for bar in found["bars"]} <= {0, home.HEIGHT}
    page = admin.get("/").content.decode()
    assert 'aria-label="Executions of the last 24 hours"' in page

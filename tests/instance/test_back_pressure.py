"""Back-pressure: what waits is bounded, a refused call leaves nothing behind, and screens keep their places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from openmid.instance.actions.models import Execution
from openmid.instance.ecc import back_pressure
from openmid.instance.ecc.models import EccQueueItem
from openmid.instance.ecc.queue import SQL
from openmid.instance.ecc.writer import writer
from openmid.instance.folder import Folder
from openmid.instance.records.database import Connection, reader
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import records

URL = "/api/v1/connections/partner/request"


@pytest.fixture
def limits(instance: Folder) -> Iterator[Any]:
    """Writes limits into instance.json."""
    before = instance.settings.read_text()

    def write(**values: int) -> None:
        instance.settings.write_text(json.dumps({**json.loads(before), **values}))

    yield write
    instance.settings.write_text(before)


def a_second_later(seconds: float = 2.0) -> None:
    """As if the last counts were older."""

    def age(connection: Connection) -> None:
        for ready in connection.ready.values():
            ready.counted -= seconds

    writer().run(age)


def test_a_call_too_many_is_refused_and_nothing_of_it_is_kept(limits: Any, api: Api, mid: Mid) -> None:
    records(api)
    limits(max_ready_per_mid=3)
    assert [api.execute("call").status for _ in range(3)] == [202] * 3
    refused = api.execute("call", Idempotency_Key="k")
    assert (refused.status, refused.headers["retry-after"]) == (429, str(back_pressure.RETRY_AFTER_S))
    assert refused.json["error"] == {
        "message": "MID Server mid1 has 3 calls waiting already: this one was not accepted",
        "detail": "try again in 5 seconds; the limit is max_ready_per_mid of instance.json (3)",
    }
    assert (Execution.objects.count(), EccQueueItem.objects.count()) == (3, 3)
    mid.deliver(mid.job())
    a_second_later()
    assert api.execute("call", Idempotency_Key="k").status == 202
    a_second_later()
    assert api.execute("call").status == 429


def test_a_key_that_was_accepted_is_answered_though_the_queue_is_full(limits: Any, api: Api, mid: Mid) -> None:
    records(api)
    limits(max_ready_per_mid=1)
    first = api.execute("call", Idempotency_Key="k")
    assert api.execute("call").status == 429
    assert api.execute("call", Idempotency_Key="k").json["sys_id"] == first.json["sys_id"]


def test_a_screen_has_places_of_its_own(limits: Any, api: Api, mid: Mid, monkeypatch: pytest.MonkeyPatch) -> None:
    records(api)
    limits(max_ready_per_mid=1)
    monkeypatch.setattr(back_pressure, "RESERVED", 1)
    assert api.execute("call").status == 202
    assert api.execute("call").status == 429
    assert api.post(URL, {"path": "/screen"}).status == 202
    assert api.post(URL, {"path": "/screen"}).status == 429


def test_the_limit_of_all_counts_every_mid_server(limits: Any, api: Api, mid: Mid) -> None:
    records(api)
    limits(max_ready=1)
    assert api.execute("call").status == 202
    told = api.execute("call")
    assert told.status == 429
    assert told.json["error"]["message"] == "the ECC queue has 1 calls waiting already: this one was not accepted"


def test_what_was_accepted_goes_on(limits: Any, api: Api, mid: Mid) -> None:
    records(api)
    step = {"name": "one", "connection_alias": "partner"}
    api.action("two steps", step, {**step, "name": "two"})
    limits(max_ready_per_mid=2)
    going = api.execute("two%20steps").json["sys_id"]
    job = mid.job()
    for _ in range(2):
        a_second_later()  # the claimed one is in the bound until a count
        assert api.execute("call").status == 202
    mid.deliver(job)
    assert [each["state"] for each in api.details(going)["steps"]] == ["Completed", "In Progress"]
    assert EccQueueItem.objects.filter(queue="output", state="ready").count() == 3


def test_a_low_limit_is_no_limit_of_calls_a_second(limits: Any, api: Api, mid: Mid) -> None:
    records(api)
    limits(max_ready_per_mid=1)
    for _ in range(5):
        assert api.execute("call").status == 202
        mid.deliver(mid.job())
        a_second_later(0.02)


def test_waiting_jobs_are_counted_through_their_index(instance: Folder) -> None:
    for name in ("ready", "ready_of"):
        values = {"mid_server": "a", "limit": 5}
        plan = [row["detail"] for row in reader().run(f"EXPLAIN QUERY PLAN {SQL[name]}", **values)]
        assert any("USING INDEX ecc_queue_ready" in line for line in plan), plan


def test_a_limit_that_is_no_number_is_said(limits: Any, api: Api, mid: Mid) -> None:
    records(api)
    limits(max_ready=0)
    told = api.execute("call")
    assert told.status == 500
    assert '"max_ready"' in told.json["error"]["message"]
    assert Execution.objects.count() == 0

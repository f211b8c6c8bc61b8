"""Many executions in one request: one commit, answers in order, and one that is refused takes no other with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from openmid.instance.actions.models import Execution, StepExecution
from openmid.instance.channel import batch
from openmid.instance.ecc import back_pressure
from openmid.instance.ecc.writer import writer
from openmid.wire.messages import ClaimAnswer, Job, JobResult, ResultsRequest
from openmid.wire.probes import ProbeResult
from tests.instance.partners import Api, Mid, Reply
from tests.instance.test_walk import records

on_both_databases = True
DELETE = "DELETE FROM execution WHERE sys_id = :sys_id"
ORDER = {"name": "order", "label": "Order", "type": "integer", "mandatory": True}


def orders(api: Api) -> None:
    """An action `order` that asks the partner for the order of its input."""
    records(api)
    step = {"connection_alias": "partner", "resource_path": "/orders/{{inputs.order}}"}
    assert api.post("/api/v1/actions", {"name": "order", "inputs": [ORDER], "steps": [step]}).status == 201


def begin(api: Api, *executions: object, wait: int = 0) -> Reply:
    prefer = {"Prefer": f"wait={wait}"} if wait else {}
    return api.post("/api/v1/actions/order/execute-batch", {"executions": executions}, **prefer)


def order(number: Any, key: str | None = None) -> dict[str, Any]:
    return {"inputs": {"order": number}} | ({"idempotency_key": key} if key else {})


def jobs(mid: Mid, count: int) -> list[Job]:
    found: list[Job] = []
    while len(found) < count:
        found += mid.claim(5_000, count - len(found)).message(ClaimAnswer).jobs
    return found


def answer(mid: Mid, them: list[Job]) -> Reply:
    """Each is answered with its own URL."""
    results = [
        JobResult(each.sys_id, each.lease, ProbeResult(1, status_code=200, body=each.decoded().url)) for each in them
    ]
    return mid.post("/results", ResultsRequest(results))


def test_all_are_answered_in_the_order_of_the_question(api: Api, mid: Mid) -> None:
    orders(api)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(begin, api, *(order(number) for number in range(5)), wait=30)
        answer(mid, jobs(mid, 5)[::-1])
        reply = asked.result()
    assert (reply.status, reply.headers["preference-applied"]) == (200, "wait=30")
    found = reply.json["executions"]
    assert [each["state"] for each in found] == ["Completed"] * 5
    bodies = [each["steps"][0]["output"]["body"] for each in found]
    assert bodies == [f"mauth://partner.example/orders/{number}" for number in range(5)]
    assert found[2] == api.details(found[2]["sys_id"])


def test_one_that_is_refused_takes_no_other_with_it(api: Api, mid: Mid) -> None:
    orders(api)
    reply = begin(api, order(1), order("many"), order(3))
    assert reply.status == 202
    first, refused, third = reply.json["executions"]
    assert {first["state"], third["state"]} == {"In Progress"}
    assert refused["status"] == "failure"
    assert "order" in refused["error"]["message"]
    assert {each["sys_id"] for each in (first, third)} == set(Execution.objects.values_list("sys_id", flat=True))
    assert len(jobs(mid, 2)) == 2


def test_where_none_is_accepted_the_answer_is_the_first_error(api: Api, mid: Mid) -> None:
    orders(api)
    reply = begin(api, order("many"), {})
    single = api.post("/api/v1/actions/order/execute", order("many"))
    assert (reply.status, reply.json) == (single.status, single.json)
    assert reply.status == 400
    assert not Execution.objects.exists()


def test_a_key_that_was_used_gives_the_same_execution(api: Api, mid: Mid) -> None:
    orders(api)
    one, same, other = begin(api, order(1, "a"), order(1, "a"), order(2, "b")).json["executions"]
    assert one["sys_id"] == same["sys_id"] != other["sys_id"]
    (again,) = begin(api, order(1, "a")).json["executions"]
    assert again["sys_id"] == one["sys_id"]
    answer(mid, jobs(mid, 2))
    reply = begin(api, order(1, "a"), order(2, "b"), wait=5)
    assert (reply.status, [each["state"] for each in reply.json["executions"]]) == (200, ["Completed", "Completed"])


def test_a_key_of_the_whole_is_refused_not_ignored(api: Api, mid: Mid) -> None:
    """Whoever sent it again would run everything twice."""
    orders(api)
    asked = {"executions": [order(1)]}
    reply = api.post("/api/v1/actions/order/execute-batch", asked, Idempotency_Key="k")
    assert (reply.status, "idempotency_key" in reply.json["error"]["detail"]) == (400, True)
    assert not Execution.objects.exists()


def test_who_waits_in_vain_is_told_what_there_is(api: Api, mid: Mid) -> None:
    orders(api)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(begin, api, order(1), order(2), wait=2)
        first, _ = jobs(mid, 2)
        answer(mid, [first])
        reply = asked.result()
    assert reply.status == 202
    assert sorted(each["state"] for each in reply.json["executions"]) == ["Completed", "In Progress"]


def test_one_that_is_deleted_meanwhile_takes_no_other_with_it(api: Api, mid: Mid) -> None:
    orders(api)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(begin, api, order(1), order(2), order(3), wait=3)
        first, second, third = sorted(jobs(mid, 3), key=lambda job: job.decoded().url)
        gone = StepExecution.objects.get(item=second.sys_id).execution
        assert writer().run(lambda connection: connection.change(DELETE, sys_id=gone)) == 1
        answer(mid, [first, third])
        reply = asked.result()
    assert reply.status == 200
    one, error, other = reply.json["executions"]
    assert (one["state"], other["state"], error["status"]) == ("Completed", "Completed", "failure")
    assert gone in error["error"]["message"]


def test_a_full_queue_takes_as_many_as_it_has_room_for(api: Api, mid: Mid, monkeypatch: pytest.MonkeyPatch) -> None:
    orders(api)
    monkeypatch.setitem(back_pressure.LIMITS, back_pressure.PER_MID, 2)
    first, second, third = begin(api, order(1), order(2), order(3)).json["executions"]
    assert (first["state"], second["state"], third["status"]) == ("In Progress", "In Progress", "failure")
    full = begin(api, order(4), order(5))
    assert (full.status, full.headers["retry-after"]) == (429, "5")
    assert Execution.objects.count() == 2


@pytest.mark.parametrize(
    "body",
    [
        {"executions": []},
        {"executions": [{}] * (batch.MOST + 1)},
        {"executions": [{"input": {}}]},
        {"executions": [order(1, "a\0"), order(2)]},
        {"executions": [{"idempotency_key": ""}]},
        {},
        [],
    ],
    ids=["none", "too many", "a member's name", "a zero byte in a key", "an empty key", "no list", "a list"],
)
def test_a_body_that_is_not_understood(api: Api, mid: Mid, body: object) -> None:
    orders(api)
    reply = api.post("/api/v1/actions/order/execute-batch", body)
    assert reply.status == 400
    assert f"1 to {batch.MOST}" in reply.json["error"]["detail"]


def test_an_action_that_is_not_there(api: Api, mid: Mid) -> None:
    reply = api.post("/api/v1/actions/gone/execute-batch", {"executions": [{}]})
    assert (reply.status, "gone" in reply.json["error"]["message"]) == (404, True)


def test_a_stranger_may_not(api: Api, mid: Mid) -> None:
    orders(api)
    stranger = Api(api.url, "Bearer omt_none")
    assert begin(stranger, order(1)).status == 401
    assert not msgspec.json.decode(begin(stranger, order(1)).raw).get("executions")

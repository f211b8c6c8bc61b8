"""The machine's clock is moved, forward and back: leases and heartbeats last as long as they were said to."""

from __future__ import annotations

import threading
import time

import pytest

from openmid.instance.actions import runner
from openmid.instance.ecc import clock_jump
from openmid.instance.ecc.models import EccQueueItem
from openmid.instance.ecc.writer import writer
from openmid.instance.mid.models import MidServer
from openmid.instance.records import clock
from openmid.instance.records.database import Connection
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import records

HOUR_S = 3600


@pytest.fixture(params=[HOUR_S, -HOUR_S], ids=["forward", "back"])
def moved(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """By how many seconds `move` moves the wall clock."""
    monkeypatch.setattr(clock, "_offset_ns", clock._offset_ns)  # put back afterwards
    seconds: int = request.param
    return seconds


def move(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + seconds * 10**9)


def followed_beside_a_unit_that_fails() -> int:
    """Both in one transaction, which is rolled back once and run again."""
    gate = threading.Event()

    def fail(connection: Connection) -> None:
        connection.change("UPDATE ecc_queue SET priority = 9")
        raise ValueError("on purpose")

    blocked = writer().submit(lambda _: gate.wait(10))
    followed, failed = writer().submit(clock_jump.Following()), writer().submit(fail)
    gate.set()
    assert blocked.result(10)
    with pytest.raises(ValueError, match="on purpose"):
        failed.result(10)
    return followed.result(10)


def test_a_jump_changes_nothing_until_it_is_followed_and_then_everything_goes_along(
    api: Api, mid: Mid, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    records(api)
    running, waiting = (api.execute("call").json["sys_id"] for _ in range(2))
    job = mid.job()
    before = clock.now()
    lease = EccQueueItem.objects.get(pk=job.sys_id).lease_until
    move(monkeypatch, moved)
    assert clock.now() - before < 60_000_000
    assert clock_jump.moved()
    jump = followed_beside_a_unit_that_fails()
    assert round(jump / 1e6) == moved
    assert not clock_jump.moved()
    assert EccQueueItem.objects.get(pk=job.sys_id).lease_until == lease + jump
    assert writer().run(runner.lapse) == 0
    assert MidServer.objects.get().status == "Up"
    mid.deliver(job)
    mid.deliver(mid.job())
    assert {api.details(sys_id)["state"] for sys_id in (running, waiting)} == {"Completed"}


def test_small_corrections_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    move(monkeypatch, 1)
    assert not clock_jump.moved()


def test_a_lease_from_a_clock_that_was_ahead_is_cut_at_the_start(api: Api, mid: Mid) -> None:
    records(api)
    api.execute("call")
    job = mid.job()
    late = clock.now() + 10 * HOUR_S * 1_000_000
    writer().run(lambda connection: connection.change("UPDATE ecc_queue SET lease_until = :late", late=late))
    assert writer().run(clock_jump.at_start) == 1
    assert writer().run(clock_jump.at_start) == 0
    left = (EccQueueItem.objects.get(pk=job.sys_id).lease_until or 0) - clock.now()
    assert left <= 90_000_000


def test_an_instance_that_was_away_for_an_hour_takes_what_was_done_meanwhile(api: Api, mid: Mid) -> None:
    """A POST's answer waits with its MID Server, and a job has waited for nobody's fault: neither ends at the start."""
    records(api)
    api.action("post", {"type": "REST", "connection_alias": "partner", "method": "POST", "resource_path": "/"})
    answered, waiting = (api.execute("post").json["sys_id"] for _ in range(2))
    job = mid.job()
    gone = HOUR_S * 1_000_000
    writer().run(
        lambda connection: connection.change(
            "UPDATE ecc_queue SET lease_until = lease_until - :gone, sys_updated_on = sys_updated_on - :gone,"
            " sequence = sequence - :gone",
            gone=gone,
        )
    )
    writer().run(clock_jump.at_start)
    assert writer().run(runner.lapse) == 0
    mid.deliver(job)
    mid.deliver(mid.job())
    assert {api.details(sys_id)["state"] for sys_id in (answered, waiting)} == {"Completed"}

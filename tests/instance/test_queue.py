"""The queue's statements, its leases, and its one writer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as django_connection
from django.db import transaction

from openmid.instance.actions import runner
from openmid.instance.actions.stranded import why
from openmid.instance.ecc import queue
from openmid.instance.ecc.models import EccQueueItem
from openmid.instance.ecc.writer import Writer, drive, release, writer
from openmid.instance.folder import Folder
from openmid.instance.mid.models import MidServer
from openmid.instance.records import clock
from openmid.instance.records.database import Connection
from openmid.instance.records.wakeups import wakeups
from openmid.wire.messages import Job, JobResult
from openmid.wire.probes import ProbeResult, RestProbe

MID = "a" * 32
on_both_databases = True


@pytest.fixture(autouse=True)
def mid(instance: Folder) -> MidServer:
    """The MID Server whose jobs these are: validated, Up, with 60 seconds until it is Down."""
    return MidServer.objects.create(sys_id=MID, name="mid1", validated="true", last_refreshed=clock.now() + 45_000_000)


def put(method: str = "GET") -> str:
    probe = RestProbe("mauth://partner.example", method=method)
    return writer().run(lambda connection: queue.put(connection, probe, MID, "mid1", "", "test"))


def claim(limit: int = 1) -> list[Job]:
    return writer().run(lambda connection: queue.claim(connection, MID, limit))


def deliver(job: Job) -> str:
    result = JobResult(job.sys_id, job.lease, ProbeResult(1, status_code=200))
    return writer().run(lambda connection: queue.complete(connection, MID, [result]))[0][0]


def let_leases_run_out() -> int:
    def age(connection: Connection) -> int:
        connection.change("UPDATE ecc_queue SET lease_until = 1 WHERE state = 'processing'")
        return runner.lapse(connection)

    return writer().run(age)


def let_time_pass(sys_id: str, minutes: int = 11) -> int:
    """As if a job was ready, in its MID Server's hands or not, for so long."""

    def age(connection: Connection) -> int:
        past = minutes * 60_000_000
        connection.change(
            "UPDATE ecc_queue SET sequence = sequence - :past, sys_updated_on = sys_updated_on - :past WHERE sys_id = :id",
            past=past,
            id=sys_id,
        )
        return runner.lapse(connection)

    return writer().run(age)


def item(sys_id: str) -> EccQueueItem:
    return EccQueueItem.objects.get(pk=sys_id)


def test_jobs_come_in_the_order_in_which_they_were_put(instance: Folder) -> None:
    put_ids = [put() for _ in range(5)]
    assert [job.sys_id for job in claim(limit=3)] == put_ids[:3]
    assert [job.sys_id for job in claim(limit=3)] == put_ids[3:]
    assert claim() == []


def test_a_claim_brings_no_more_than_arrives_in_time(instance: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a claim has brought and nobody has received may have been sent: such a POST ends as outcome_unknown."""
    monkeypatch.setattr(queue, "MAX_CLAIMED", 4_000)
    probe = RestProbe("mauth://partner.example", method="POST", body="x" * 3_000)
    large = [writer().run(lambda connection: queue.put(connection, probe, MID, "mid1", "", "test")) for _ in range(5)]
    brought = [[job.sys_id for job in claim(limit=4)] for _ in range(3)]
    assert brought == [large[:2], large[2:4], large[4:]]
    assert {each.attempts for each in EccQueueItem.objects.all()} == {1}


def test_a_lease_is_60_seconds_and_the_probes_timeout(instance: Folder) -> None:
    put()
    (job,) = claim()
    assert job.lease_us == 60_000_000 + 30_000_000


def test_a_lost_job_that_may_be_repeated_is_ready_again(instance: Folder) -> None:
    put("GET")
    (first,) = claim()
    assert let_leases_run_out() == 0
    (second,) = claim()
    assert (second.sys_id, item(second.sys_id).attempts) == (first.sys_id, 2)
    assert second.lease != first.lease
    assert deliver(first) == "late"
    assert deliver(first) == "late"
    assert deliver(second) == "accepted"
    assert deliver(second) == "repeated"
    inputs = EccQueueItem.objects.filter(response_to=first.sys_id).order_by("sequence")
    assert [each.state for each in inputs] == ["error", "processed"]
    assert inputs[0].error_string.startswith("late: ")


def test_a_lost_job_is_not_repeated_for_ever(instance: Folder) -> None:
    put("GET")
    lost = 0
    for _ in range(queue.MAX_ATTEMPTS):
        (job,) = claim()
        lost += let_leases_run_out()
    assert lost == 1
    assert (item(job.sys_id).state, item(job.sys_id).error_string) == ("error", "outcome_unknown")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_lost_job_that_may_not_be_repeated_is_an_error(instance: Folder, method: str) -> None:
    put(method)
    (job,) = claim()
    assert let_leases_run_out() == 1
    assert claim() == []
    assert item(job.sys_id).error_string == "outcome_unknown"
    assert deliver(job) == "late"
    assert item(job.sys_id).state == "error"


def test_a_result_just_after_the_lease_still_counts(instance: Folder) -> None:
    put("POST")
    (job,) = claim()
    writer().run(lambda connection: connection.change("UPDATE ecc_queue SET lease_until = 1"))
    assert deliver(job) == "accepted"


def test_a_job_that_nobody_takes_ends(instance: Folder) -> None:
    old, young = put("POST"), put("POST")
    assert let_time_pass(young, minutes=9) == 0
    assert let_time_pass(old) == 1
    assert (item(old).state, item(old).error_string) == ("error", "mid_server_busy")
    assert [job.sys_id for job in claim(limit=9)] == [young]


def test_a_job_that_is_too_old_is_not_claimed_before_it_ends(instance: Folder) -> None:
    old = put("POST")
    MidServer.objects.all().delete()  # what `lapse` looks for comes second
    writer().run(lambda connection: connection.change("UPDATE ecc_queue SET sequence = 1, sys_updated_on = 1"))
    assert claim() == []
    assert let_time_pass(old) == 1


def test_the_time_of_a_repeated_job_begins_anew(instance: Folder) -> None:
    sys_id = put("GET")
    claim()
    assert let_time_pass(sys_id) == 0
    assert let_leases_run_out() == 0
    assert [job.sys_id for job in claim()] == [sys_id]


@pytest.mark.parametrize("validated", ["false", "rekey"])
def test_the_jobs_of_a_mid_server_that_lost_its_validation_end(instance: Folder, validated: str) -> None:
    ready, running = put("GET"), put("GET")
    (job,) = claim()
    MidServer.objects.update(validated=validated)
    assert let_time_pass(ready if ready != job.sys_id else running, minutes=0) == 1
    assert let_leases_run_out() == 1
    assert {item(each).error_string for each in (ready, running)} == {"mid_server_not_validated"}


def test_the_jobs_of_a_mid_server_that_was_deleted_end(instance: Folder) -> None:
    sys_id = put("GET")
    MidServer.objects.all().delete()
    assert let_time_pass(sys_id, minutes=0) == 1
    assert item(sys_id).error_string == "no_mid_server"


def stranded(**changed: Any) -> queue.Stranded:
    good: dict[str, Any] = {"attempts": 0, "validated": "true", "reported_status": "Up", "last_refreshed": 0}
    return queue.Stranded("job", "mid1", **(good | changed))


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({}, "mid_server_down", "has been Down since 1970-01-01T00:00:00.000Z"),
        ({"last_refreshed": None}, "mid_server_down", "has been Down since it enrolled"),
        ({"last_refreshed": 60_000_000}, "mid_server_busy", "has other calls to make"),
        ({"last_refreshed": 60_000_000, "reported_status": "Draining"}, "mid_server_down", "is Draining"),
        ({"validated": "rekey"}, "mid_server_not_validated", "lost its validation"),
        ({"validated": None}, "no_mid_server", "was deleted"),
    ],
)
def test_why_a_call_was_never_made(changed: dict[str, Any], code: str, words: str) -> None:
    failure = why(stranded(**changed), 61_000_000)
    assert failure.code == code
    assert failure.message.startswith("MID Server mid1 ")
    assert words in failure.message
    assert failure.message.endswith(": nothing was sent to the partner")
    assert failure.remedy.endswith("run the action again")
    assert "may have reached" in why(stranded(**changed, attempts=1), 61_000_000).message


def test_a_failing_unit_takes_no_other_with_it(instance: Folder) -> None:
    gate, probe = threading.Event(), RestProbe("https://a")

    def fail(connection: Connection) -> None:
        queue.put(connection, probe, MID, "mid1", "", "fails")
        raise ValueError("on purpose")

    blocked = writer().submit(lambda _: gate.wait(10))
    good = writer().submit(lambda connection: queue.put(connection, probe, MID, "mid1", "", "good"))
    bad = writer().submit(fail)
    gate.set()
    assert blocked.result(10)
    assert item(good.result(10)).source == "good"
    with pytest.raises(ValueError, match="on purpose"):
        bad.result(10)
    assert not EccQueueItem.objects.filter(source="fails").exists()


async def test_nor_on_an_event_loop(instance: Folder) -> None:
    probe = RestProbe("https://a")

    def putting(name: str, error: str = "") -> Callable[[Connection], str]:
        def unit(connection: Connection) -> str:
            made = "" if error == "at once" else queue.put(connection, probe, MID, "mid1", "", name)
            if error:
                raise ValueError(error)
            return made

        return unit

    driven = drive()
    units = [putting("first"), putting("refused", "at once"), putting("spoilt", "half way"), putting("last")]
    first, refused, spoilt, last = await asyncio.gather(*map(driven.done, units), return_exceptions=True)
    assert (str(refused), str(spoilt)) == ("at once", "half way")
    sources = await asyncio.to_thread(lambda: {each.sys_id: each.source for each in EccQueueItem.objects.all()})
    assert sources == {first: "first", last: "last"}
    await release(driven)


def stumble(*_: object) -> None:
    raise TypeError("nobody has foreseen this")


@pytest.mark.parametrize("made", [drive, writer], ids=["loop", "thread"])
@pytest.mark.parametrize("where", ["begin", "wake"])
async def test_what_nobody_has_foreseen_ends_no_writer(
    instance: Folder, monkeypatch: pytest.MonkeyPatch, made: Callable[[], Writer], where: str
) -> None:
    """A defect outside of every unit, before or after: who waits hears of it, and who comes later is served."""
    driven = made()
    first = await driven.done(lambda connection: connection)
    with monkeypatch.context() as broken:
        broken.setattr(type(first) if where == "begin" else type(wakeups), where, stumble)
        units = [driven.done(lambda _: "done") for _ in "ab"]
        told = await asyncio.wait_for(asyncio.gather(*units, return_exceptions=True), 20)
        if where == "begin":
            assert [type(each) for each in told] == [TypeError, TypeError]
            broken.undo()
        else:
            assert told == ["done", "done"]
        assert await asyncio.wait_for(driven.done(lambda connection: connection), 20) is not first
    assert len(await asyncio.wait_for(driven.done(lambda connection: connection.run("SELECT 1 AS one")), 20)) == 1
    await release(driven)


def test_the_orm_and_the_writer_write_at_the_same_time(instance: Folder) -> None:
    def edit() -> None:
        for number in range(50):
            with transaction.atomic():
                found = MidServer.objects.filter(name="busy").first() or MidServer(name="busy")
                found.host_name = str(number)
                found.save()
        django_connection.close()

    thread = threading.Thread(target=edit)
    thread.start()
    for _ in range(50):
        put()
    thread.join()
    assert MidServer.objects.get(name="busy").host_name == "49"
    assert EccQueueItem.objects.count() == 50


def test_only_the_writer_writes_the_queue(instance: Folder) -> None:
    found = item(put())
    for write in (found.save, found.delete):
        with pytest.raises(TypeError, match="queue's writer only"):
            write()
    with transaction.atomic(), pytest.raises(RuntimeError, match="atomic"):
        writer().run(lambda _: None)


def test_a_caller_who_has_gone_does_not_stop_the_writer(instance: Folder) -> None:
    gate = threading.Event()
    blocked = writer().submit(lambda _: gate.wait(10))
    gone = writer().submit(lambda connection: queue.put(connection, RestProbe("https://a"), MID, "mid1", "", "gone"))
    assert gone.cancel()
    gate.set()
    assert blocked.result(10)
    put()
    assert [each.source for each in EccQueueItem.objects.all()] == ["test"]


def test_the_migrations_make_what_the_models_say(instance: Folder) -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_late_results_are_bounded_and_never_cost_the_one_that_counts() -> None:
    sys_id = put("POST")
    job = claim()[0]
    for number in range(queue.MAX_RESULTS + 5):
        assert deliver(Job(sys_id, f"{number:032x}", 1, job.probe)) == "late"
    assert EccQueueItem.objects.filter(queue="input").count() == queue.MAX_RESULTS
    assert deliver(job) == "accepted"
    assert EccQueueItem.objects.filter(queue="input", state="processed").count() == 1

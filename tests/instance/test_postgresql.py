"""Several writers over one PostgreSQL database: each thing done once; and a server that goes away at any moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from django.conf import settings
from django.db import connections

from openmid.instance.actions import runner
from openmid.instance.actions.ad_hoc import AdHocRequest
from openmid.instance.actions.models import Execution, StepExecution
from openmid.instance.connections.models import ConnectionAlias, HttpConnection
from openmid.instance.ecc import queue, shared_writer
from openmid.instance.ecc.models import EccQueueItem
from openmid.instance.ecc.shared_writer import SharedWriter
from openmid.instance.errors import OutcomeUnknownError
from openmid.instance.folder import Folder
from openmid.instance.mid.models import MidServer
from openmid.instance.operations import retention
from openmid.instance.records import clock, listening
from openmid.instance.records.database import Connection, database, reader
from openmid.instance.records.failures import DatabaseAway
from openmid.instance.records.postgresql import PostgresqlConnection, translated
from openmid.instance.records.statements import Statement
from openmid.instance.records.wakeups import wakeups
from openmid.wire.messages import Job, JobResult
from openmid.wire.probes import ProbeResult, RestProbe
from tests.instance.conftest import POSTGRESQL
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import records
from tests.postgresql import Cluster

T = TypeVar("T")
MID = "a" * 32
on_postgresql = pytest.mark.parametrize("instance", [POSTGRESQL], indirect=True)


@pytest.fixture
def two(instance: Folder) -> Iterator[tuple[SharedWriter, SharedWriter]]:
    """The writers of two nodes; a MID Server that is Up, and the alias `partner`."""
    MidServer.objects.create(sys_id=MID, name="mid1", validated="true", last_refreshed=clock.now() + 45_000_000)
    alias = ConnectionAlias.objects.create(name="partner", connection_type="http_connection")
    HttpConnection.objects.create(
        name="partner", connection_alias=alias, host="partner.example", connection_url="https://partner.example"
    )
    both = SharedWriter(database()), SharedWriter(database())
    yield both
    for each in both:
        each.close()


def at_once(*calls: Callable[[], T]) -> list[T]:
    """The results of calls that are made at the same time."""
    barrier = threading.Barrier(len(calls))

    def made(call: Callable[[], T]) -> T:
        barrier.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(made, calls))


def put(connection: Connection, method: str = "GET") -> str:
    return queue.put(connection, RestProbe("https://partner.example", method=method), MID, "mid1", "", "test")


def begin(connection: Connection, key: str | None = None) -> str:
    return runner.begin_request(connection, "partner", AdHocRequest(method="POST", path="/"), "alice", key)


def result(job: Job) -> JobResult:
    return JobResult(job.sys_id, job.lease, ProbeResult(1, status_code=200))


def test_a_statement_is_translated_and_nothing_else_in_it_is() -> None:
    text = "-- it's :that\nSELECT a::int, ':no', \"b:c\" FROM t WHERE x LIKE '%:y%' AND z = :z AND q % 2 = 0"
    told = b"-- it's :that\nSELECT a::int, ':no', \"b:c\" FROM t WHERE x LIKE '%%:y%%' AND z = %(z)s AND q %% 2 = 0"
    assert translated(text) == told
    assert translated(Statement("SELECT 1", "SELECT :a")) == b"SELECT %(a)s"


@on_postgresql
def test_two_nodes_that_claim_at_once_never_get_the_same_job(two: tuple[SharedWriter, SharedWriter]) -> None:
    ids = two[0].run(lambda connection: [put(connection) for _ in range(60)])

    def claims(writer: SharedWriter) -> list[str]:
        found = []
        while jobs := writer.run(lambda connection: queue.claim(connection, MID, 7)):
            found += [job.sys_id for job in jobs]
        return found

    first, second = at_once(*(lambda each=each: claims(each) for each in two))  # type: ignore[misc]
    assert sorted(first + second) == sorted(ids)


@on_postgresql
def test_one_result_at_two_nodes_is_recorded_once(two: tuple[SharedWriter, SharedWriter]) -> None:
    executions = two[0].run(lambda connection: [begin(connection) for _ in range(10)])
    jobs = two[1].run(lambda connection: queue.claim(connection, MID, 10))
    results = [result(job) for job in jobs]
    orders = (results, results[::-1])  # and in the order that makes them wait for each other
    answers = at_once(
        *(
            lambda writer=writer, order=order: writer.run(lambda c: runner.take(c, MID, order, []))  # type: ignore[misc]
            for writer, order in zip(two, orders, strict=True)
        )
    )
    assert [each.late for each in answers] == [[], []]
    assert EccQueueItem.objects.filter(queue="input").count() == 10
    assert {each.state for each in Execution.objects.filter(sys_id__in=executions)} == {"Completed"}


@on_postgresql
def test_lost_jobs_end_once_whoever_looks(two: tuple[SharedWriter, SharedWriter]) -> None:
    two[0].run(lambda connection: [begin(connection) for _ in range(40)])
    two[0].run(lambda connection: queue.claim(connection, MID, 40))
    two[0].run(lambda connection: connection.change("UPDATE ecc_queue SET lease_until = 1"))
    ended = at_once(*(lambda each=each: each.run(runner.lapse) for each in two))  # type: ignore[misc]
    ended += [each.run(runner.lapse) for each in two]
    assert sum(ended) == 40
    assert set(StepExecution.objects.values_list("state", flat=True)) == {"Error"}


@on_postgresql
def test_an_idempotency_key_at_two_nodes_starts_one_execution(two: tuple[SharedWriter, SharedWriter]) -> None:
    for number in range(5):
        key = f"key {number}"
        ids = at_once(*(lambda each=each, key=key: each.run(lambda c: begin(c, key)) for each in two))  # type: ignore[misc]
        assert ids[0] == ids[1]
    assert Execution.objects.count() == EccQueueItem.objects.count() == 5


@on_postgresql
def test_a_cancel_waits_for_the_node_that_ends_the_job_and_is_not_lost(two: tuple[SharedWriter, SharedWriter]) -> None:
    (execution,) = two[0].run(lambda connection: [begin(connection)])
    (job,) = two[0].run(lambda connection: queue.claim(connection, MID, 1))
    taken, go_on = threading.Event(), threading.Event()

    def take(connection: Connection) -> None:
        runner.take(connection, MID, [result(job)], [])
        taken.set()
        assert go_on.wait(10)

    taking = two[0].submit(take)
    assert taken.wait(10)
    cancelling = two[1].submit(lambda connection: runner.cancel(connection, execution))
    waits = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while not cancelling.done() and reader().first(waits)["n"] == 0:
        pass
    go_on.set()
    taking.result(10)
    assert cancelling.result(10) is True  # there was nothing left to cancel
    assert Execution.objects.get().state == "Completed"


@on_postgresql
def test_units_that_lock_each_other_out_are_both_done(two: tuple[SharedWriter, SharedWriter]) -> None:
    ids = two[0].run(lambda connection: [put(connection) for _ in range(2)])
    barrier = threading.Barrier(2)

    def unit(order: list[str]) -> Callable[[Connection], None]:
        def fail_both(connection: Connection) -> None:
            queue.fail(connection, order[0], "first")
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait(3)  # at the second run nobody else comes
            queue.fail(connection, order[1], "second")

        return fail_both

    for each in [writer.submit(unit(order)) for writer, order in zip(two, (ids, ids[::-1]), strict=True)]:
        each.result(30)
    assert set(EccQueueItem.objects.values_list("state", flat=True)) == {"error"}


@on_postgresql
def test_a_unit_that_the_commit_refuses_takes_no_other_with_it(two: tuple[SharedWriter, SharedWriter]) -> None:
    gate = threading.Event()
    blocked = two[0].submit(lambda _: gate.wait(10))
    good = two[0].submit(put)
    nobody = "UPDATE ecc_agent SET fips_proof_id = 'nobody'"  # the foreign key is looked at when the commit comes
    bad = two[0].submit(lambda connection: connection.change(nobody))
    gate.set()
    assert blocked.result(10)
    assert EccQueueItem.objects.get().sys_id == good.result(10)
    with pytest.raises(Exception, match="foreign key"):
        bad.result(10)


class Cutting:
    """Stands before the server, and cuts the connection at a COMMIT: before it is passed on, or before its answer is."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = ""
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if from_client and self.cut and b"COMMIT" in data:
                    how, self.cut = self.cut, ""
                    self.cuts += 1
                    if how == "after":
                        source.shutdown(socket.SHUT_RDWR)  # nobody hears the answer
                        target.sendall(data)
                    break
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cutting(two: tuple[SharedWriter, SharedWriter], cluster: Cluster) -> Iterator[tuple[Cutting, SharedWriter]]:
    """A writer whose connection can be cut."""
    between = Cutting(cluster.port)
    default = settings.DATABASES["default"]
    default["PORT"] = str(between.port)
    writer = SharedWriter(database())
    writer.run(put)
    default["PORT"] = str(cluster.port)
    yield between, writer
    between.cut = ""
    writer.close()


@on_postgresql
@pytest.mark.parametrize("how", ["before", "after"])
def test_a_commit_whose_answer_is_lost_is_done_once(cutting: tuple[Cutting, SharedWriter], how: str) -> None:
    between, writer = cutting
    between.cut = how
    ids = [writer.run(put), writer.run(put)]
    assert between.cuts == 1
    assert sorted(EccQueueItem.objects.exclude(sys_id__in=ids).values_list("source")) == [("test",)]
    assert EccQueueItem.objects.count() == 3


@on_postgresql
def test_a_server_that_does_not_come_back_is_said_to_be_away(
    cutting: tuple[Cutting, SharedWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    between, writer = cutting
    monkeypatch.setattr(shared_writer, "AWAY_S", 0.3)
    monkeypatch.setattr(shared_writer, "UNKNOWN_S", 0.3)
    monkeypatch.setattr(PostgresqlConnection, "_open", away)
    between.cut = "before"
    with pytest.raises(OutcomeUnknownError, match="whether it was is not known"):
        writer.run(put)
    with pytest.raises(DatabaseAway):
        writer.run(put)
    monkeypatch.undo()
    writer.run(put)
    assert EccQueueItem.objects.count() == 2


def away(*_: Any) -> Any:
    raise DatabaseAway("on purpose")


@on_postgresql
def test_a_server_that_crashes_in_the_middle_of_work_loses_nothing_and_does_nothing_twice(
    two: tuple[SharedWriter, SharedWriter], cluster: Cluster
) -> None:
    enough, ids = threading.Event(), []

    def works(writer: SharedWriter) -> list[str]:
        found = []
        while not enough.is_set():
            found.append(writer.run(begin))
            ids.append(found[-1])
        return found

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(works, writer) for writer in two for _ in range(2)]
        for goal in (20, 60):
            while len(ids) < goal:
                assert not any(each.done() for each in working)
            cluster.restart("immediate")
        while len(ids) < 100:
            assert not any(each.done() for each in working)
        enough.set()
        accepted = [each for done in working for each in done.result(60)]
    connections.close_all()
    assert reader().first("SELECT count(*) AS n FROM execution")["n"] == len(accepted)
    assert sorted(Execution.objects.values_list("sys_id", flat=True)) == sorted(accepted)
    assert EccQueueItem.objects.filter(queue="output").count() == len(accepted)


@on_postgresql
def test_whoever_waits_while_the_server_goes_away_hears_that_the_call_was_accepted(
    api: Api, mid: Mid, cluster: Cluster
) -> None:
    """An error would make a script begin another one."""
    records(api)
    with ThreadPoolExecutor() as pool:
        one = pool.submit(api.execute, "call", 4)
        many = pool.submit(api.post, "/api/v1/actions/call/execute-batch", {"executions": [{}]}, Prefer="wait=4")
        mid.job(), mid.job()
        cluster.stop("immediate")
        try:
            replies = [one.result(), many.result()]
        finally:
            cluster.start()
    assert [reply.status for reply in replies] == [202, 202]
    ids = [replies[0].json["sys_id"], replies[1].json["executions"][0]["sys_id"]]
    assert replies[0].headers["location"] == f"/api/v1/executions/{ids[0]}"
    assert [api.details(each)["state"] for each in ids] == ["In Progress"] * 2


def test_a_message_wakes_as_many_as_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"execution:{number:032x}" for number in range(500)]
    messages = list(listening.payloads([*keys, *keys]))
    assert [key for message in messages for key in message.split()[1:]] == keys
    assert max(map(len, messages)) < 8000
    woken: list[str] = []
    monkeypatch.setattr(wakeups, "wake", lambda *names: woken.extend(names))
    monkeypatch.setattr(wakeups, "wake_all", lambda: woken.append("all"))
    listening.heard(messages[0])
    listening.heard("")
    assert woken == []  # this node's own, and nobody's
    listening.heard("other mid:1 execution:2")
    listening.heard("other mid:1 *")
    assert woken == ["mid:1", "execution:2", "all"]


@on_postgresql
def test_purging_goes_on_after_the_server_was_restarted(instance: Folder, cluster: Cluster) -> None:
    """In a thread that purges once an hour and does nothing else."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(retention.tidy, 90).result()
        cluster.restart("fast")
        assert thread.submit(retention.tidy, 90).result().executions == 0

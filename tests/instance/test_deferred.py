"""Changes that are written together: nobody sees that they waited, and one that fails takes no other unit with it."""

from __future__ import annotations

import pytest

from openmid.instance.ecc import queue
from openmid.instance.ecc.writer import writer
from openmid.instance.folder import Folder
from openmid.instance.records.database import DATABASE_ERRORS, Connection, reader
from openmid.instance.records.deferred import Deferred
from openmid.wire.probes import RestProbe

on_both_databases = True
INSERT, MOVE = "INSERT INTO a VALUES (:x)", "UPDATE a SET x = :x"
PUT = "INSERT INTO ecc_writer (writer, mark, seen) VALUES (:writer, :mark, 0)"
MARK = "UPDATE ecc_writer SET mark = :mark WHERE writer = :writer"
READ = "SELECT mark FROM ecc_writer WHERE writer = :writer"


def test_rows_of_one_statement_go_together_and_no_change_before_its_insert() -> None:
    deferred = Deferred()
    for statement, x in ((INSERT, 1), (MOVE, 2), (INSERT, 3), (MOVE, 4), (MOVE, 5)):
        deferred.add(statement, {"x": x})
    assert deferred.take() == [(INSERT, [{"x": 1}, {"x": 3}]), (MOVE, [{"x": 2}, {"x": 4}, {"x": 5}])]
    for statement, x in ((MOVE, 1), ("INSERT INTO b VALUES (:x)", 2), (MOVE, 3)):
        deferred.add(statement, {"x": x})
    assert [rows for _, rows in deferred.take()] == [[{"x": 1}], [{"x": 2}], [{"x": 3}]]
    assert not deferred


def test_a_row_of_the_queue_is_inserted_before_it_is_changed() -> None:
    """Statements of a file have a comment before their verb."""
    for put in (queue.SQL["insert_output"], queue.SQL["insert_input"]):
        deferred = Deferred()
        for statement in (MOVE, put, MOVE, put):
            deferred.add(statement, {})
        assert [(statement, len(rows)) for statement, rows in deferred.take()] == [(MOVE, 1), (put, 2), (MOVE, 1)]


@pytest.mark.parametrize("look", ["run", "first", "change"])
def test_whoever_looks_sees_what_waited(instance: Folder, look: str) -> None:
    def unit(connection: Connection) -> object:
        connection.later(PUT, writer="w", mark="a")
        connection.later(MARK, writer="w", mark="b")
        if look == "change":
            assert connection.change(MARK, writer="w", mark="c") == 1
        found = connection.run(READ, writer="w")[0] if look == "run" else connection.first(READ, writer="w")
        assert found is not None
        return found["mark"]

    assert writer().run(unit) == ("c" if look == "change" else "b")


def test_the_commit_writes_what_waits(instance: Folder) -> None:
    writer().run(lambda connection: connection.later(PUT, writer="w", mark="a"))
    row = reader().first(READ, writer="w")
    assert row is not None
    assert row["mark"] == "a"


def test_what_the_database_refuses_is_its_own_units_failure(instance: Folder) -> None:
    good = [writer().submit(lambda connection: put(connection)) for _ in range(3)]
    twice = writer().submit(lambda connection: [connection.later(PUT, writer="w", mark=mark) for mark in "ab"])
    good += [writer().submit(lambda connection: put(connection)) for _ in range(3)]
    with pytest.raises(DATABASE_ERRORS):
        twice.result(timeout=60)
    sys_ids = {each.result(timeout=60) for each in good}
    assert {row["sys_id"] for row in reader().run("SELECT sys_id FROM ecc_queue")} == sys_ids
    assert reader().first(READ, writer="w") is None


def test_a_unit_that_fails_leaves_nothing_to_be_written(instance: Folder) -> None:
    def failing(connection: Connection) -> None:
        connection.later(PUT, writer="w", mark="a")
        raise LookupError("on purpose")

    fails = writer().submit(failing)
    with pytest.raises(LookupError):
        fails.result(timeout=60)
    writer().run(put)
    assert reader().first(READ, writer="w") is None


def put(connection: Connection) -> str:
    return queue.put(connection, RestProbe("https://a"), "m" * 32, "mid1", "", "test")

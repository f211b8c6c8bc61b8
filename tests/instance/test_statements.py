"""Every statement of every .sql file, on a freshly migrated database of each kind; and SQLite's own ways."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from django.db import connection as django_connection

import openmid.instance
from openmid.instance.ecc import queue
from openmid.instance.ecc.writer import writer
from openmid.instance.folder import Folder
from openmid.instance.records.database import connect, database, reader
from openmid.instance.records.statements import Statement, statements
from openmid.wire.probes import RestProbe
from tests.instance.conftest import both

HERE = Path(openmid.instance.__file__).parent
FILES = sorted(str(each.relative_to(HERE)) for each in HERE.rglob("*.sql"))
MID = "a" * 32


def named(file: str) -> dict[str, Statement]:
    folder, _, name = file.partition("/")
    return statements(f"openmid.instance.{folder}", name)


@both
@pytest.mark.parametrize("file", FILES)
def test_every_statement_is_one_that_the_database_prepares(instance: Folder, file: str) -> None:
    found = named(file)
    assert found
    for name, statement in found.items():
        values = dict.fromkeys(re.findall(r":(\w+)", statement + statement.postgresql))
        values |= {"now": 1, "lease_us": 1, "limit": 1, "jump": 1}
        explain = Statement(f"EXPLAIN {statement}", f"EXPLAIN {statement.postgresql}")
        assert reader().run(explain, **values), name


def test_a_statement_is_written_twice_only_where_the_databases_differ() -> None:
    twice = {name for file in FILES for name, each in named(file).items() if each.postgresql != each}
    assert twice == {"claim", "item", "lapsed", "stranded", "unattended", "in_force", "heartbeat"}


def test_a_claim_uses_the_index_of_ready_jobs(instance: Folder) -> None:
    statement = statements("openmid.instance.ecc", "queue.sql")["claim"]
    values = {"now": 1, "lease_us": 1, "limit": 1, "mid_server": MID, "lease": "", "before": 0, "first": 0, "last": 2}
    plan = " ".join(row["detail"] for row in reader().run(f"EXPLAIN QUERY PLAN {statement}", **values))
    assert "ecc_queue_ready" in plan
    assert "SCAN" not in plan


def test_looking_for_stranded_jobs_reads_ready_ones_only(instance: Folder) -> None:
    statement = statements("openmid.instance.ecc", "queue.sql")["stranded"]
    plan = [row["detail"] for row in reader().run(f"EXPLAIN QUERY PLAN {statement}", before=1, limit=1)]
    assert "SCAN item USING INDEX ecc_queue_ready" in plan


def test_what_a_future_returns_is_on_the_disk(instance: Folder) -> None:
    sys_id = writer().run(lambda connection: queue.put(connection, RestProbe("https://a"), MID, "mid1", "", "test"))
    other = sqlite3.connect(f"file:{database()}?mode=ro", uri=True)
    assert other.execute("SELECT state FROM ecc_queue WHERE sys_id = ?", [sys_id]).fetchone() == ("ready",)
    assert connect(database()).first("PRAGMA synchronous")[0] == 2
    with django_connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone()[0] == "wal"
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == 2

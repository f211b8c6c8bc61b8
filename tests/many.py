"""Rows by the hundred thousand, by SQL, into an instance's SQLite database: copies of executions that were really run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

DAY_US = 86_400_000_000
NEW_IDS = {
    "execution": {"sys_id": "printf('e%031x', n)"},
    "step_execution": {
        "sys_id": "printf('5%029x%02x', n, position)",
        "execution": "printf('e%031x', n)",
        "item": "printf('a%029x%02x', n, position)",
        "response": "CASE response WHEN '' THEN '' ELSE printf('b%029x%02x', n, position) END",
    },
    "ecc_queue": {
        "sys_id": "printf(CASE queue WHEN 'output' THEN 'a%029x%02x' ELSE 'b%029x%02x' END, n, place)",
        "response_to": "CASE queue WHEN 'output' THEN '' ELSE printf('a%029x%02x', n, place) END",
    },
}
MOVED = {"sys_created_on", "sys_updated_on", "finished", "started", "processed"}
OF = {
    "execution": "SELECT *, sys_id AS original FROM execution",
    "step_execution": "SELECT *, execution AS original FROM step_execution",
    "ecc_queue": """
        SELECT ecc_queue.*, step.execution AS original, step.position AS place
        FROM ecc_queue JOIN step_execution AS step ON ecc_queue.sys_id IN (step.item, step.response)
    """,
}


def executions(database: sqlite3.Connection, originals: Sequence[str], count: int, days: int = 30) -> None:
    """`count` more executions, over the last `days`: the originals by turns, with steps, jobs and results."""
    database.execute("BEGIN IMMEDIATE")  # one that has read first may not write once the instance has written
    database.execute("CREATE TEMP TABLE original (sys_id TEXT, turn INTEGER)")
    database.executemany("INSERT INTO original VALUES (?, ?)", [(each, turn) for turn, each in enumerate(originals)])
    for table in ("ecc_queue", "step_execution", "execution"):
        database.execute(
            _copy(database, table), {"count": count, "gap": days * DAY_US // count, "turns": len(originals)}
        )
    database.execute("DROP TABLE original")
    database.commit()


def _copy(database: sqlite3.Connection, table: str) -> str:
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    shift = {name: f"{name} - n * :gap" for name in MOVED & set(names)}
    values = {name: name for name in names} | shift | NEW_IDS[table]
    if "idempotency_key" in names:
        values["idempotency_key"] = "NULL"
    return f"""
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
        INSERT INTO {table} ({", ".join(names)})
        SELECT {", ".join(values[name] for name in names)}
        FROM numbers
        JOIN original ON original.turn = n % :turns
        JOIN ({OF[table]}) AS copied ON copied.original = original.sys_id
    """


def audit(database: sqlite3.Connection, count: int) -> None:
    """`count` more entries of the audit trail."""
    database.execute(
        """
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
        INSERT INTO sys_audit
            (sys_id, sys_created_on, user, address, event, tablename, documentkey, display, fieldname, oldvalue, newvalue)
        SELECT
            printf('d%031x', n), :now - n * 1000000, 'admin', '192.0.2.7', 'update', 'http_connection',
            printf('c%031x', n % 500), 'Orders over mutual TLS', 'host', 'orders.partner.example', 'orders2.partner.example'
        FROM numbers
        """,
        {"count": count, "now": database.execute("SELECT MAX(sys_created_on) FROM sys_audit").fetchone()[0]},
    )
    database.commit()

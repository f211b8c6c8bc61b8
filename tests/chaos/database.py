"""What the instance has recorded, read beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.postgresql import Cluster

Rows = Callable[[str], list[tuple[Any, ...]]]

ENDS = """
SELECT execution.sys_id, execution.idempotency_key, execution.state, count(step.sys_id), min(step.error),
    coalesce(max(result.results), 0)
FROM execution LEFT JOIN step_execution AS step ON step.execution = execution.sys_id
LEFT JOIN (
    SELECT agent_correlator, count(*) AS results FROM ecc_queue
    WHERE queue = 'input' AND state = 'processed' GROUP BY agent_correlator
) AS result ON result.agent_correlator = execution.sys_id
WHERE execution.idempotency_key IS NOT NULL
GROUP BY execution.sys_id, execution.idempotency_key, execution.state
"""
TWICE = """
SELECT response_to, count(*) FROM ecc_queue WHERE queue = 'input' AND state = 'processed'
GROUP BY response_to HAVING count(*) > 1
"""
LEFT = "SELECT count(*) FROM ecc_queue WHERE queue = 'output' AND state IN ('ready', 'processing')"


def sqlite_rows(path: Path) -> Rows:
    """Rows of an instance's SQLite database."""

    def rows(statement: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
        try:
            return database.execute(statement).fetchall()
        finally:
            database.close()

    return rows


def sqlite_damage(rows: Rows) -> str:
    """What SQLite finds wrong with its file; empty: nothing."""
    found = rows("PRAGMA integrity_check")[0][0]
    return "" if found == "ok" else str(found)


NAME = "chaos"
DURABLE = "fsync = on\nautovacuum = on\n"
"""Settings of the cluster: a crash must lose nothing."""

INDEXES = """
SELECT bt_index_check(index.indexrelid::regclass) FROM pg_index AS index
JOIN pg_class AS class ON class.oid = index.indexrelid JOIN pg_am AS am ON am.oid = class.relam
JOIN pg_namespace AS space ON space.oid = class.relnamespace
WHERE am.amname = 'btree' AND space.nspname = 'public'
"""


def postgresql_damage(cluster: Cluster) -> str:
    """What amcheck finds wrong with the indexes; empty: nothing."""
    try:
        cluster.sql("CREATE EXTENSION IF NOT EXISTS amcheck", NAME)
        cluster.sql(INDEXES, NAME)
    except Exception as error:  # whatever it is, it is the finding
        return str(error)
    return ""

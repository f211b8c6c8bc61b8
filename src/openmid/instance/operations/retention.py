"""Executions, their jobs and answers are kept for `retention_days` of instance.json; the audit trail is kept for ever.

Deleted in small units of the queue's writer, so that nobody waits for it. What nobody can use goes whatever the setting
says: sessions that have ended, files of attachments that no record knows.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial

from django.contrib.sessions.backends.db import SessionStore
from django.db import connections

from openmid.instance.attachments import files
from openmid.instance.attachments.models import Attachment
from openmid.instance.ecc.writer import writer
from openmid.instance.errors import InstanceError
from openmid.instance.folder import Folder
from openmid.instance.records import clock
from openmid.instance.records.database import DATABASE_ERRORS, Connection, reader
from openmid.instance.records.statements import statements
from openmid.instance.records.trouble import of_the_database

SQL = statements("openmid.instance.operations", "purge.sql")
SETTING, DAYS = "retention_days", 90
"""0 keeps everything."""
DAY_US = 24 * 3600 * 1_000_000
AT_ONCE = 100
EVERY_S = 3600.0
MANY_PROOFS = 1000
log = logging.getLogger("openmid.instance")


@dataclass
class Purged:
    """How much was deleted."""

    executions: int = 0
    items: int = 0


def purge(days: int) -> Purged:
    """Delete what is older than `days`. Returns how much that was."""
    before, done = max(clock.now() - days * DAY_US, 0), Purged()
    _attachments(before)
    _proofs()
    while True:
        count = writer().run(lambda connection: _executions(connection, before))
        done.executions += count
        if count < AT_ONCE:
            break
    while True:
        count = writer().run(
            lambda connection: connection.change(SQL["delete_left_over"], before=before, limit=AT_ONCE)
        )
        done.items += count
        if count < AT_ONCE:
            return done


def _executions(connection: Connection, before: int) -> int:
    rows = connection.run(SQL["old_executions"], before=before, limit=AT_ONCE)
    for row in rows:
        execution = row["sys_id"]
        for item in connection.run(SQL["items"], execution=execution):
            connection.change(SQL["delete_responses"], item=item["item"])
            connection.change(SQL["delete_item"], item=item["item"])
        connection.change(SQL["delete_steps"], execution=execution)
        connection.change(SQL["delete_execution"], execution=execution)
    return len(rows)


def _attachments(before: int) -> None:
    """What answers of partners left, as old as their executions; what people have uploaded stays."""
    old = Attachment.objects.filter(table_name="ecc_queue", sys_created_on__lt=clock.moment(before))
    for each in old.iterator(chunk_size=AT_ONCE):
        files.delete(each)


def _proofs() -> None:
    """What nobody's execution rests on goes once there is much of it; found beside the writer, deleted in small units."""
    counted = reader().first(SQL["proofs"])
    if counted is None or counted["count"] <= MANY_PROOFS:
        return
    loose = [row["sys_id"] for row in reader().run(SQL["loose_proofs"])]
    for at in range(0, len(loose), AT_ONCE):
        writer().run(partial(_delete_proofs, loose[at : at + AT_ONCE]))


def _delete_proofs(loose: list[str], connection: Connection) -> None:
    for sys_id in loose:
        connection.change(SQL["delete_proof"], sys_id=sys_id)


def tidy(days: int) -> Purged:
    """What a running instance does, in a thread: `purge`, unless `days` is 0, and what nobody can use."""
    try:
        files.sweep()
        SessionStore.clear_expired()
        return purge(days) if days else Purged()
    finally:
        connections.close_all()  # nobody else closes this thread's, and one that is broken would stay so


async def keep_tidy(folder: Folder) -> None:
    """Purge once an hour, as long as the instance runs."""
    while True:
        try:
            days = folder.number(SETTING, DAYS)
            done = await asyncio.to_thread(tidy, days)
        except InstanceError as error:
            log.error("nothing was purged: %s (%s)", error, error.hint)  # noqa: TRY400  a sentence is enough
        except DATABASE_ERRORS as error:
            log.error("nothing was purged: %s", (of_the_database(error) or (error,))[0])  # noqa: TRY400
        except Exception:
            log.exception("nothing was purged")
        else:
            if done.executions:
                log.info("purged %d executions older than %d days", done.executions, days)
        await asyncio.sleep(EVERY_S)

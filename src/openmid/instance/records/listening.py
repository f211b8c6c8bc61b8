"""Wake-ups between nodes: PostgreSQL's LISTEN and NOTIFY, one channel, `node key key …` a message, `*` for everybody.

A commit notifies in its own transaction, so nobody is woken for what is not there. Messages may be lost with a
connection; whoever hears again after that wakes everybody, and polling is the truth in any case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db import connection, transaction

from openmid.fips import keys
from openmid.instance.records.wakeups import wakeups

CHANNEL = "openmid"
NODE = keys.identifier()
"""This process, among those that share a database."""

EVERYBODY = "*"
MOST = 7_900
"""Bytes of a message: PostgreSQL takes fewer than 8,000."""
AGAIN_S = 1.0
log = logging.getLogger("openmid.instance")


def payloads(woken: Iterable[str]) -> Iterator[str]:
    """The messages that wake those on the other nodes."""
    message = NODE
    for key in dict.fromkeys(woken):
        if len(message) + 1 + len(key) > MOST:
            yield message
            message = NODE
        message += f" {key}"
    if message != NODE:
        yield message


def heard(message: str) -> None:
    """Wake whom another node's message names."""
    node, *woken = message.split() or [NODE]  # anybody may notify, of nothing, too
    if node == NODE:
        return
    if EVERYBODY in woken:
        wakeups.wake_all()
    else:
        wakeups.wake(*woken)


def wake_everybody_after_commit() -> None:
    """The ORM's transaction changes what every MID Server may have to know: after it, wake everybody on every node."""
    transaction.on_commit(_wake_everybody, robust=True)


def _wake_everybody() -> None:
    wakeups.wake_all()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"{NODE} {EVERYBODY}"])


async def listen() -> None:
    """Hear the other nodes until cancelled; connect anew whenever the connection is lost."""
    import psycopg

    while True:
        try:
            await _listen()
        except psycopg.Error as error:
            log.warning("wake-ups of other nodes are not heard: %s", (str(error).splitlines() or [""])[0])
        await asyncio.sleep(AGAIN_S)


async def _listen() -> None:
    import psycopg

    from openmid.instance.records.postgresql import parameters

    given = parameters(settings.DATABASES["default"]) | {"application_name": f"openmid listener {NODE}"}
    async with await psycopg.AsyncConnection.connect(**given, autocommit=True) as listening:
        await listening.execute(f"LISTEN {CHANNEL}".encode())
        wakeups.wake_all()
        async for each in listening.notifies():
            heard(each.payload)

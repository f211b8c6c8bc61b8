"""Each page's queries and milliseconds for an administrator, at 100,000 executions and 100,000 audit entries.

    python bench/pages.py [--json] [--executions 100000] [--rounds 5] [--furnished DIR]

The instance is furnished by its API and a MID Server that answers for the partners; then rows are copied by SQL. With
--furnished it is one that stands: DIR is its folder, which is filled, and DIR/furnished.json names its records. A page
is asked for in this process, without the network: `ms` is the median of the rounds, `few` its queries before the copies
(0 in a bench of one round).
A page with more than 20 queries ends the bench with status 1.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import common

sys.path.insert(0, str(common.HERE.parent))

from tests import many
from tests.browser.furnished import Furnished, furnish
from tests.browser.standing import faked, running
from tests.every_page import KINDS, PAGES, A

MOST_QUERIES = 20
OF_MODELS = {
    "audit": "audit.Audit",
    "token": "access.ApiToken",
    "user": "auth.User",
    "issue": "mid.MidIssue",
}
COPIES = 60
CROWD = (
    ("mid.MidServer", "mid", "name", ""),
    ("mid.MidIssue", "issue", "source", ""),
    ("mid.MidCluster", "cluster", "name", "members"),
    ("connections.ConnectionAlias", "alias", "name", "connections"),
    ("connections.MidProtocolProfile", "profile", "protocol", ""),
    ("connections.BasicAuthCredential", "basic_auth", "name", ""),
    ("actions.Action", "action", "name", "steps"),
    ("attachments.Attachment", "attachment", "file_name", ""),
    ("auth.User", "user", "username", ""),
)
"""Model, the key of the record to copy, the column that differs, and what hangs on it."""
Fetch = Callable[[str], tuple[int, float]]


def main() -> int:
    wanted = common.arguments(__doc__, {"furnished": ""}, executions=100_000, rounds=5)
    with common.folder() as temporary:
        folder = Path(wanted.furnished or temporary / "instance")
        found = standing_in(folder) if wanted.furnished else furnished_in(folder)
        fetch, records = opened(folder, found)
        seen = [page for page in PAGES if A in page.sees]
        few = {page.name: fetch(page.at(records))[0] if wanted.rounds > 1 else 0 for page in seen}
        crowd(records)
        fill(folder, found, wanted.executions)
        pages = [measured(page.name, page.at(records), fetch, wanted.rounds) | {"few": few[page.name]} for page in seen]
    worst = max(page["queries"] for page in pages)
    slowest = max(page["ms"] for page in pages)
    common.report(
        {"executions": wanted.executions, "worst": worst, "slowest_ms": slowest, "pages": pages},
        table(pages),
        as_json=wanted.json,
    )
    return 1 if worst > MOST_QUERIES else 0


def furnished_in(folder: Path) -> Furnished:
    """An instance that ran, with records of every kind; it is stopped."""
    with running(folder) as instance, faked(instance) as (_, place):
        return furnish(place, Furnished())


def standing_in(folder: Path) -> Furnished:
    """The records of an instance that was furnished before."""
    return Furnished(json.loads((folder / "furnished.json").read_text()))


def opened(folder: Path, found: Furnished) -> tuple[Fetch, dict[str, str]]:
    """How an administrator's browser gets a page of it, and all records."""
    from openmid.instance.setup import use

    use(folder)
    from django.apps import apps
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    records = found.records | {
        key: str(apps.get_model(model)._default_manager.values_list("pk", flat=True)[0])
        for key, model in OF_MODELS.items()
    }
    missing = {kind.key for kind in KINDS} - records.keys()
    assert not missing, missing
    client = Client(HTTP_HOST=settings.ALLOWED_HOSTS[0], **{"wsgi.url_scheme": "https"})
    client.force_login(User.objects.get(username="admin"))
    return lambda path: timed(client, path), records


def timed(client: Any, path: str) -> tuple[int, float]:
    """Queries and milliseconds of one answer."""
    with counted() as queries:
        before = time.perf_counter()
        answer = client.get(path)
        took = (time.perf_counter() - before) * 1000
    if answer.status_code != 200:
        sys.exit(f"{path} was answered {answer.status_code}")
    return len(queries), took


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """Every statement, of the ORM and of the readers that do without it."""
    from django.db import connection

    from openmid.instance.records import database

    found: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        found.append(sql)
        return execute(sql, *rest)

    reader = database.reader()
    reader.set_trace_callback(found.append)
    with connection.execute_wrapper(note):
        yield found
    reader.set_trace_callback(None)


def crowd(records: dict[str, str]) -> None:
    """A list's page full of each kind that people make: what asks once a row shows."""
    from django.apps import apps

    for label, key, column, parts in CROWD:
        original = apps.get_model(label)._default_manager.get(pk=records[key])
        for number in range(COPIES):
            copied(original, column, f"{getattr(original, column)}{number}"[-80:], parts)


def copied(original: Any, column: str, name: str, parts: str) -> None:
    """A record like `original` under another name, with as many others beside it."""
    made = type(original)._default_manager.get(pk=original.pk)
    beside = {field.name: list(getattr(made, field.name).all()) for field in made._meta.many_to_many}
    hanging = list(getattr(original, parts).all()) if parts else []
    setattr(anew(made), column, name)
    made.save()
    for field, records in beside.items():
        getattr(made, field).set(records)
    for part in hanging:
        setattr(anew(part), getattr(type(original), parts).field.name, made)
        part.save()


def anew(record: Any) -> Any:
    """A record that the database will take for a new one."""
    from openmid.instance.records.base import new_sys_id

    if hasattr(record, "sys_id"):
        record.pk = record.sys_id = new_sys_id()
    else:
        record.pk = None
    record._state.adding = True
    return record


def fill(folder: Path, found: Furnished, executions: int) -> None:
    """The copies."""
    originals = [found.records[key] for key in ("execution", "placed", "execution", "fault", "execution", "failed")]
    with contextlib.closing(sqlite3.connect(folder / "openmid.sqlite3", timeout=30)) as database:
        many.executions(database, originals, executions)
        many.audit(database, executions)
        database.execute("ANALYZE")


def measured(name: str, path: str, fetch: Fetch, rounds: int) -> common.Figures:
    """The page's queries, and the median of its times; of several after a first one."""
    if rounds > 1:
        fetch(path)
    queries, times = zip(*(fetch(path) for _ in range(rounds)), strict=True)
    return {"page": name, "queries": max(queries), "ms": round(statistics.median(times), 1)}


def table(pages: list[common.Figures]) -> list[str]:
    rows = [f"{'page':34} queries  before       ms"]
    return rows + [f"{page['page']:34} {page['queries']:7} {page['few']:7} {page['ms']:8.1f}" for page in pages]


if __name__ == "__main__":
    sys.exit(main())

"""Writing the audit trail, and reading it out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator

from django.db.models import QuerySet

from openmid.instance.audit.models import Audit, Event
from openmid.instance.records import clock
from openmid.instance.records.actor import actor, address

COLUMNS = (
    "when",
    "user",
    "address",
    "event",
    "tablename",
    "documentkey",
    "display",
    "fieldname",
    "oldvalue",
    "newvalue",
)
LONGEST = 4000
"""Characters of a value; of a longer one the begin is kept."""


def note(event: Event, *, user: str = "", table: str = "", key: str = "", display: str = "", detail: str = "") -> None:
    """One event that is no change of a column."""
    _entry(event, user or actor(), table, key, display, newvalue=cut(detail)).save(force_insert=True)


def note_changes(event: Event, table: str, key: str, display: str, changes: dict[str, tuple[str, str]]) -> None:
    """One row for each changed column: its name, the value before and after."""
    rows = [
        _entry(event, actor(), table, key, display, fieldname=name, oldvalue=cut(old), newvalue=cut(new))
        for name, (old, new) in changes.items()
    ]
    Audit.objects.bulk_create(rows)


def _entry(event: Event, user: str, table: str, key: str, display: str, **values: str) -> Audit:
    return Audit(
        sys_created_on=clock.now(),
        user=user[:150],
        address=address()[:64],
        event=event,
        tablename=table,
        documentkey=key[:64],
        display=display[:255],
        **values,
    )


def cut(value: str) -> str:
    """A value as it is kept."""
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value)} characters)"


def row(entry: Audit) -> dict[str, str]:
    """An entry as it is exported."""
    found = {name: str(getattr(entry, name)) for name in COLUMNS if name != "when"}
    return {"when": clock.iso(entry.sys_created_on) or "", **found}


def as_csv(entries: QuerySet[Audit]) -> Iterator[str]:
    """Comma-separated values (RFC 4180), with a head. A value that a spreadsheet would calculate is quoted for it."""
    yield csv_line(COLUMNS)
    for entry in entries.iterator(chunk_size=1000):
        yield csv_line(row(entry).values())


def as_json_lines(entries: QuerySet[Audit]) -> Iterator[str]:
    """One JSON object a line."""
    for entry in entries.iterator(chunk_size=1000):
        yield json.dumps(row(entry), ensure_ascii=False) + "\n"


def csv_line(values: Iterable[object]) -> str:
    """One line (RFC 4180), safe for a spreadsheet."""
    text = io.StringIO()
    csv.writer(text).writerow(_harmless(str(value)) for value in values)
    return text.getvalue()


def _harmless(value: str) -> str:
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value

"""`openmid instance rotate-key`: a new key for the secrets in the database.

The new key goes before the old ones in `secrets/field.key`; every secret is encrypted anew: those of records in one
transaction, those in plans and payloads of executions in small units of the queue's writer; then the old keys go. An
instance that runs reads the file each time, so it knows both. Killed at any moment, nothing is lost: run it again.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.apps import apps
from django.db import transaction

from openmid.fips import keys
from openmid.instance.audit.models import Event
from openmid.instance.audit.trail import note
from openmid.instance.ecc.writer import writer
from openmid.instance.folder import Folder, write
from openmid.instance.records import header_secrets
from openmid.instance.records.base import Record
from openmid.instance.records.database import Connection
from openmid.instance.records.encryption import KEY
from openmid.instance.records.header_secrets import HeadersField
from openmid.instance.records.secrets import EncryptedField, conceal, reveal
from openmid.instance.records.statements import statements

SQL = statements("openmid.instance.operations", "rotation.sql")
AT_ONCE = 100
MARK = f"%{header_secrets.IN_JSON[1:]}%"
"""Less its backslash, which LIKE understands in one database and not in the other."""


def rotate(folder: Folder) -> int:
    """A new key. Returns how many secrets were encrypted anew.

    Raises:
        SecretError: one does not open; nothing has changed but that the new key is known too.
        OSError: the key cannot be written.
    """
    _keep(folder, [keys.random_bytes(32).hex(), *folder.secret(KEY).split()])
    with transaction.atomic():
        count = _records()
        note(Event.COMMAND, display=f"rotate-key: {count} secrets were encrypted anew")
    while found := _executions("plans", "keep_plan") + _executions("payloads", "keep_payload"):
        count += found  # until a whole round finds none: what was under way had read the old records
    with transaction.atomic():
        _records()  # whoever had encrypted under the old key before, and committed after the first time
    _keep(folder, folder.secret(KEY).split()[:1])
    return count


def _keep(folder: Folder, wanted: list[str]) -> None:
    write(folder.secrets / KEY, "".join(f"{key}\n" for key in wanted).encode(), 0o600)


def _records() -> int:
    known: dict[str, str] = {}
    return sum(_again(model, known) for model in apps.get_models() if issubclass(model, Record))


def _again(model: type[Record], known: dict[str, str]) -> int:
    columns = [field.attname for field in model._meta.local_concrete_fields if isinstance(field, EncryptedField)]
    headers = [field.attname for field in model._meta.local_concrete_fields if isinstance(field, HeadersField)]
    count = 0
    for record in model._base_manager.select_for_update() if columns or headers else ():
        changed: dict[str, Any] = {
            name: conceal(record, name, reveal(record, name)) for name in columns if getattr(record, name)
        }
        count += len(changed)
        for name in headers:
            before = getattr(record, name)
            changed[name] = [_header(pair, known) for pair in before]
            count += sum(new != old for new, old in zip(changed[name], before, strict=True))
        if changed:
            model._base_manager.filter(pk=record.pk).update(**changed)
    return count


def _header(pair: list[str], known: dict[str, str]) -> list[str]:
    """A header under the new key. What was the same stays the same: a draft is no other than its version."""
    name, value = pair
    if not header_secrets.is_sealed(value):
        return pair
    if value not in known:
        known[value] = header_secrets.seal(header_secrets.reveal(name, value))
    return [name, known[value]]


def _executions(read: str, keep: str) -> int:
    """Encrypt anew what lies in executions. Returns how much that was."""
    count, after = 0, ""
    while True:
        found, after = writer().run(partial(_some, read, keep, after))
        count += found
        if not after:
            return count


def _some(read: str, keep: str, after: str, connection: Connection) -> tuple[int, str]:
    """One page: how much was encrypted anew, and after which row the next one begins; empty: there is none."""
    rows = connection.run(SQL[read], after=after, mark=MARK, limit=AT_ONCE)
    count = 0
    for row in rows:
        text, changed = header_secrets.sealed_anew(row["text"])
        if changed:
            connection.change(SQL[keep], sys_id=row["sys_id"], text=text, before=row["text"])
        count += changed
    return count, rows[-1]["sys_id"] if len(rows) == AT_ONCE else ""

"""`openmid instance rotate-key`: a new key for the secrets in the database.

The new key goes before the old ones in `secrets/field.key`; every secret is encrypted anew; then the old keys go. An
instance that runs reads the file each time, so it knows both. Killed at any moment, nothing is lost: run it again.
"""

from __future__ import annotations

from django.apps import apps
from django.db import transaction

from openmid.fips import keys
from openmid.instance.audit.models import Event
from openmid.instance.audit.trail import note
from openmid.instance.folder import Folder, write
from openmid.instance.records.base import Record
from openmid.instance.records.secrets import KEY, EncryptedField, conceal, reveal


def rotate(folder: Folder) -> int:
    """A new key. Returns how many secrets were encrypted anew.

    Raises:
        SecretError: one does not open; nothing has changed but that the new key is known too.
        OSError: the key cannot be written.
    """
    _keep(folder, [keys.random_bytes(32).hex(), *folder.secret(KEY).split()])
    with transaction.atomic():
        count = sum(_again(model) for model in apps.get_models() if issubclass(model, Record))
        note(Event.COMMAND, display=f"rotate-key: {count} secrets were encrypted anew")
    _keep(folder, folder.secret(KEY).split()[:1])
    return count


def _keep(folder: Folder, wanted: list[str]) -> None:
    write(folder.secrets / KEY, "".join(f"{key}\n" for key in wanted).encode(), 0o600)


def _again(model: type[Record]) -> int:
    columns = [field.attname for field in model._meta.local_concrete_fields if isinstance(field, EncryptedField)]
    count = 0
    for record in model._base_manager.select_for_update() if columns else ():
        changed = {name: conceal(record, name, reveal(record, name)) for name in columns if getattr(record, name)}
        if changed:
            model._base_manager.filter(pk=record.pk).update(**changed)
        count += len(changed)
    return count

"""Columns that are encrypted at rest (`records.encryption`), each bound to its table, column and sys_id: a value that is
copied to another record does not open."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models

from openmid.instance.records.base import Record
from openmid.instance.records.encryption import SecretError as SecretError
from openmid.instance.records.encryption import decrypt, encrypt

if TYPE_CHECKING:
    TextField = models.TextField[str, str]
else:
    TextField = models.TextField


class Ciphertext(str):
    """A secret as it is stored. Only `reveal` opens it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<encrypted>"


def _bound(record: Record, column: str) -> bytes:
    return f"openmid field v1\n{record._meta.db_table}\n{column}\n{record.sys_id}".encode()


def conceal(record: Record, column: str, clear: str) -> Ciphertext:
    """`clear` encrypted as the `column` of `record`."""
    return Ciphertext(encrypt(clear, _bound(record, column)))


def reveal(record: Record, column: str) -> str:
    """The clear secret in `column` of `record`; empty when there is none.

    Raises:
        SecretError: it does not open.
    """
    stored = getattr(record, column)
    if not isinstance(stored, Ciphertext):
        return str(stored)
    clear = decrypt(stored, _bound(record, column))
    if clear is not None:
        return clear
    raise SecretError(
        f"{column} of {record._meta.verbose_name} {record} does not open with this instance's key",
        "enter it again, or restore secrets/field.key from the backup that belongs to this database",
    )


class EncryptedField(TextField):
    """Text that the database holds encrypted. The attribute is clear text only between assignment and save."""

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return Ciphertext(value) if value else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = getattr(model_instance, self.attname)
        if value and not isinstance(value, Ciphertext):
            assert isinstance(model_instance, Record)
            value = conceal(model_instance, self.attname, value)
            setattr(model_instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> Any:
        if value and not isinstance(value, Ciphertext):
            raise TypeError(f"{self.name} is encrypted: assign it and save the record")  # neither update() nor filter()
        return super().get_prep_value(value)

    def formfield(self, **options: Any) -> Any:
        widget = options.pop("widget", None) or forms.PasswordInput
        if isinstance(widget, type) and not issubclass(widget, forms.PasswordInput):
            widget = forms.PasswordInput
        return forms.CharField(
            label=options.get("label", self.verbose_name),
            help_text=options.get("help_text", self.help_text),
            required=not self.blank,
            strip=False,
            widget=widget,
        )

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """A field left empty on a form keeps what is stored: a form never shows it."""
        if data:
            setattr(instance, self.attname, data)


def digest(secret: str) -> str:
    """SHA-256 (hex) of a random token: it has 256 bits of entropy, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()

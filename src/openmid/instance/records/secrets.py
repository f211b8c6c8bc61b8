"""Columns that are encrypted at rest: AES-256-GCM (NIST SP 800-38D) under a key that lies outside the database.

A stored value is `v1.` and base64 of a nonce of 12 bytes, the ciphertext and a tag of 16 bytes. The additional data
bind it to its table, column and sys_id: a value that is copied to another record does not open.

`secrets/field.key` has a key a line: the first one encrypts; the others, there only while keys are rotated, decrypt too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.db import models

from openmid.fips import keys
from openmid.instance.errors import FolderError
from openmid.instance.folder import Folder
from openmid.instance.records.base import Record

if TYPE_CHECKING:
    TextField = models.TextField[str, str]
else:
    TextField = models.TextField

PREFIX = "v1."
NONCE_BYTES = 12


class Ciphertext(str):
    """A secret as it is stored. Only `reveal` opens it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<encrypted>"


class SecretError(FolderError):
    """Raised when a stored secret does not open: the key is another one, or the value was moved or changed."""


KEY = "field.key"


def _ciphers() -> list[Any]:
    """One for each key, the current one first."""
    folder = settings.OPENMID_FOLDER
    if folder is None:
        raise FolderError("there is no instance folder", "set OPENMID_INSTANCE_DIR")
    return _of_file(folder, _version(f"{folder}/secrets/{KEY}"))


@lru_cache(1)
def _of_file(folder: Path, version: tuple[int, int, int]) -> list[Any]:
    """Those of the file as it is in this version."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return [AESGCM(bytes.fromhex(key)) for key in Folder(folder).secret(KEY).split()]


def _version(path: str) -> tuple[int, int, int]:
    """What changes when somebody puts another file there. Asked for each secret, so without the comfort of Path."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0, 0)  # whoever reads it says why
    return found.st_ino, found.st_mtime_ns, found.st_size


def encrypt(clear: str, bound: bytes) -> str:
    """`clear` under the current key, bound to what `bound` says."""
    return _encrypted(_ciphers()[0], clear, bound)


def _encrypted(cipher: Any, clear: str, bound: bytes) -> str:
    nonce = keys.random_bytes(NONCE_BYTES)
    return PREFIX + base64.b64encode(nonce + cipher.encrypt(nonce, clear.encode(), bound)).decode()


def decrypt(stored: str, bound: bytes) -> str | None:
    """What `encrypt` was given; None: it does not open."""
    raw = _raw(stored)
    return next((clear for cipher in _ciphers() if (clear := _opened(cipher, raw, bound)) is not None), None)


def under_current_key(stored: str, bound: bytes) -> str | None:
    """The same under the current key; None where it is, or does not open at all."""
    current, *others = _ciphers()
    raw = _raw(stored)
    if _opened(current, raw, bound) is not None:
        return None
    clear = next((clear for cipher in others if (clear := _opened(cipher, raw, bound)) is not None), None)
    return None if clear is None else _encrypted(current, clear, bound)


def _raw(stored: str) -> bytes:
    """Nonce, ciphertext and tag; nothing where it is none of ours."""
    try:
        return base64.b64decode(stored.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return b""


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


def _opened(cipher: Any, raw: bytes, bound: bytes) -> str | None:
    from cryptography.exceptions import InvalidTag

    try:
        clear: bytes = cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):  # changed, or cut off
        return None
    return clear.decode()


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

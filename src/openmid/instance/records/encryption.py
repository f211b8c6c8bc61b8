"""What an instance keeps of secrets: AES-256-GCM (NIST SP 800-38D) under a key that lies outside the database.

A stored value is `v1.` and base64 of a nonce of 12 bytes, the ciphertext and a tag of 16 bytes. The additional data bind
it to what it is.

`secrets/field.key` has a key a line: the first one encrypts; the others, there only while keys are rotated, decrypt too.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from openmid.fips import keys
from openmid.instance.errors import FolderError
from openmid.instance.folder import Folder

KEY = "field.key"
PREFIX = "v1."
NONCE_BYTES = 12


class SecretError(FolderError):
    """Raised when a stored secret does not open: the key is another one, or the value was moved or changed."""


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


def _opened(cipher: Any, raw: bytes, bound: bytes) -> str | None:
    from cryptography.exceptions import InvalidTag

    try:
        clear: bytes = cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):  # changed, or cut off
        return None
    return clear.decode()

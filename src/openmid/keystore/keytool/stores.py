"""A command's keystore: opened with -keystore, -storetype, -storepass; and written back so that nobody's work is lost.

The old file is there until the new one is whole (formats.write_atomically). Whoever else wrote it meanwhile is
noticed: what was read is compared with what lies there, under a lock on the folder.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from openmid.keystore import files, formats
from openmid.keystore.keytool import prompts
from openmid.keystore.keytool.options import KeytoolError, Request
from openmid.keystore.store import KeyStore

_LOWER_CASE = ("PKCS12", "JKS", "JCEKS")  # the types whose aliases Java lowers


class Opened(NamedTuple):
    """A store that is going to be changed. `before` is the file as it was read, None for a new one."""

    store: KeyStore
    path: str
    kind: str
    password: str | None
    before: bytes | None


def read(request: Request) -> KeyStore:
    """The store that -keystore names. Raises KeytoolError, KeystoreError."""
    path, data = _existing(request)
    return formats.loads(data, _password(request, data), request.get("-storetype"), path)


def change(request: Request) -> Opened:
    """The same, to be written back. Raises KeytoolError, KeystoreError."""
    path, data = _existing(request)
    writable(path)
    password = _password(request, data)
    store = formats.loads(data, password, request.get("-storetype"), path)
    written_type(store.type)
    return Opened(store, path, store.type, password, data)


def change_or_begin(request: Request) -> Opened:
    """The same, but a file that does not exist is a new store. Raises KeytoolError, KeystoreError."""
    path = request.get("-keystore")
    if path is None or files.exists(path):
        return change(request)
    writable(path)
    kind = written_type(request.get("-storetype") or "PKCS12")
    password = request.get("-storepass")
    if password is None:
        password = prompts.new_password("Enter keystore password:  ", "-storepass")
    long_enough("Keystore", password)
    return Opened(KeyStore(kind, path), path, kind, password, None)


def save(request: Request, opened: Opened) -> None:
    """Write it back, and say what is not in it any more; `[Storing ...]` under -v. Raises KeystoreError, KeytoolError."""
    data = formats.dumps(opened.store, opened.password, opened.kind)
    if request.verbose:
        prompts.say(f"[Storing {opened.path}]")
    replace(opened.path, opened.before, data)
    for note in opened.store.notes:
        prompts.note(note)


def replace(path: str, before: bytes | None, data: bytes) -> None:
    """Write a file that is still as it was read. Raises KeytoolError, FileProblem."""
    lock = _lock(files.folder_of(path))
    try:
        _unchanged(path, before)
        formats.write_atomically(path, data)
    finally:
        if lock is not None:
            os.close(lock)


def _unchanged(path: str, before: bytes | None) -> None:
    now = formats.read_file(path) if files.exists(path) and not files.is_empty(path) else None
    if now != before:
        what = "appeared" if before is None else "was changed" if now is not None else "disappeared"
        raise KeytoolError(f"{path} {what} while this command worked; it was left as it is", "run the command again")


def _lock(folder: str) -> int | None:
    """While this descriptor is open, no other keytool of ours replaces a file in the folder. None where that cannot be."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (ImportError, OSError):  # a folder that cannot be opened cannot be written either: the writer says so
        return None
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def written_type(asked: str) -> str:
    """The type's one name. Raises KeytoolError for one that is read only, or not known."""
    kind = formats.canonical(asked)
    if kind not in formats.WRITTEN:
        raise KeytoolError(
            f"keystores of type {asked} are not written",
            "BCFKS and PKCS12 are: -importkeystore with -deststoretype reads the old file into a new one",
        )
    return kind


def writable(path: str) -> None:
    """Before anything is asked or reported: a file can be put there. Raises KeytoolError."""
    folder, shown = files.folder_of(path), files.shown_folder(path)
    if not files.is_folder(folder):
        raise KeytoolError(f"{path} cannot be written: the folder {shown} does not exist", f"mkdir -p {shown}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise KeytoolError(f"{path} cannot be written by this user", f"check the owner and mode of {shown}")


def long_enough(what: str, password: str) -> None:
    """Raises KeytoolError."""
    if len(password) < prompts.MIN_PASSWORD:
        raise KeytoolError(f"{what} password must be at least {prompts.MIN_PASSWORD} characters")


def known_alias(alias: str, store: KeyStore) -> str:
    """The alias as the store has it. Raises KeytoolError."""
    name = spelled(alias, store.type)
    if name not in store:
        raise KeytoolError(f"Alias <{alias}> does not exist", f"{store.name} holds: {', '.join(store) or 'nothing'}")
    return name


def spelled(alias: str, kind: str) -> str:
    """As a store of that type keeps it."""
    return alias.lower() if kind in _LOWER_CASE else alias


def _existing(request: Request) -> tuple[str, bytes]:
    path = request.get("-keystore")
    if path is None:
        raise KeytoolError("Please specify -keystore", "there is no default keystore here")
    if not files.exists(path):
        raise KeytoolError(f"Keystore file does not exist: {path}")
    if files.is_empty(path):
        raise KeytoolError(f"Keystore file exists, but is empty: {path}")
    return path, formats.read_file(path)


def _password(request: Request, data: bytes) -> str | None:
    password = request.get("-storepass")
    if password is None and needs_password(data):
        return typed(data, "Enter keystore password:  ", "-storepass", "your keystore")
    return password


def typed(data: bytes, question: str, flag: str, what: str) -> str | None:
    """A password for reading. None, with keytool's warning, if RETURN was typed for a Java keystore: its certificates
    are readable then, but nobody vouches for them."""
    password = prompts.password(question, flag)
    if password or formats.recognise(data) not in ("JKS", "JCEKS"):
        return password
    lines = (
        f"The integrity of the information stored in {what}",
        "has NOT been verified!  In order to verify its integrity,",
        f"you must provide {what} password.",
    )
    stars = "*****************  WARNING WARNING WARNING  *****************"
    prompts.say("\n".join(["", stars, *(f"* {line:<58}*" for line in lines), stars, ""]))
    return None


def needs_password(data: bytes) -> bool:
    """False for PEM and DER without an encrypted key."""
    return formats.recognise(data) not in ("PEM", "DER", "PKCS7") or b"ENCRYPTED" in data

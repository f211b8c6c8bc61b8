"""`keytool -importkeystore`: read the source, read or begin the destination, copy, write once at the end."""

from __future__ import annotations

from typing import NamedTuple

from openmid.keystore import files, formats
from openmid.keystore.entries import (
    Entry,
    KeyEntry,
    OpaqueEntry,
    PrivateKeyEntry,
    TrustedCertificateEntry,
)
from openmid.keystore.errors import on_one_line
from openmid.keystore.keytool import prompts, report, stores
from openmid.keystore.keytool.change import carry, opens, unlock
from openmid.keystore.keytool.options import KeytoolError, Request
from openmid.keystore.keytool.prompts import say
from openmid.keystore.keytool.stores import Opened
from openmid.keystore.store import KeyStore

_SHORT_FOR_APPROVED = 14  # characters that Bouncy Castle's products ask for in approved-only mode


class Source(NamedTuple):
    """What is imported. `data` is the file as it was read; `in_place`: it is the destination too."""

    store: KeyStore
    path: str
    password: str | None
    data: bytes
    in_place: bool


def run(request: Request) -> None:
    """Raises KeytoolError, KeystoreError."""
    source_path, target_path = _paths(request)
    in_place = files.same(source_path, target_path)
    if not in_place:
        say(f"Importing keystore {source_path} to {target_path}...")
    if not request.has("-srcalias") and (request.has("-destalias") or request.has("-srckeypass")):
        raise KeytoolError("if alias not specified, destalias and srckeypass must not be specified")
    stores.writable(target_path)
    target = _begin(request, target_path) if in_place else _target(request, target_path)
    source = _source(request, source_path, in_place)
    for note in source.store.notes:
        prompts.note(note)
    copy = _copy_one if request.has("-srcalias") else _copy_all
    imported = copy(request, source.store, target)
    if imported:
        _write(request, source, target, imported)
    if request.verbose:
        _explain(request, source, target)


def _write(request: Request, source: Source, target: Opened, imported: list[str]) -> None:
    if not source.in_place:
        stores.save(request, target)
        report.warn(request, None, report.weaknesses(target.store, imported))
        return
    backup = next(name for name in _backups(source.path) if not files.exists(name))
    formats.write_atomically(backup, source.data)
    stores.save(request, target._replace(before=source.data))
    done = f'The original keystore "{source.path}" is backed up as "{backup}"...'
    if source.store.type != target.kind:
        done = (
            f'Migrated "{source.path}" to {target.kind}. The {source.store.type} keystore is backed up as "{backup}".'
        )
    report.warn(request, None, [*report.weaknesses(target.store, imported), done])


def _backups(path: str) -> list[str]:
    return [f"{path}.old{number or ''}" for number in (0, *range(2, 1000))]


def _paths(request: Request) -> tuple[str, str]:
    source, target = request.get("-srckeystore"), request.get("-destkeystore")
    if source is None:
        raise KeytoolError("Please specify -srckeystore")
    if target is None:
        raise KeytoolError("Please specify -destkeystore")
    if files.is_empty(source):
        raise KeytoolError(f"Source keystore file exists, but is empty: {source}")
    return source, target


def _target(request: Request, path: str) -> Opened:
    """Begin a new store, or open the one that is there."""
    if not files.exists(path):
        return _begin(request, path)
    data = formats.read_file(path)
    password = request.get("-deststorepass")
    if password is None:
        password = prompts.password("Enter destination keystore password:  ", "-deststorepass")
    store = formats.loads(data, password, request.get("-deststoretype"), path)
    stores.written_type(store.type)
    return Opened(store, path, store.type, password, data)


def _begin(request: Request, path: str) -> Opened:
    kind = stores.written_type(request.get("-deststoretype") or "PKCS12")
    password = request.get("-deststorepass")
    if password is None:
        password = prompts.new_password("Enter destination keystore password:  ", "-deststorepass")
    stores.long_enough("Keystore", password)
    store = KeyStore(kind, path)
    formats.begin(store, password, kind)
    return Opened(store, path, kind, password, None)


def _source(request: Request, path: str, in_place: bool) -> Source:
    data = formats.read_file(path)
    whole = _with_key(request, data)
    password = request.get("-srcstorepass")
    if password is None and stores.needs_password(whole):
        password = stores.typed(whole, "Enter source keystore password:  ", "-srcstorepass", "the srckeystore")
    store = formats.loads(whole, password, request.get("-srcstoretype"), path)
    return Source(store, path, password, data, in_place)


def _with_key(request: Request, data: bytes) -> bytes:
    """-srckeyfile is the source's private key, as if it stood in the source (both PEM)."""
    name = request.get("-srckeyfile")
    if name is None:
        return data
    key = formats.read_file(name)
    for what, content in ((request.get("-srckeystore"), data), (name, key)):
        if formats.recognise(content) != "PEM":
            raise KeytoolError(
                f"{what} is not a PEM file, and -srckeyfile joins two of them", "convert it with openssl"
            )
    return key + b"\n" + data


def _copy_one(request: Request, source: KeyStore, target: Opened) -> list[str]:
    alias = stores.known_alias(request.values["-srcalias"], source)
    name = _copy(request, source, alias, request.get("-destalias") or alias, target)
    return [name] if name else []


def _copy_all(request: Request, source: KeyStore, target: Opened) -> list[str]:
    imported = []
    for alias in source:
        name = _copy(request, source, alias, alias, target)
        if name is not None:
            imported.append(name)
            say(f"Entry for alias {on_one_line(alias)} successfully imported.")
    failed = len(source) - len(imported)
    counts = f"{len(imported)} entries successfully imported, {failed} entries failed or cancelled"
    say(f"Import command completed:  {counts}")
    return imported


def _copy(request: Request, source: KeyStore, alias: str, wanted: str, target: Opened) -> str | None:
    """Copy one entry; the alias that it got, or None if it was cancelled."""
    name = stores.spelled(wanted, target.kind)
    if name in target.store:
        if request.has("-noprompt"):
            say(f"Warning: Overwriting existing alias {on_one_line(name)} in destination keystore")
        else:
            name = stores.spelled(_another_name(name, target), target.kind)
            if not name:
                say(f"Entry for alias {on_one_line(alias)} not imported.")
                return None
    entry = source[alias]
    if isinstance(entry, KeyEntry):
        _unlock(request, source, alias, entry)
    _store(request, entry, name, target)
    return name


def _another_name(name: str, target: Opened) -> str:
    unanswered = f"{target.path} already has an entry '{name}', and there is nobody to ask"
    hint = "-noprompt overwrites it; -srcalias with -destalias gives the new one another name"
    if prompts.yes(f"Existing entry alias {on_one_line(name)} exists, overwrite? [no]:  ", unanswered, hint):
        return name
    return prompts.ask("Enter new alias name\t(RETURN to cancel import for this entry):  ", unanswered, hint)


def _unlock(request: Request, source: KeyStore, alias: str, entry: KeyEntry) -> None:
    """Open a key: -srckeypass, or the source's store password, or what is typed. Raises WrongKeyPassword."""
    given = request.get("-srckeypass")
    if given is not None and source.type == "PKCS12" and opens(entry):
        say("Warning:  Different store and key passwords not supported for PKCS12 KeyStores. "
            "Ignoring user-specified -srckeypass value.")  # fmt: skip
        return
    unlock(entry, alias, given, "-srckeypass")


def _store(request: Request, entry: Entry, name: str, target: Opened) -> None:
    """A key opens with the destination's store password unless -destkeypass says otherwise."""
    own = request.get("-destkeypass")
    if own is not None and target.kind == "PKCS12":
        say("Warning:  Different store and key passwords not supported for PKCS12 KeyStores. "
            "Ignoring user-specified -destkeypass value.")  # fmt: skip
        own = None
    if own == target.password:
        own = None
    if isinstance(entry, PrivateKeyEntry):
        target.store.set_private_key(name, entry.private_key, entry.certificates, password=own)
    elif isinstance(entry, KeyEntry):
        copy = entry.copy()
        copy.own_password = own
        target.store.put(name, copy)
    elif isinstance(entry, TrustedCertificateEntry):
        target.store.set_certificate(name, entry.certificate)
    elif isinstance(entry, OpaqueEntry):
        target.store.put(name, OpaqueEntry(entry.object_type, entry.data))
    carry(entry, target.store[name])


def _explain(request: Request, source: Source, target: Opened) -> None:
    """What -v adds to keytool's own lines: everything that is different from what one may expect."""
    if target.kind != "BCFKS":
        return
    if not request.has("-destkeypass") and (source.password or "") != target.password:
        prompts.note("each key opens with the destination's password; Java's keytool would leave it under the source's")
    if len(target.password or "") < _SHORT_FOR_APPROVED:
        prompts.note(
            f"Bouncy Castle in approved-only mode asks for passwords of {_SHORT_FOR_APPROVED} characters or more"
        )

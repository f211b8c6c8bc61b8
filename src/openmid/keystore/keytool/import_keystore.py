"""`keytool -importkeystore`: read the source, read or begin the destination, copy, write once at the end."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from openmid.keystore import formats
from openmid.keystore.entries import (
    Entry,
    KeyEntry,
    OpaqueEntry,
    PrivateKeyEntry,
    SecretKeyEntry,
    TrustedCertificateEntry,
)
from openmid.keystore.errors import WrongKeyPassword
from openmid.keystore.keytool import prompts, report
from openmid.keystore.keytool.options import KeytoolError, Request
from openmid.keystore.keytool.prompts import say
from openmid.keystore.store import KeyStore

_SHORT_FOR_APPROVED = 14  # characters that Bouncy Castle's products ask for in approved-only mode


class Target(NamedTuple):
    """The destination while it is being filled."""

    store: KeyStore
    path: Path
    kind: str
    password: str


def run(request: Request) -> None:
    """Raises KeytoolError, KeystoreError."""
    source_path, target_path = _paths(request)
    say(f"Importing keystore {source_path} to {target_path}...")
    if not request.has("-srcalias") and (request.has("-destalias") or request.has("-srckeypass")):
        raise KeytoolError("if alias not specified, destalias and srckeypass must not be specified")
    target = _target(request, Path(target_path))
    source, source_password = _source(request, Path(source_path))
    for note in source.notes:
        say(f"note: {note}")
    imported = _copy_one(request, source, target) if request.has("-srcalias") else _copy_all(request, source, target)
    if imported:
        if request.has("-v"):
            say(f"[Storing {target_path}]")
        target.store.save(target.path, target.password, target.kind)
        report.warn_of_weakness({alias: target.store[alias] for alias in imported})
    if request.has("-v"):
        _explain(request, source_password, target)


def _paths(request: Request) -> tuple[str, str]:
    source, target = request.get("-srckeystore"), request.get("-destkeystore")
    if source is None:
        raise KeytoolError("Please specify -srckeystore")
    if target is None:
        raise KeytoolError("Please specify -destkeystore")
    path = Path(source)
    if path.is_file() and path.stat().st_size == 0:
        raise KeytoolError(f"Source keystore file exists, but is empty: {source}")
    if path.exists() and Path(target).exists() and path.samefile(target):
        raise KeytoolError(
            f"{source} is both source and destination", "write into a new file, look at it with -list, then rename it"
        )
    return source, target


def _target(request: Request, path: Path) -> Target:
    """Begin a new store, or open the one that is there."""
    asked = request.get("-deststoretype")
    password = request.get("-deststorepass")
    question = "Enter destination keystore password:  "
    if not path.exists():
        kind = formats.canonical(asked or "PKCS12")
        if kind not in formats.WRITTEN:
            raise KeytoolError(f"keystores of type {asked} are not written", "give -deststoretype BCFKS or PKCS12")
        if password is None:
            password = prompts.new_password(question, "-deststorepass")
        if len(password) < prompts.MIN_PASSWORD:
            raise KeytoolError(f"Keystore password must be at least {prompts.MIN_PASSWORD} characters")
        return Target(KeyStore(kind, str(path)), path, kind, password)
    if password is None:
        password = prompts.password(question, "-deststorepass")
    store = formats.load(path, password, asked)
    return Target(store, path, store.type, password)


def _source(request: Request, path: Path) -> tuple[KeyStore, str | None]:
    data = formats.read_file(path)
    password = request.get("-srcstorepass")
    if password is None and (formats.recognise(data) != "PEM" or b"ENCRYPTED" in data):
        password = prompts.password("Enter source keystore password:  ", "-srcstorepass")
    return formats.loads(data, password, request.get("-srcstoretype"), str(path)), password


def _copy_one(request: Request, source: KeyStore, target: Target) -> list[str]:
    alias = request.get("-srcalias") or ""
    if source.type == "PKCS12":
        alias = alias.lower()
    if alias not in source:
        raise KeytoolError(f"Alias <{alias}> does not exist", f"{source.name} holds: {', '.join(source) or 'nothing'}")
    name = _copy(request, source, alias, request.get("-destalias") or alias, target)
    return [name] if name else []


def _copy_all(request: Request, source: KeyStore, target: Target) -> list[str]:
    imported = []
    for alias in source:
        name = _copy(request, source, alias, alias, target)
        if name is not None:
            imported.append(name)
            say(f"Entry for alias {alias} successfully imported.")
    failed = len(source) - len(imported)
    counts = f"{len(imported)} entries successfully imported, {failed} entries failed or cancelled"
    say(f"Import command completed:  {counts}")
    return imported


def _copy(request: Request, source: KeyStore, alias: str, name: str, target: Target) -> str | None:
    """Copy one entry; the alias that it got, or None if it was cancelled."""
    if name in target.store:
        if request.has("-noprompt"):
            say(f"Warning: Overwriting existing alias {name} in destination keystore")
        else:
            name = _another_name(name, target)
            if not name:
                say(f"Entry for alias {alias} not imported.")
                return None
    entry = source[alias]
    if isinstance(entry, KeyEntry):
        _unlock(request, source, alias, entry)
    _store(request, entry, name, target)
    return name


def _another_name(name: str, target: Target) -> str:
    unanswered = f"{target.path} already has an entry '{name}', and there is nobody to ask"
    hint = "-noprompt overwrites it; -srcalias with -destalias gives the new one another name"
    if prompts.yes(f"Existing entry alias {name} exists, overwrite? [no]:  ", unanswered, hint):
        return name
    return prompts.ask("Enter new alias name\t(RETURN to cancel import for this entry):  ", unanswered, hint)


def _unlock(request: Request, source: KeyStore, alias: str, entry: KeyEntry) -> None:
    """Open a key: -srckeypass, or the source's store password, or what is typed. Raises WrongKeyPassword."""
    given = request.get("-srckeypass")
    if given is not None and source.type == "PKCS12":
        say("Warning:  Different store and key passwords not supported for PKCS12 KeyStores. "
            "Ignoring user-specified -srckeypass value.")  # fmt: skip
        given = None
    if given is not None:
        entry.unlock(given)
        return
    try:
        entry.reveal()
    except WrongKeyPassword:
        _ask_for_key_password(alias, entry)


def _ask_for_key_password(alias: str, entry: KeyEntry) -> None:
    for attempt in range(3):
        try:
            entry.unlock(prompts.password(f"Enter key password for <{alias}>", "-srckeypass"))
        except WrongKeyPassword:
            if attempt == 2:
                raise
        else:
            return


def _store(request: Request, entry: Entry, name: str, target: Target) -> None:
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
    elif isinstance(entry, SecretKeyEntry):
        copy = SecretKeyEntry(entry.reveal())
        copy.own_password = own
        target.store.put(name, copy)
    elif isinstance(entry, TrustedCertificateEntry):
        target.store.set_certificate(name, entry.certificate)
    elif isinstance(entry, OpaqueEntry):
        target.store.put(name, OpaqueEntry(entry.object_type, entry.data))


def _explain(request: Request, source_password: str | None, target: Target) -> None:
    """What -v adds to keytool's own lines: everything that is different from what one may expect."""
    report.explain_flags(request)
    if target.kind != "BCFKS":
        return
    if not request.has("-destkeypass") and (source_password or "") != target.password:
        say("note: each key opens with the destination's password; Java's keytool would leave it under the source's")
    if len(target.password) < _SHORT_FOR_APPROVED:
        say(f"note: Bouncy Castle in approved-only mode asks for passwords of {_SHORT_FOR_APPROVED} characters or more")

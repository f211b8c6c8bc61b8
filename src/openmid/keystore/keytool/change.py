"""`keytool -delete`, `-changealias`, `-storepasswd`, `-keypasswd`."""

from __future__ import annotations

from openmid.keystore.entries import Entry, KeyEntry, PrivateKeyEntry
from openmid.keystore.errors import WrongKeyPassword, on_one_line
from openmid.keystore.keytool import prompts, report, stores
from openmid.keystore.keytool.options import KeytoolError, Request
from openmid.keystore.keytool.stores import Opened


def run(request: Request) -> None:
    """Raises KeytoolError, KeystoreError."""
    if (new := request.get("-new")) is not None:
        stores.long_enough("New", new)
    if request.command == "-storepasswd":
        opened = _change_store_password(request)
    else:
        opened = stores.change(request)
        {"-delete": _delete, "-changealias": _change_alias, "-keypasswd": _change_key_password}[request.command](
            request, opened
        )
    stores.save(request, opened)
    report.warn(request, opened.store, [])


def _delete(request: Request, opened: Opened) -> None:
    alias = request.get("-alias") or _ask_alias("alias name", "-alias")
    opened.store.delete(stores.known_alias(alias, opened.store))


def _change_alias(request: Request, opened: Opened) -> None:
    store = opened.store
    alias = stores.known_alias(request.alias, store)
    name = stores.spelled(request.get("-destalias") or _ask_alias("destination alias name", "-destalias"), store.type)
    if name in store:
        raise KeytoolError(f"Destination alias <{name}> already exists", "-delete it first, or choose another name")
    entry = store[alias]
    if request.has("-keypass") and isinstance(entry, KeyEntry):
        entry.unlock(request.get("-keypass"))
    store.delete(alias)
    store.put(name, entry)


def _ask_alias(what: str, flag: str) -> str:
    alias = prompts.ask(f"Enter {what}:  ", f"no alias was given for {flag}", f"give it as {flag} ALIAS")
    if not alias:
        raise KeytoolError("Must specify destination alias" if flag == "-destalias" else "Must specify alias")
    return alias


def _change_store_password(request: Request) -> Opened:
    given = request.get("-new")
    opened = stores.change(request)
    if opened.kind == "PEM":
        raise KeytoolError("a PEM file has no password of its own", "-keypasswd gives its key another one")
    return opened._replace(password=given or prompts.changed_password("keystore password", opened.password))


def _change_key_password(request: Request, opened: Opened) -> None:
    """The key is encrypted anew; one that gets the store's password follows the store from then on."""
    if opened.kind == "PKCS12":
        raise KeytoolError(
            "-keypasswd commands not supported if -storetype is PKCS12",
            "its keys have the store's password: -storepasswd",
        )
    alias = stores.known_alias(request.alias, opened.store)
    entry = opened.store[alias]
    if not isinstance(entry, KeyEntry):
        raise KeytoolError(f"Alias <{alias}> has no key")
    unlock(entry, alias, request.get("-keypass"), "-keypass")
    what = f"key password for <{on_one_line(alias)}>"
    new = request.get("-new") or prompts.changed_password(what, request.get("-keypass"))
    opened.store.put(alias, sealed_anew(entry, new, opened.password))


def sealed_anew(entry: KeyEntry, password: str | None, store_password: str | None) -> KeyEntry:
    """The same key, not yet encrypted. `password` is its own; one that is the store's is none of its own."""
    fresh = entry.copy()
    fresh.created = entry.created
    fresh.own_password = None if password == store_password else password
    carry(entry, fresh)
    return fresh


def carry(entry: Entry, fresh: Entry) -> None:
    """What an entry has besides its content: another store may have room for it."""
    fresh.comment, fresh.attributes, fresh.friendly_name = entry.comment, entry.attributes, entry.friendly_name
    if isinstance(entry, PrivateKeyEntry) and isinstance(fresh, PrivateKeyEntry):
        fresh.certificate_attributes = entry.certificate_attributes


def opens(entry: KeyEntry) -> bool:
    """With the store's password."""
    try:
        entry.reveal()
    except WrongKeyPassword:
        return False
    return True


def unlock(entry: KeyEntry, alias: str, given: str | None, flag: str) -> None:
    """With what is given, or the store's password, or what is typed (three times). Raises WrongKeyPassword."""
    if given is not None:
        entry.unlock(given)
        return
    if opens(entry):
        return
    for attempt in range(3):
        try:
            entry.unlock(prompts.password(f"Enter key password for <{on_one_line(alias)}>", flag))
        except WrongKeyPassword:
            if attempt == 2:
                raise
        else:
            return

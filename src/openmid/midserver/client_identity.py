"""From a keystore on this host to a client's key and chain, or to the one sentence that says why not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openmid import keystore, system
from openmid.fips import policy
from openmid.keystore import KeystoreError, PrivateKeyEntry
from openmid.midserver.certificate import CertificateFacts, describe

MOST_NAMED = 10
ADVISED_PASSWORD_LENGTH = 14
"""112 bits: what Bouncy Castle asks for in approved-only mode (FIPS 140-3 IG D.N and SP 800-132)."""


class ProfileError(Exception):
    """Why a MID Protocol Profile did not load: a stable code, one sentence, what to do."""

    def __init__(self, code: str, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.remedy = remedy


@dataclass(frozen=True)
class ClientIdentity:
    """`key` is PKCS#8 DER in clear; `chain` X.509 DER, leaf first. Neither shows in a repr."""

    keystore_type: str
    facts: CertificateFacts
    key: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)


def load(path: Path, password: str, *, agent: Path, enforced: bool, alias: str = "") -> ClientIdentity:
    """The client identity in the keystore at `path`.

    With several private keys, `alias` chooses; without it the certificate that is valid longest counts, never chance.

    Raises:
        ProfileError: it is not there, does not open, holds no key, or is not approved in FIPS Enforced Mode.
    """
    _look(path)
    try:
        kind = keystore.detect(path)
        if enforced and kind != "BCFKS":
            raise _not_bcfks(path, kind, agent)
        store = keystore.load(path, password, terms=keystore.Terms(old_algorithms=False))
        entry, facts = _choose(path, store.private_keys(), alias)
        identity = ClientIdentity(store.type, facts, entry.private_key, entry.certificates)
    except KeystoreError as error:
        raise ProfileError(error.code, str(error), _hint(error, path)) from error
    if enforced:
        _approve(path, identity, agent)
    return identity


def _look(path: Path) -> None:
    """The two mistakes that are made most, each with its own words."""
    if not path.is_file() and not path.is_symlink() and _may_look(path):
        raise ProfileError(
            "keystore_missing",
            f"the keystore {path} does not exist",
            f"put it at {path} on this MID Server's host, or correct the profile's Keystore path",
        )
    if path.exists() and not os.access(path, os.R_OK):
        raise ProfileError(
            "keystore_unreadable",
            f"the keystore {path} may not be read by the user that runs the MID Server ({system.HERE.user()})",
            f"make it readable for that user only: chown and chmod 0400 {path}",
        )


def _may_look(path: Path) -> bool:
    """Whether "it does not exist" is more than "I may not look"."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _choose(path: Path, entries: Mapping[str, PrivateKeyEntry], alias: str) -> tuple[PrivateKeyEntry, CertificateFacts]:
    """The entry of that alias, whose case does not count (as in Java), or the one that is valid longest."""
    found = {name: (entry, describe(entry.certificates[0])) for name, entry in entries.items() if entry.certificates}
    if not found:
        raise ProfileError(
            "keystore_without_key",
            f"the keystore {path} holds no private key with a certificate",
            f"put the client's key and its certificate chain into {path}: agent/bin/keytool -list -keystore {path} shows it",
        )
    if not alias:
        return max(found.values(), key=lambda pair: pair[1].not_after)
    chosen = [alias] if alias in found else [name for name in found if name.casefold() == alias.casefold()]
    if len(chosen) != 1:
        raise ProfileError(
            "keystore_alias",
            f'the keystore {path} has no private key "{alias}": it has {_named(found)}',
            "set the Alias of the MID Protocol Profile to one of them, or leave it empty",
        )
    return found[chosen[0]]


def _named(aliases: Iterable[str]) -> str:
    names = sorted(aliases)
    return ", ".join(f'"{name}"' for name in names[:MOST_NAMED]) + (" and more" if len(names) > MOST_NAMED else "")


def _not_bcfks(path: Path, kind: str, agent: Path) -> ProfileError:
    command = _conversion(path, kind, path.with_suffix(".bcfks"), agent)
    return ProfileError(
        "keystore_not_bcfks",
        f"the keystore {path} is {kind}, and in FIPS Enforced Mode only BCFKS is opened",
        f"convert it and set the profile's Keystore path to {path.with_suffix('.bcfks')}: {command}",
    )


def _approve(path: Path, identity: ClientIdentity, agent: Path) -> None:
    refusals = policy.approve_key(identity.key)
    for certificate in identity.chain:
        facts = describe(certificate)
        # A root's signature of itself is trusted by nobody: it says nothing.
        if certificate is identity.chain[0] or facts.subject != facts.issuer:
            refusals += policy.approve_certificate(certificate)
    if refusals:
        raise ProfileError(
            "keystore_not_approved",
            f"the keystore {path}: {refusals[0]}",
            _renewal(path, agent),
        )


def _renewal(path: Path, agent: Path) -> str:
    new = path.with_name(f"{path.stem}-new.p12")
    command = _conversion(new, "PKCS12", path, agent)
    return (
        "have a certificate issued for a new key (RSA of 3072 bits, or P-256) and signed with SHA-256, move the old "
        f"keystore away, and with key and certificate chain in {new}: {command}"
    )


def _conversion(source: Path, kind: str, destination: Path, agent: Path) -> str:
    return keystore.conversion_command(source, kind, destination, agent / "jre/bin/keytool", agent / "lib/bc-fips.jar")


_HINTS = {
    "keystore_password": "set the password of {path} in the MID Protocol Profile",
    "key_password": "give the key in {path} the store's password: agent/bin/keytool -keypasswd -keystore {path}",
    "keystore_damaged": "copy {path} anew from where it was made",
    "keystore_file": "check {path} on this MID Server's host",
    "key_mismatch": "put the certificate that was issued for the key into {path}",
}


def _hint(error: KeystoreError, path: Path) -> str:
    own = _HINTS.get(error.code, "").format(path=path)
    return own or error.hint or f"check {path} with agent/bin/keytool -list -keystore {path}"

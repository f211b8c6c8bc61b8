"""`keytool -importcert`: a certificate to trust, or an authority's answer for a key that is there."""

from __future__ import annotations

import sys

from openmid.keystore import certificate as x509
from openmid.keystore.entries import KeyEntry, PrivateKeyEntry
from openmid.keystore.errors import on_one_line
from openmid.keystore.keytool import certificate_files, describe, issuers, names, prompts, report, stores
from openmid.keystore.keytool.change import carry, unlock
from openmid.keystore.keytool.options import KeytoolError, Request
from openmid.keystore.keytool.prompts import say
from openmid.keystore.keytool.stores import Opened
from openmid.keystore.store import KeyStore

_UNANSWERED = "nobody answered whether to trust the certificate"
_HINT = "look at it with -printcert; -noprompt then answers yes"


def run(request: Request) -> None:
    """Raises KeytoolError, KeystoreError."""
    opened = stores.change_or_begin(request)
    alias = stores.spelled(request.alias, opened.kind)
    there = alias in opened.store
    entry = opened.store[alias] if there else None
    if isinstance(entry, PrivateKeyEntry):
        given = _read(request, "Reply has no certificates")
        done, what = _install(request, opened, alias, entry, given), "Certificate reply was{} installed in keystore"
        weak = _weaknesses("Reply", given, opened.store) if len(given) > 1 else []
    elif isinstance(entry, KeyEntry):
        raise KeytoolError(f"Certificate not imported, alias <{alias}> is a {entry.kind}", "choose another -alias")
    else:
        given = _to_trust(request, opened.store, alias)
        weak = _weaknesses("The input", given[:1], opened.store) if request.has("-noprompt") else []
        done, what = _trust(request, opened.store, alias, given[0]), "Certificate was{} added to keystore"
    say(what.format("" if done else " not"))
    if done:
        stores.save(request, opened)
    report.warn(request, opened.store, weak)


def _read(request: Request, otherwise: str) -> list[bytes]:
    found = certificate_files.certificates(certificate_files.read_input(request.get("-file")))
    if not found:
        raise KeytoolError(otherwise, "it holds no X.509 certificate, as PEM, DER or PKCS#7")
    return found


def _weaknesses(label: str, certificates: list[bytes], store: KeyStore) -> list[str]:
    trusted = report.trusted_certificates(store)
    sentences = []
    for number, certificate in enumerate(certificates, 1):
        one = label if len(certificates) == 1 else f"{label} #{number} of {len(certificates)}"
        sentences += report.weakness(one, certificate, trusted)
    return sentences


def _to_trust(request: Request, store: KeyStore, alias: str) -> list[bytes]:
    """What the input holds; the first is imported."""
    if alias in store:
        raise KeytoolError(
            f"Certificate not imported, alias <{alias}> already exists", "choose another -alias, or -delete the old one"
        )
    given = _read(request, "Input not an X.509 certificate")
    if len(given) > 1:
        prompts.note(f"the input holds {len(given)} certificates, and the first one is imported")
    return given


def _trust(request: Request, store: KeyStore, alias: str, certificate: bytes) -> bool:
    """True if it was added: asked about, unless something in the store vouches for it."""
    if not request.has("-noprompt") and not _trusted(request, certificate, store):
        return False
    store.set_certificate(alias, certificate)
    return True


def _system_wide(request: Request) -> list[bytes]:
    """Who vouches besides the store."""
    return issuers.system_wide() if request.has("-trustcacerts") else []


def _trusted(request: Request, certificate: bytes, store: KeyStore) -> bool:
    weak = _weaknesses("The input", [certificate], store)
    same = next((name for name in store if report.certificates(store[name])[:1] == (certificate,)), None)
    if same is not None:
        say(f"Certificate already exists in keystore under alias <{on_one_line(same)}>")
        return _asked("Do you still want to add it? [no]:  ", weak)
    system, itself = _system_wide(request), issuers.self_signed(certificate)
    if itself and certificate in system:
        say(f"Certificate already exists in system-wide CA keystore under alias <{_subject(certificate)}>")
        return _asked("Do you still want to add it to your own keystore? [no]:  ", weak)
    if not itself and issuers.path(certificate, issuers.known(store) + system):
        return True
    report.out(describe.certificate(certificate), end="")
    return _asked("Trust this certificate? [no]:  ", weak)


def _asked(question: str, weak: list[str]) -> bool:
    if weak:
        sys.stdout.flush()
        say("\nWarning:\n" + "\n".join(weak) + "\n")
    return prompts.yes(question, _UNANSWERED, _HINT)


def _install(request: Request, opened: Opened, alias: str, entry: PrivateKeyEntry, reply: list[bytes]) -> bool:
    """True if the answer became the key's chain."""
    unlock(entry, alias, request.get("-keypass"), "-keypass")
    if len(reply) == 1:
        chain: list[bytes] | None = _chain_of_one(request, entry, reply[0], opened.store)
    else:
        chain = _chain_of_many(request, alias, entry, reply, opened.store)
    if chain is None:
        return False
    opened.store.set_private_key(alias, entry.private_key, chain, password=entry.own_password)
    carry(entry, opened.store[alias])
    return True


def _subject(certificate: bytes) -> str:
    return names.shown(x509.fields(certificate).subject)


def _public_key(certificate: bytes) -> bytes:
    return x509.fields(certificate).public_key


def _chain_of_one(request: Request, entry: PrivateKeyEntry, leaf: bytes, store: KeyStore) -> list[bytes]:
    """A lone certificate needs its issuers in the store (or in the system, with -trustcacerts)."""
    if _public_key(leaf) != _public_key(entry.certificates[0]):
        raise KeytoolError("Public keys in reply and keystore don't match", "this answer belongs to another key")
    if leaf == entry.certificates[0]:
        raise KeytoolError("Certificate reply and certificate in keystore are identical")
    chain = [leaf] if issuers.self_signed(leaf) else issuers.path(leaf, issuers.known(store) + _system_wide(request))
    if not chain:
        raise KeytoolError(
            "Failed to establish chain from reply",
            "give the authority's certificates in the same file, or -importcert them under aliases of their own first",
        )
    return chain


def _chain_of_many(
    request: Request, alias: str, entry: PrivateKeyEntry, reply: list[bytes], store: KeyStore
) -> list[bytes] | None:
    """Ordered from the leaf; the top must be trusted, or the user says so. None: the user does not."""
    leaf = next((one for one in reply if _public_key(one) == _public_key(entry.certificates[0])), None)
    if leaf is None:
        raise KeytoolError(
            f"Certificate reply does not contain public key for <{alias}>", "this answer belongs to another key"
        )
    chain = issuers.climb(leaf, reply)
    if len(chain) < len(dict.fromkeys(reply)):
        raise KeytoolError("Incomplete certificate chain in reply", "each certificate must be signed by another one")
    if request.has("-noprompt"):
        return chain
    root = issuers.signer(chain[-1], issuers.known_trusted(store) + _system_wide(request))
    if root is not None:
        return chain if root == chain[-1] else [*chain, root]
    say("\nTop-level certificate in reply:\n")
    report.out(describe.certificate(chain[-1]), end="")
    sys.stdout.flush()
    say("\n... is not trusted. ", end="")
    accepted = _asked("Install reply anyway? [no]:  ", _weaknesses("Reply", reply, store))
    return chain if accepted else None

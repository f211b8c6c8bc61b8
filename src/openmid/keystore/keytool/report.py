"""`keytool -list`, in keytool's words: one line an entry, `-rfc` with PEM, `-v` with each certificate's fields."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from openmid.keystore import formats
from openmid.keystore.entries import Entry, PrivateKeyEntry, SecretKeyEntry, TrustedCertificateEntry
from openmid.keystore.keytool import describe, prompts
from openmid.keystore.keytool.options import PROVIDER_NOTE, KeytoolError, Request, UsageError
from openmid.keystore.keytool.prompts import say
from openmid.keystore.store import KeyStore

_KINDS = {
    PrivateKeyEntry: "PrivateKeyEntry",
    TrustedCertificateEntry: "trustedCertEntry",
    SecretKeyEntry: "SecretKeyEntry",
}
_STARS = "*" * 43


def run(request: Request) -> None:
    """Raises KeytoolError, UsageError, KeystoreError."""
    if request.has("-v") and request.has("-rfc"):
        raise UsageError("Must not specify both -v and -rfc with 'list' command", request.command)
    store = _open(request)
    alias = request.get("-alias")
    if alias is not None:
        shown = [_existing(alias, store)]
    else:
        shown = sorted(store)
        out(f"Keystore type: {store.type}\nKeystore provider: openmid\n")
        out(f"Your keystore contains {len(store)} {'entry' if len(store) == 1 else 'entries'}\n")
    for name in shown:
        _print(name, store[name], request, separated=alias is None)
    warn_of_weakness({name: store[name] for name in shown})
    for note in store.notes:
        say(f"note: {note}")
    if request.has("-v"):
        explain_flags(request)


def out(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def _open(request: Request) -> KeyStore:
    name = request.get("-keystore")
    if name is None:
        raise KeytoolError("Please specify -keystore", "there is no default keystore here")
    path = Path(name)
    if not path.exists():
        raise KeytoolError(f"Keystore file does not exist: {name}")
    data = formats.read_file(path)
    password = request.get("-storepass")
    if password is None and (formats.recognise(data) != "PEM" or b"ENCRYPTED" in data):
        password = prompts.password("Enter keystore password:  ", "-storepass")
    return formats.loads(data, password, request.get("-storetype"), name)


def _existing(alias: str, store: KeyStore) -> str:
    name = alias.lower() if store.type == "PKCS12" else alias
    if name not in store:
        raise KeytoolError(f"Alias <{alias}> does not exist", f"{store.name} holds: {', '.join(store) or 'nothing'}")
    return name


def _print(alias: str, entry: Entry, request: Request, separated: bool) -> None:
    kind = _KINDS.get(type(entry), "OpaqueEntry")
    if not (request.has("-v") or request.has("-rfc")):
        out(f"{alias}, {describe.day(entry.modified)}, {kind}, ")
        chain = _chain(entry)
        if chain:
            out(f"Certificate fingerprint (SHA-256): {fingerprint(chain[0], 'sha256')}")
        return
    out(f"Alias name: {alias}\nCreation date: {describe.day(entry.modified)}\nEntry type: {kind}")
    if isinstance(entry, TrustedCertificateEntry):
        out()
        _print_certificate(entry.certificate, request)
    elif isinstance(entry, PrivateKeyEntry):
        out(f"Certificate chain length: {len(entry.certificates)}")
        for number, certificate in enumerate(entry.certificates, 1):
            out(f"Certificate[{number}]:")
            _print_certificate(certificate, request)
    if separated:
        out(f"\n\n{_STARS}\n{_STARS}\n\n")


def _chain(entry: Entry) -> tuple[bytes, ...]:
    if isinstance(entry, PrivateKeyEntry):
        return entry.certificates
    return (entry.certificate,) if isinstance(entry, TrustedCertificateEntry) else ()


def _print_certificate(certificate: bytes, request: Request) -> None:
    if request.has("-rfc"):
        text = base64.b64encode(certificate).decode()
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        out("\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----"]))
        return
    described = describe.certificate(certificate)
    out(f"Owner: {described.owner}\nIssuer: {described.issuer}\nSerial number: {described.serial}")
    out(f"Valid from: {described.not_before} until: {described.not_after}\nCertificate fingerprints:")
    out(f"\t SHA1: {fingerprint(certificate, 'sha1')}\n\t SHA256: {fingerprint(certificate, 'sha256')}")
    out(f"Signature algorithm name: {described.signature}{' (weak)' if described.weak_signature else ''}")
    out(f"Subject Public Key Algorithm: {described.key}{' (weak)' if described.weak_key else ''}")
    out(f"Version: {described.version}")


def fingerprint(certificate: bytes, digest: str) -> str:
    """Colon-separated hexadecimal, upper case."""
    return hashlib.new(digest, certificate, usedforsecurity=False).digest().hex(":").upper()


def warn_of_weakness(entries: Mapping[str, Entry]) -> None:
    """keytool's warning, at the end and on standard error."""
    sentences = []
    for alias, entry in entries.items():
        chain = _chain(entry)
        for number, certificate in enumerate(chain, 1):
            label = f"<{alias}>" if len(chain) == 1 else f"<{alias}> #{number} of {len(chain)}"
            sentences += [f"{label} {weakness}" for weakness in describe.weaknesses(certificate)]
    if sentences:
        say("\nWarning:\n" + "\n".join(sentences))


def explain_flags(request: Request) -> None:
    """Under -v: what was accepted without effect, and which passwords other users could read."""
    if request.ignored:
        say(f"note: {', '.join(request.ignored)}: accepted; {PROVIDER_NOTE}")
    if request.exposed:
        first = request.exposed[0]
        say(f"note: {', '.join(request.exposed)}: other users of this machine can read a password on the command line; "
            f"{first}:env VARIABLE and {first}:file FILE keep it out of process lists")  # fmt: skip

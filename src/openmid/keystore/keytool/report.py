"""`keytool -list`, in keytool's words: one line an entry, `-rfc` with PEM, `-v` with each certificate's fields."""

from __future__ import annotations

import sys

from openmid.keystore.entries import Entry, PrivateKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import on_one_line
from openmid.keystore.keytool import describe, prompts, stores
from openmid.keystore.keytool.options import Request, UsageError, safe
from openmid.keystore.keytool.prompts import say
from openmid.keystore.store import KeyStore

_KINDS = {
    PrivateKeyEntry: "PrivateKeyEntry",
    TrustedCertificateEntry: "trustedCertEntry",
}
_STARS = "*" * 43


def run(request: Request) -> None:
    """Raises KeytoolError, UsageError, KeystoreError."""
    if request.verbose and request.has("-rfc"):
        raise UsageError("Must not specify both -v and -rfc with 'list' command", request.command)
    store = stores.read(request)
    alias = request.get("-alias")
    shown = sorted(store) if alias is None else [stores.known_alias(alias, store)]
    if alias is None:
        out(f"Keystore type: {store.type}\nKeystore provider: openmid\n")
        out(f"Your keystore contains {len(store)} {'entry' if len(store) == 1 else 'entries'}\n")
    for name in shown:
        _print(name, store, request, alias)
    for note in store.notes:
        prompts.note(note)
    warn(request, store, weaknesses(store, shown))


def out(text: str = "", end: str = "\n") -> None:
    """To standard output."""
    sys.stdout.write(safe(text) + end)


def _print(name: str, store: KeyStore, request: Request, asked: str | None) -> None:
    """One entry; the alias that was asked for is printed as it was typed."""
    entry, alias = store[name], on_one_line(asked or name)
    kind = _KINDS.get(type(entry), "SecretKeyEntry")  # what has no certificate is that to keytool
    if not (request.verbose or request.has("-rfc")):
        out(f"{alias}, {describe.day(entry.modified)}, {kind}, ")
        chain = certificates(entry)
        if chain:
            out(f"Certificate fingerprint (SHA-256): {describe.fingerprint(chain[0], 'sha256')}")
        return
    out(f"Alias name: {alias}\nCreation date: {describe.day(entry.modified)}\nEntry type: {kind}")
    if isinstance(entry, TrustedCertificateEntry):
        out()
        _print_certificate(entry.certificate, request, store.type)
    elif isinstance(entry, PrivateKeyEntry):
        out(f"Certificate chain length: {len(entry.certificates)}")
        for number, certificate in enumerate(entry.certificates, 1):
            out(f"Certificate[{number}]:")
            _print_certificate(certificate, request, store.type)
    if asked is None:
        out(f"\n\n{_STARS}\n{_STARS}\n\n")


def certificates(entry: Entry) -> tuple[bytes, ...]:
    """Those of a key's chain, the trusted one, or none."""
    if isinstance(entry, PrivateKeyEntry):
        return entry.certificates
    return (entry.certificate,) if isinstance(entry, TrustedCertificateEntry) else ()


def _print_certificate(certificate: bytes, request: Request, kind: str) -> None:
    if request.has("-rfc"):
        out(pem(certificate))
    else:
        out(describe.certificate(certificate, sun=describe.suns(kind)), end="")


def pem(data: bytes, label: str = "CERTIFICATE") -> str:
    """As keytool writes it: CR LF between the lines of base64. Without the last line's end."""
    import base64

    text = base64.b64encode(data).decode()
    body = "\r\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----"


def weaknesses(store: KeyStore, aliases: list[str]) -> list[str]:
    """keytool's sentences about entries. The signature of a certificate that is trusted itself does not matter."""
    sentences = []
    trusted = trusted_certificates(store)
    for alias in aliases:
        chain = certificates(store[alias])
        for number, certificate in enumerate(chain, 1):
            label = f"<{on_one_line(alias)}>" if len(chain) == 1 else f"<{alias}> #{number} of {len(chain)}"
            sentences += weakness(label, certificate, trusted, sun=describe.suns(store.type))
    return sentences


def weakness(label: str, certificate: bytes, trusted: frozenset[bytes] = frozenset(), *, sun: bool = True) -> list[str]:
    """keytool's sentences about one certificate."""
    found = describe.weaknesses(certificate, sun=sun)
    if certificate in trusted:
        found = [sentence for sentence in found if " signature algorithm " not in sentence]
    return [f"{label} {sentence}" for sentence in found]


def request_weakness(signature: bytes, public_key: bytes) -> list[str]:
    """keytool's sentences about a request that was made: AlgorithmIdentifier and SubjectPublicKeyInfo."""
    return describe.request_weaknesses("The generated certificate request", signature, public_key)


def trusted_certificates(store: KeyStore) -> frozenset[bytes]:
    return frozenset(entry.certificate for entry in store.certificates().values())


def warn(request: Request, store: KeyStore | None, sentences: list[str]) -> None:
    """keytool's warnings, at the end and on standard error; a Java keystore with keys is one of them."""
    if store and store.type in ("JKS", "JCEKS") and len(store.certificates()) < len(store):
        name = request.get("-keystore")
        sentences = [*sentences, f"The {store.type} keystore uses a proprietary format. It is recommended to migrate to "
                     "PKCS12 which is an industry standard format using \"keytool -importkeystore -srckeystore "
                     f"{name} -destkeystore {name} -deststoretype pkcs12\"."]  # fmt: skip
    if sentences:
        say("\nWarning:\n" + "\n".join(sentences))

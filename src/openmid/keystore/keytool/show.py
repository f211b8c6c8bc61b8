"""`keytool -printcert`, `-printcertreq`, `-exportcert`, `-showinfo`."""

from __future__ import annotations

import sys

from openmid.keystore import der, files, formats
from openmid.keystore.der import DerError, Reader
from openmid.keystore.entries import PrivateKeyEntry, TrustedCertificateEntry
from openmid.keystore.errors import Damaged
from openmid.keystore.keytool import certificate_files, describe, names, prompts, report, stores
from openmid.keystore.keytool.options import KeytoolError, Request

_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"


def run(request: Request) -> None:
    """Raises KeytoolError, KeystoreError."""
    {
        "-printcert": _print_certificates,
        "-printcertreq": _print_request,
        "-exportcert": _export,
        "-showinfo": _show_tls,
    }[request.command](request)


def _print_certificates(request: Request) -> None:
    data = certificate_files.read_input(request.get("-file"))
    if not data:
        raise KeytoolError("Empty input")
    found = certificate_files.certificates(data)
    if not found:
        raise KeytoolError("Failed to parse input", "it holds no X.509 certificate, as PEM, DER or PKCS#7")
    sentences = []
    for number, certificate in enumerate(found, 1):
        if len(found) > 1:
            report.out(f"Certificate[{number}]:")
        if request.has("-rfc"):
            report.out(report.pem(certificate))
        else:
            report.out(describe.certificate(certificate), end="")
        if number < len(found):
            report.out()
        label = "The certificate" if len(found) == 1 else f"The certificate #{number} of {len(found)}"
        sentences += report.weakness(label, certificate)
    report.warn(request, None, sentences)


def _print_request(request: Request) -> None:
    data = certificate_files.read_input(request.get("-file"))
    blocks = [
        content for label, content in certificate_files.pem_blocks(data) if label.endswith(b"CERTIFICATE REQUEST")
    ]
    try:
        text, weak = _described_request(blocks[0] if blocks else data)
    except (DerError, UnicodeDecodeError) as error:
        raise Damaged(f"{request.get('-file') or 'the input'} is not a certificate request: {error}") from error
    report.out(text, end="")
    report.warn(request, None, weak)


def _described_request(data: bytes) -> tuple[str, list[str]]:
    """CertificationRequest (RFC 2986, 4)."""
    outer = Reader(data).sequence("the request")
    body = outer.sequence("the request's body")
    body.integer("the version")
    subject, public_key = names.shown(body.any("the subject")), body.any("the public key")
    signature = outer.any("the signature algorithm")
    shown, key = describe.request_algorithms(signature, public_key)
    head = f"PKCS #10 Certificate Request (Version 1.0)\nSubject: {subject}\nFormat: X.509\nPublic Key: {key}\n"
    text = f"{head}Signature algorithm: {shown}\n\n{_requested_extensions(body)}"
    return text, describe.request_weaknesses("The certificate request", signature, public_key)


def _requested_extensions(body: Reader) -> str:
    from openmid.keystore.keytool import extensions

    attributes = body.element(der.context(0), "the attributes") if body.peek() == der.context(0) else body
    while attributes.peek() >= 0:
        attribute = attributes.sequence("an attribute")
        if attribute.oid("an attribute") == _EXTENSION_REQUEST:
            found = extensions.read(attribute.element(der.SET, "an attribute's values"))
            return f"Extension Request:\n\n{extensions.text(found)}"
    return ""


def _export(request: Request) -> None:
    store = stores.read(request)
    alias = stores.known_alias(request.alias, store)
    entry = store[alias]
    if isinstance(entry, PrivateKeyEntry) and entry.certificates:
        certificate = entry.certificates[0]
    elif isinstance(entry, TrustedCertificateEntry):
        certificate = entry.certificate
    else:
        raise KeytoolError(f"Alias <{alias}> has no certificate")
    data = f"{report.pem(certificate)}\n".encode() if request.has("-rfc") else certificate
    write_output(request, data)
    if request.has("-file"):
        prompts.say(f"Certificate stored in file <{request.get('-file')}>")
    report.warn(request, store, report.weakness("The certificate", certificate, report.trusted_certificates(store)))


def write_output(request: Request, data: bytes) -> None:
    """To -file, whole or not at all, or to standard output. Raises FileProblem, KeytoolError."""
    path, store = request.get("-file"), request.get("-keystore")
    if path is not None:
        if store is not None and files.same(path, store):
            raise KeytoolError(f"{path} is the keystore itself", "give another name as -file")
        formats.write_atomically(path, data, mode=0o644)
        return
    sys.stdout.flush()
    stream = getattr(sys.stdout, "buffer", None)
    if stream:
        stream.write(data)
        stream.flush()
    else:
        sys.stdout.write(data.decode("latin-1"))


def _show_tls(request: Request) -> None:
    """What a connection of this Python offers when nobody restricts it, strongest first."""
    if not request.has("-tls"):
        report.out('Missing option for -showinfo. Try "keytool -showinfo -tls".')
        return
    import ssl

    context = ssl.create_default_context()
    offered = ["TLSv1.3", "TLSv1.2"] if ssl.HAS_TLSv1_3 else ["TLSv1.2"]
    suites = [str(suite["name"]) for suite in context.get_ciphers()]
    for title, lines in (("Enabled Protocols", offered), ("Enabled Cipher Suites", suites)):
        report.out("\n".join([title, "-" * len(title), *lines]) + ("\n" if lines is offered else ""))

"""A CA, a partner's server certificate and a PKCS12 client certificate, made with the openssl command as a user would."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from openmid.demo.stage import DemoError

CLIENT_SUBJECT = "/C=ZZ/O=openmid demo/CN=mymtlsclientcert"


@dataclass(frozen=True)
class Certificates:
    """PEM files, and the client's PKCS12 under `password`."""

    ca: Path
    server: Path
    server_key: Path
    client_p12: Path
    password: str


def make(folder: Path, password: str) -> Certificates:
    """All of them, in `folder`. The client's key never lies there in clear; the password goes by the environment.

    Raises:
        DemoError: openssl is missing, or refused.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _self_signed_ca(folder, password)
    _issue(folder, "server", "/C=ZZ/O=openmid demo/CN=localhost", "serverAuth", password, clear_key=True)
    _issue(folder, "client", CLIENT_SUBJECT, "clientAuth", password, clear_key=False)
    _export_p12(folder, password)
    return Certificates(
        folder / "ca.pem", folder / "server.pem", folder / "server.key", folder / "mymtlsclientcert.p12", password
    )


def _self_signed_ca(folder: Path, password: str) -> None:
    extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    added = [word for extension in extensions for word in ("-addext", extension)]
    _openssl(
        folder,
        password,
        *("req", "-x509", "-newkey", "rsa:3072", "-sha256", "-days", "30", "-subj", "/C=ZZ/O=openmid demo/CN=Demo CA"),
        *(*added, "-keyout", "ca.key", "-passout", "env:P", "-out", "ca.pem"),
    )


def _issue(folder: Path, name: str, subject: str, usage: str, password: str, *, clear_key: bool) -> None:
    # The partner is somebody else's server: it keeps its key as servers do, 0600 and in clear.
    protection = ["-nodes"] if clear_key else ["-passout", "env:P"]
    request = ["req", "-new", "-newkey", "rsa:2048", "-sha256", "-subj", subject, "-keyout", f"{name}.key", *protection]
    _openssl(folder, password, *request, "-out", f"{name}.csr")
    extensions = f"extendedKeyUsage={usage}\nkeyUsage=critical,digitalSignature,keyEncipherment\n"
    if usage == "serverAuth":
        extensions += "subjectAltName=DNS:localhost\n"
    (folder / f"{name}.ext").write_text(extensions)
    _openssl(
        folder,
        password,
        *("x509", "-req", "-sha256", "-days", "30", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-passin", "env:P", "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem"),
    )
    (folder / f"{name}.key").chmod(0o600)


def _export_p12(folder: Path, password: str) -> None:
    chain = ["-inkey", "client.key", "-passin", "env:P", "-in", "client.pem", "-certfile", "ca.pem"]
    target = ["-name", "mymtlsclientcert", "-passout", "env:P", "-out", "mymtlsclientcert.p12"]
    _openssl(folder, password, "pkcs12", "-export", *chain, *target)
    (folder / "mymtlsclientcert.p12").chmod(0o600)


def _openssl(folder: Path, password: str, *words: str) -> None:
    environment = {**os.environ, "P": password}
    try:
        done = subprocess.run(["openssl", *words], cwd=folder, env=environment, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise DemoError("the openssl command is not on this machine", "sudo apt-get install openssl") from error
    if done.returncode:
        raise DemoError(f"openssl {words[0]} failed: {done.stderr.strip().splitlines()[-1:]}", f"look into {folder}")

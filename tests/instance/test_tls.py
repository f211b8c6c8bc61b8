"""The server's certificate: given, renewed while the instance runs, refused; and none behind a proxy."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from openmid.instance import tls
from openmid.instance.folder import Folder, Listen
from tests.instance.test_commands import OPENMID, Running, free_port, openmid
from tests.parts import program


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def give(authority: trustme.CA, folder: Path, name: str = "server", **options: object) -> tuple[Path, Path]:
    """A certificate with its chain, and its key, on the disk."""
    leaf = authority.issue_cert("localhost", "127.0.0.1", **options)  # type: ignore[arg-type]
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    key.write_bytes(leaf.private_key_pem.bytes())
    certificate.write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))
    return certificate, key


def serial(running: Running) -> int:
    """Of the certificate that a new connection sees."""
    from cryptography import x509

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", running.port)) as plain, context.wrap_socket(plain) as secure:
        raw = secure.getpeercert(binary_form=True)
    assert raw
    return x509.load_der_x509_certificate(raw).serial_number


def test_a_given_certificate_is_served_and_taken_up_anew_without_a_restart(
    authority: trustme.CA, tmp_path: Path
) -> None:
    certificate, key = give(authority, tmp_path)
    folder = tmp_path / "instance"
    openmid("init", str(folder), "--port", str(free_port()), "--certificate", str(certificate), "--key", str(key))
    (folder / "tls").mkdir(exist_ok=True)
    authority.cert_pem.write_to_path(folder / "tls" / "ca.pem")  # where Running looks for what it trusts
    running = Running(folder)
    first = serial(running)
    renewed, its_key = give(authority, tmp_path, "renewed")
    shutil.move(its_key, key)
    shutil.move(renewed, certificate)
    while serial(running) == first:
        time.sleep(0.5)
    assert running.request("GET", "/health")[0] == 200
    certificate.write_text("nonsense")
    assert running.request("GET", "/health")[0] == 200
    running.stop()


@pytest.mark.parametrize("wrong", ["another key", "no certificate", "expired", "missing"])
def test_what_cannot_be_served_is_refused_with_a_sentence(authority: trustme.CA, tmp_path: Path, wrong: str) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    certificate, key = give(authority, tmp_path, **({"not_after": past} if wrong == "expired" else {}))
    if wrong == "another key":
        key = give(authority, tmp_path, "other")[1]
    elif wrong == "no certificate":
        certificate.write_text("nonsense")
    elif wrong == "missing":
        key.unlink()
    words = ("--certificate", str(certificate), "--key", str(key))
    said = openmid("init", str(tmp_path / "instance"), *words, expect=1).stderr
    sentence = {
        "another key": "do not belong together",
        "no certificate": "holds no certificate",
        "expired": "has expired",
        "missing": "cannot be read",
    }[wrong]
    assert sentence in said
    assert "hint: " in said


def test_a_key_that_comes_a_moment_after_its_certificate_is_taken_up(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After the look at both that failed, and before anything else."""

    def check_given(listen: Listen) -> None:
        try:
            original(listen)
        finally:
            if its_key.exists():
                shutil.move(its_key, key)

    certificate, key = give(authority, tmp_path)
    context = tls.ServerContext(Folder(tmp_path), Listen(certificate=str(certificate), key=str(key)))
    renewed, its_key = give(authority, tmp_path, "renewed")
    shutil.move(renewed, certificate)
    original = tls.check_given
    monkeypatch.setattr(tls, "check_given", check_given)
    caplog.set_level("INFO", "openmid.instance")
    context.renew()
    assert "the server's certificate stays as it was" in caplog.text
    context.renew()
    assert "the server's certificate was taken up anew" in caplog.text


def test_a_certificate_of_our_own_that_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    """Also by an instance that runs: it looks every ten seconds, and must not end."""
    folder = Folder(tmp_path)
    tls.ensure(folder, ["localhost"])
    context = tls.ServerContext(folder, Listen(host="localhost"))
    for damage in ("", "nonsense"):
        folder.server.write_text(damage)
        context.renew()
        assert "BEGIN CERTIFICATE" in folder.server.read_text()


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}
http {{
    access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


@pytest.fixture
def proxied(authority: trustme.CA, tmp_path: Path) -> Iterator[tuple[int, int, Path]]:
    """An instance behind nginx: nginx's port, the instance's own, the instance's folder."""
    nginx = program("nginx", "nginx-light")
    certificate, key = give(authority, tmp_path)
    front, backend, folder = free_port(), free_port(), tmp_path / "instance"
    openmid("init", str(folder), "--port", str(backend), "--public-name", "localhost", "--behind-proxy", "127.0.0.1")
    conf = tmp_path / "nginx.conf"
    conf.write_text(NGINX.format(folder=tmp_path, port=front, backend=backend, certificate=certificate, key=key))
    processes = [
        subprocess.Popen([*OPENMID, "instance", "run", str(folder)], stdin=subprocess.DEVNULL),
        subprocess.Popen([nginx, "-c", str(conf), "-p", str(tmp_path)], stdin=subprocess.DEVNULL),
    ]
    for port in (front, backend):
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
    yield front, backend, folder
    for process in processes:
        process.terminate()
        process.wait(20)


def test_behind_a_proxy_pages_are_secure_and_nobody_comes_past_it(
    authority: trustme.CA, proxied: tuple[int, int, Path]
) -> None:
    front, backend, _ = proxied
    context = ssl.create_default_context()
    authority.configure_trust(context)
    secure = http.client.HTTPSConnection("localhost", front, context=context)
    secure.request("GET", "/login/")
    answer = secure.getresponse()
    assert answer.status == 200
    assert "Secure" in (answer.getheader("Set-Cookie") or "")
    plain = http.client.HTTPConnection("127.0.0.1", backend)
    plain.request("GET", "/login/", headers={"Host": "localhost"})
    past = plain.getresponse()
    assert (past.status, json.loads(past.read())["code"]) == (400, "not_https")


def test_the_audit_has_the_clients_address_and_not_the_proxys(
    authority: trustme.CA, proxied: tuple[int, int, Path]
) -> None:
    front, _, folder = proxied
    context = ssl.create_default_context()
    authority.configure_trust(context)
    secure = http.client.HTTPSConnection("localhost", front, context=context, source_address=("127.0.0.9", 0))
    secure.request("GET", "/api/now/table/sys_alias", headers={"Authorization": "Basic YTpi"})
    assert secure.getresponse().status == 401
    said = openmid("audit", "--json", "--dir", str(folder)).stdout
    assert [json.loads(line)["address"] for line in said.splitlines() if "sign_in_failed" in line] == ["127.0.0.9"]

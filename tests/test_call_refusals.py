"""What `openmid call` says of its own settings before, or instead of, an instance's answer. No instance runs."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from openmid.cli.call import _body, _write

TOKEN = "omt_token"
USAGE, UNREACHABLE, UNFINISHED = 2, 4, 5


def call(*words: str, expect: int, closed_stdin: bool = False, **env: str) -> str:
    """What stands on stderr."""
    line = [sys.executable, "-m", "openmid", "call", *(words or ("partner", "GET", "/"))]
    line = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *line] if closed_stdin else line
    settings = {"OPENMID_URL": "https://localhost:1", "OPENMID_TOKEN": TOKEN}
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **settings, **env})
    assert "Traceback" not in done.stderr
    assert done.returncode == expect, done.stderr
    return done.stderr


@pytest.mark.parametrize("url", ["https://[::1", "https://localhost:99999", "https://localhost:https", "https://"])
def test_a_url_that_is_none(url: str) -> None:
    assert "write https://HOST[:PORT]" in call(expect=USAGE, OPENMID_URL=url)


def test_a_host_name_that_cannot_be_one() -> None:
    assert "cannot be reached" in call(expect=UNREACHABLE, OPENMID_URL="https://ä..ö")


@pytest.mark.parametrize("token", ["omt_secret\nX: y", "omt_secret€", os.fsdecode(b"omt_secret\xff")])
def test_a_token_that_is_none_is_not_shown(token: str) -> None:
    said = call(expect=USAGE, OPENMID_TOKEN=token)
    assert "what stands in OPENMID_TOKEN is not an API token" in said
    assert "secret" not in said


def test_a_token_file_that_holds_none(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xd0\x00")
    said = call("partner", "GET", "/", "--token-file", str(file), expect=USAGE)
    assert f"what stands in {file} is not an API token" in said


def test_a_ca_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate\n")
    assert "no certificate in PEM" in call(expect=USAGE, OPENMID_CA=str(tmp_path / "ca.pem"))


def test_a_header_without_a_colon_is_not_repeated() -> None:
    said = call("partner", "GET", "/", "-H", "Authorization Bearer geheim", expect=USAGE)
    assert "write NAME:VALUE" in said
    assert "geheim" not in said


def test_what_is_written_are_the_bytes_that_the_partner_sent(tmp_path: Path) -> None:
    """The body travels as text: a WSDL that says ISO-8859-1 would be none in UTF-8."""
    body, headers = '<?xml version="1.0" encoding="ISO-8859-1"?><a>\u00e9</a>', [["content-type", "text/xml"]]
    _write({"body": body, "body_is_base64": False, "headers": headers}, tmp_path / "a.wsdl")
    assert (tmp_path / "a.wsdl").read_bytes() == body.encode("latin-1")


def test_bytes_in_another_charset_are_sent_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes("<a/>".encode("utf-16-le"))  # which could be read as UTF-8, too
    assert _body(f"@{tmp_path / 'a.xml'}", "utf-16le") == {"body_base64": "PABhAC8APgA="}
    assert _body("<a/>", "UTF-8") == {"body": "<a/>"}


def test_stdin_that_is_closed() -> None:
    assert "stdin is closed" in call("partner", "POST", "/", "-d", "-", expect=USAGE, closed_stdin=True)


@pytest.fixture(
    params=[(200, b"[]"), (200, b'{"a": 1}'), (404, b'{"error": "no"}'), (200, b"<html>"), (202, b'{"sys_id": "5e"}')]
)
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path, int]]:
    """Its URL, its CA and its status: a server for HTTPS that is no instance."""
    status, body = request.param

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}", tmp_path / "ca.pem", status
        server.shutdown()


def test_something_that_is_no_instance_or_one_whose_database_is_away(stranger: tuple[str, Path, int]) -> None:
    url, ca, status = stranger
    code, sentence = {
        200: (UNREACHABLE, "does not answer as an instance does"),
        202: (UNFINISHED, "execution 5e was accepted, and cannot be read now"),
        404: (3, "the instance answers 404"),
    }[status]
    assert sentence in call(expect=code, OPENMID_URL=url, OPENMID_CA=str(ca))

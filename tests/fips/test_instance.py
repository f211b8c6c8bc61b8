"""The instance in FIPS Enforced Mode: whole processes under the real provider."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openmid.fips.provider import Provider

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("enforced instance")]


class Enforced:
    """An instance's folder, and its commands under OPENMID_FIPS=enforced."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        self.folder = folder
        self.environment = os.environ | {"OPENMID_FIPS": "enforced", "OPENMID_FIPS_PROVIDER": str(provider.path)}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def openmid(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = [sys.executable, "-m", "openmid", "instance", *words]
        env = self.environment | environment
        return subprocess.run(given, env=env, capture_output=True, text=True, timeout=120, check=False)

    def init(self) -> Any:
        done = self.openmid("init", str(self.folder), "--port", str(self.port), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "openmid", "instance", "run", str(self.folder)]
        return subprocess.Popen(words, env=self.environment, stderr=subprocess.PIPE, text=True)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "tls" / "ca.pem"))

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context())
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def until(process: subprocess.Popen[str], words: str) -> str:
    """What the process writes until a line has `words`."""
    assert process.stderr
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"{words!r} was not said:\n{said}")


@pytest.fixture
def made(tmp_path: Path, provider: Provider) -> Enforced:
    return Enforced(tmp_path / "instance", provider)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, provider: Provider
) -> Iterator[tuple[Enforced, str, subprocess.Popen[str]]]:
    made = Enforced(tmp_path_factory.mktemp("enforced") / "instance", provider)
    password = made.init()["password"]
    process = made.start()
    until(process, "Running in FIPS Enforced mode: OpenSSL FIPS Provider")
    yield made, password, process
    process.terminate()
    process.wait(30)
    if process.stderr:
        process.stderr.close()


def sign_in(made: Enforced, password: str) -> str:
    """The cookie of a browser in which the administrator is signed in: PBKDF2, sessions and CSRF work."""
    _, headers, page = made.ask("GET", "/login/")
    token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    cookie = headers["Set-Cookie"].split(";")[0]
    form = urllib.parse.urlencode(
        {"username": "admin", "password": password, "csrfmiddlewaretoken": token[1].decode(), "next": "/"}
    )
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"https://127.0.0.1:{made.port}/login/"}
    status, headers, _ = made.ask("POST", "/login/", form, Cookie=cookie, **sent)
    assert status == 302
    return "; ".join(each.split(";")[0] for each in headers.get_all("Set-Cookie"))


def test_an_enforced_instance_works(running: tuple[Enforced, str, subprocess.Popen[str]]) -> None:
    """Pages, passwords, sessions, static files, encrypted columns, enrolment: each kind of cryptography it has."""
    made, password, _ = running
    cookie = sign_in(made, password)
    status, headers, page = made.ask("GET", "/", Cookie=cookie)
    assert status == 200
    (static,) = re.findall(rb'href="(/static/openmid/pages\.css[^"]*)"', page)
    status, headers, _ = made.ask("GET", static.decode())
    assert (status, bool(headers["ETag"])) == (200, True)
    assert made.ask("GET", "/static/openmid/pages.css", **{"If-None-Match": headers["ETag"]})[0] == 304

    token = made.openmid("token", "create", "script", "--user", "admin", "--dir", str(made.folder)).stdout.strip()
    bearer = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    profile = json.dumps({"protocol": "mauth", "keystore_path": "/x.bcfks", "password": "a long password"})
    assert made.ask("POST", "/api/now/table/mid_protocol_profile", profile, **bearer)[0] == 201
    assert made.openmid("mid", "token", "mid1", "--dir", str(made.folder)).stdout.startswith("enrol-")


def test_it_takes_approved_suites_only(running: tuple[Enforced, str, subprocess.Popen[str]]) -> None:
    made, _, _ = running

    def negotiated(suite: str) -> str:
        context = made.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{suite}:@SECLEVEL=0")
        with (
            socket.create_connection(("127.0.0.1", made.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            chosen = secured.cipher()
            return chosen[0] if chosen else ""

    for suite in ("ECDHE-ECDSA-CHACHA20-POLY1305", "AES128-SHA", "ECDHE-ECDSA-AES256-SHA"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            negotiated(suite)
    assert negotiated("ECDHE-ECDSA-AES256-GCM-SHA384") == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_it_stops_when_its_module_changes_and_does_not_start_again(
    running: tuple[Enforced, str, subprocess.Popen[str]],
) -> None:
    """The last of those that use this instance."""
    made, _, process = running
    module = made.folder / "fips" / "ssl" / "fips.so"
    new = module.with_name("new")
    new.write_bytes(module.read_bytes()[:-1] + b"x")
    new.replace(module)
    assert "is not the file that was staged" in until(process, "the instance stops: FIPS Enforced Mode is not in force")
    assert process.wait(30) in (0, -signal.SIGTERM)
    for words in (("run", str(made.folder)), ("mid", "list", "--dir", str(made.folder))):
        done = made.openmid(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("openmid: the instance does not start: ")
        assert f"hint: remove {made.folder / 'fips'}" in done.stderr


def test_without_a_provider_nothing_starts(made: Enforced, tmp_path: Path) -> None:
    done = made.openmid("init", str(made.folder), OPENMID_FIPS_PROVIDER=str(tmp_path / "absent.so"))
    assert done.returncode == 1
    assert "absent.so is not there" in done.stderr
    assert not (made.folder / "openmid.sqlite3").exists()


def test_libpq_of_debian_brings_a_library_that_is_not_proved(made: Enforced) -> None:
    """The other side: the SQLite instances here run enforced with psycopg installed (test_databases: it is not loaded)."""
    assert importlib.util.find_spec("psycopg")
    done = made.openmid("init", str(made.folder), "--database", "postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "openmid: the instance does not start with PostgreSQL's libpq: FIPS Enforced Mode is not in"
    )
    assert "libgnutls" in done.stderr
    assert "hint: put a libpq that was built without LDAP and GSSAPI first (LD_LIBRARY_PATH)" in done.stderr
    assert "127.0.0.1" not in done.stderr  # nobody was asked


@pytest.mark.parametrize("value", ["1", "on", "Enforced", "enforce"])
def test_a_typing_mistake_does_not_switch_it_off(made: Enforced, value: str) -> None:
    done = made.openmid("init", str(made.folder), OPENMID_FIPS=value)
    assert done.returncode == 1
    assert f'openmid: OPENMID_FIPS is "{value}"' in done.stderr

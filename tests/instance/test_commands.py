"""`openmid instance` as a shell sees it, with TLS, and with kills."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("commands")  # one instance for all of them
OPENMID = [sys.executable, "-m", "openmid"]


def openmid(*words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*OPENMID, "instance", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Running:
    """`openmid instance run`, answering."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = json.loads((folder / "instance.json").read_text())["port"]
        self.context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))
        command = [*OPENMID, "instance", "run", str(folder)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        while True:
            assert self.process.poll() is None
            try:
                if self.request("GET", "/health")[0] == 200:
                    break
            except ConnectionRefusedError:
                time.sleep(0.05)

    def request(self, method: str, path: str, data: object = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=60)
        connection.request(method, path, json.dumps(data) if data is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        self.process.send_signal(how)
        return self.process.communicate(timeout=20)[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("made") / "instance"
    told = openmid("init", str(folder), "--port", str(free_port()), "--public-name", "localhost", "--json").stdout
    return folder, json.loads(told)


@pytest.fixture(scope="module")
def token(made: tuple[Path, dict[str, str]]) -> str:
    return openmid("token", "create", "test", "--user", "admin", "--dir", str(made[0])).stdout.strip()


@pytest.fixture
def running(made: tuple[Path, dict[str, str]]) -> Iterator[Running]:
    found = Running(made[0])
    yield found
    if found.process.poll() is None:
        found.stop()


def listed(folder: str) -> str:
    return openmid("user", "list", "--dir", folder).stdout


def test_init_tells_the_password_once_and_again_changes_nothing(made: tuple[Path, dict[str, str]]) -> None:
    folder, told = made
    assert told["user"] == "admin"
    assert len(told["password"]) == 24
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "sqlite3" not in path.name}
    (folder / "static" / "openmid" / "pages.js").write_text("of another version, whatever its time says")
    again = openmid("init", str(folder))
    assert "password" not in again.stdout
    assert told["url"] in again.stdout
    assert {path: path.read_bytes() for path in before} == before


def test_secrets_are_for_their_owner(made: tuple[Path, dict[str, str]]) -> None:
    folder, told = made
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keys = [folder / "tls" / "ca.key", folder / "tls" / "server.pem"]
    for path in (*(folder / "secrets").iterdir(), *keys):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes() for path in keys)
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert told["password"].encode() not in everything


def test_a_token_in_the_database_is_a_hash(made: tuple[Path, dict[str, str]], token: str) -> None:
    files = b"".join(path.read_bytes() for path in made[0].glob("openmid.sqlite3*"))
    assert token.encode() not in files


def test_one_sentence_for_each_mistake(made: tuple[Path, dict[str, str]], tmp_path: Path, token: str) -> None:
    folder = str(made[0])
    (tmp_path / "mine").write_text("precious")
    for words, sentence in (
        (["run", str(tmp_path)], "is not an instance's folder"),
        (["init", str(tmp_path)], "neither empty nor an instance's folder"),
        (["token", "create", "x", "--user", "nobody", "--dir", folder], "no user named nobody"),
        (["token", "create", "test", "--user", "admin", "--dir", folder], "already exists"),
        (["token", "delete", "nobody", "--dir", folder], "no API token named nobody"),
        (["user", "disable", "admin", "--dir", folder], "admin is the only administrator who may sign in"),
        (["user", "create", "admin", "--role", "admin", "--dir", folder], "a user named admin already"),
        (["mid", "token", "not a name", "--dir", folder], "A MID Server's name has"),
        (["token", "create", os.fsdecode(b"\xff"), "--user", "admin", "--dir", folder], "is not UTF-8"),
        (["mid", "token", "x", "--output", str(tmp_path / "mine" / "x"), "--dir", folder], "cannot be written"),
        (["mid", "validate", "nobody", "--fingerprint", "AB", "--dir", folder], "no MID Server named nobody"),
        (["mid", "prove", "nobody", "--dir", folder], "no MID Server named nobody"),
    ):
        done = openmid(*words, expect=1)
        assert done.stdout == ""
        assert done.stderr.startswith("openmid: ")
        assert sentence in done.stderr
    openmid("mid", "validate", "x", "--dir", folder, expect=2)


def test_a_folder_that_is_damaged_or_of_another_version(made: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    shutil.copytree(made[0], folder)
    with sqlite3.connect(folder / "openmid.sqlite3") as database:
        database.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('mid', '9999_later', '2030-01-01')"
        )
    assert "newer openmid" in openmid("run", str(folder), expect=1).stderr
    with sqlite3.connect(folder / "openmid.sqlite3") as database:
        database.execute("DELETE FROM django_migrations WHERE app IN ('mid', 'connections', 'actions')")
    assert "older openmid" in openmid("run", str(folder), expect=1).stderr
    (folder / "openmid.sqlite3").write_bytes(b"nonsense" * 1000)
    assert "database cannot be used" in openmid("run", str(folder), expect=1).stderr
    (folder / "secrets" / "django.key").unlink()
    assert "django.key cannot be read" in openmid("run", str(folder), expect=1).stderr
    openmid("init", str(tmp_path / "x"), "--public-name", "https://x.example", expect=2)
    assert not (tmp_path / "x").exists()


def test_people_and_mid_servers(made: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder = str(made[0])
    password = openmid("user", "create", "charlie", "--role", "mid_server", "--dir", folder).stdout.strip()
    assert openmid("user", "password", "charlie", "--dir", folder).stdout.strip() != password
    assert "charlie  mid_server  active  password only  last sign-in never" in listed(folder)
    openmid("user", "disable", "charlie", "--dir", folder)
    told = json.loads(openmid("user", "list", "--json", "--dir", folder).stdout)["users"]
    assert [(each["name"], each["roles"], each["active"]) for each in told] == [
        ("admin", ["admin"], True),
        ("charlie", ["mid_server"], False),
    ]
    openmid("user", "enable", "charlie", "--dir", folder)
    assert "charlie  mid_server  active" in listed(folder)
    openmid("mid", "token", "mid1", "--output", str(tmp_path / "token"), "--dir", folder)
    assert (tmp_path / "token").read_text().startswith("enrol-")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    os.mkfifo(tmp_path / "pipe")  # like /dev/stdout: written to, and not replaced by a file
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    openmid("mid", "token", "mid1", "--output", str(tmp_path / "pipe"), "--dir", folder)
    assert os.read(reader, 1000).startswith(b"enrol-")
    os.close(reader)
    assert json.loads(openmid("mid", "list", "--json", "--dir", folder).stdout) == []


def test_a_port_in_use(running: Running) -> None:
    done = openmid("run", str(running.folder), expect=1)
    assert f"127.0.0.1 port {running.port} is in use" in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_is_1_2_or_later(running: Running) -> None:
    old = ssl.create_default_context(cafile=str(running.folder / "tls" / "ca.pem"))
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with socket.create_connection(("localhost", running.port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")


def test_an_accepted_execution_survives_a_kill(running: Running, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    step = {"base_url": "https://partner.example"}
    running.request("POST", "/api/v1/actions", {"name": "call", "steps": [step]}, **headers)
    status, raw = running.request("POST", "/api/v1/actions/call/execute", {}, **headers)
    assert status == 202
    running.stop(signal.SIGKILL)
    again = Running(running.folder)
    try:
        status, after = again.request("GET", f"/api/v1/executions/{json.loads(raw)['sys_id']}", **headers)
        assert (status, json.loads(after)) == (200, json.loads(raw))
    finally:
        assert "Traceback" not in again.stop()
    assert again.process.returncode == 0


def test_small_answers_leave_at_once() -> None:
    """asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer waits 40 ms."""
    from openmid.instance.folder import Listen
    from openmid.instance.serve import bind

    with bind(Listen(port=0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP

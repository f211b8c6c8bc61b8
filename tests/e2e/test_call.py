"""`openmid call` as a developer uses it, on the standing walk: a real instance, an enforced MID Server, nginx."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmid.demo import walk
from openmid.demo.walk import Walk

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standing")]


class Shell:
    """The command, with its environment."""

    def __init__(self, standing: Walk, folder: Path) -> None:
        self.folder = folder
        made = [
            sys.executable,
            "-m",
            "openmid",
            "instance",
            "token",
            "create",
            folder.name,
            "--user",
            "admin",
            "--scope",
            "run",
        ]
        token = subprocess.run(
            [*made, "--dir", str(standing.instance)], capture_output=True, text=True, check=True
        ).stdout
        self.token = token.strip()
        self.env = {
            "OPENMID_URL": standing.url,
            "OPENMID_CA": str(standing.instance / "tls" / "ca.pem"),
            "OPENMID_TOKEN": self.token,
        }

    def call(self, *words: str, expect: int = 0, stdin: bytes = b"", **env: str) -> tuple[bytes, str]:
        done = subprocess.run(
            [sys.executable, "-m", "openmid", "call", *words],
            input=stdin,
            capture_output=True,
            env={**os.environ, **self.env, **env},
            cwd=self.folder,
        )
        said = done.stderr.decode()
        assert done.returncode == expect, (done.returncode, said)
        assert "Traceback" not in said
        assert self.token not in said
        return done.stdout, said


@pytest.fixture
def shell(standing: Walk, tmp_path: Path) -> Shell:
    return Shell(standing, tmp_path)


@pytest.fixture
def bare(standing: Walk) -> str:
    """An alias whose connection shows no client certificate."""
    alias = walk.api(standing).create("sys_alias", name="bare_call", connection_type="http_connection")
    walk.api(standing).create("http_connection", **walk._connection(standing, "Bare", alias))
    return "bare_call"


def test_the_body_goes_to_stdout_and_nothing_else(shell: Shell) -> None:
    out, said = shell.call("partner", "get", "/")
    assert out
    assert said == ""
    out_i, said = shell.call("partner", "GET", "/", "-i")
    assert out_i == out
    assert said.startswith("200\n")
    shell.call("partner", "GET", "/", "-o", "body")
    assert (shell.folder / "body").read_bytes() == out


def test_details_for_scripts(shell: Shell) -> None:
    out, _ = shell.call("partner", "GET", "/", "--json")
    details = json.loads(out)
    assert details["steps"][0]["output"]["status_code"] == 200
    assert details["steps"][0]["integration_metadata"]["fips_enforced"] is True


def test_each_kind_of_failure_has_its_exit_status_and_a_sentence(shell: Shell, bare: str, standing: Walk) -> None:
    assert standing.certificates
    out, said = shell.call(bare, "GET", "/", expect=22)
    assert b"No required SSL certificate" in out
    assert "demands a client certificate" in said
    assert "no connection alias named nothing" in shell.call("nothing", "GET", "/", expect=3)[1]
    assert "method" in shell.call("partner", "BREW", "/", expect=3)[1]
    assert "User Not Authenticated" in shell.call("partner", "GET", "/", expect=3, OPENMID_TOKEN="omt_wrong")[1]
    assert "cannot be reached" in shell.call("partner", "GET", "/", expect=4, OPENMID_URL="https://localhost:1")[1]
    assert "is not trusted" in shell.call("partner", "GET", "/", expect=4, OPENMID_CA=str(standing.certificates.ca))[1]
    assert "there is no API token" in shell.call("partner", "GET", "/", expect=2, OPENMID_TOKEN="")[1]
    assert "write https://" in shell.call("partner", "GET", "/", expect=2, OPENMID_URL="localhost")[1]
    assert "write NAME=VALUE" in shell.call("partner", "GET", "/", "-q", "x", expect=2)[1]
    assert "cannot be read" in shell.call("partner", "POST", "/", "-d", "@not-there", expect=2)[1]
    assert "cannot be read" in shell.call("partner", "GET", "/", "-H", "@not-there", expect=2)[1]


def test_secret_headers_come_from_a_file_and_are_in_no_error(shell: Shell) -> None:
    (shell.folder / "headers").write_text("Authorization: Bearer geheim\n\nAccept: a/b\n")
    details = json.loads(shell.call("partner", "GET", "/", "-H", "@headers", "--json")[0])
    shown = details["steps"][0]["configuration"]["headers"]
    assert shown == [["Authorization", "********"], ["Accept", "a/b"]]
    (shell.folder / "headers").write_text("Accept: a/b\nAuthorization Bearer geheim\n")
    said = shell.call("partner", "GET", "/", "-H", "@headers", expect=2)[1]
    assert "headers, line 2: write NAME:VALUE" in said
    assert "geheim" not in said


def test_help_teaches(shell: Shell) -> None:
    out, _ = shell.call("--help")
    assert b"openmid call partner POST /v1/orders" in out
    assert b"22  the partner answered 4xx or 5xx" in out


def test_an_answer_that_cannot_be_written_is_a_sentence(shell: Shell) -> None:
    words = [sys.executable, "-m", "openmid", "call", "partner", "GET", "/"]
    env = {**os.environ, **shell.env}
    for more in ((), ("--json",)):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run([*words, *more], stdout=full, stderr=subprocess.PIPE, env=env)
        assert (done.returncode, done.stderr.count(b"Traceback")) == (1, 0), done.stderr
        assert b"No space left on device" in done.stderr
    closed = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *words], stderr=subprocess.PIPE, env=env, check=False
    )
    assert (closed.returncode, closed.stderr.count(b"Traceback")) == (1, 0), closed.stderr
    assert b"stdout is closed" in closed.stderr


def test_details_and_the_body_in_a_file(shell: Shell) -> None:
    details = json.loads(shell.call("partner", "GET", "/", "--json", "-o", "body")[0])
    assert (shell.folder / "body").read_text() == details["steps"][0]["output"]["body"]


def test_bytes_on_the_command_line_are_sent_as_they_are(shell: Shell) -> None:
    details = json.loads(shell.call("partner", "POST", "/", "-d", os.fsdecode(b"\xff\xfe"), "--json")[0])
    assert details["state"] == "Completed"

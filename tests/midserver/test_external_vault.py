"""Vault through hvac: against OpenBao's own server where it is (`bao` on the PATH, or OPENMID_BAO), and against a fake
of the documented HTTP API for the faults that a real one cannot be made to show."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hvac
import pytest
import trustme

from openmid.demo.partner import free_port
from openmid.midserver.errors import ConfigError, SecretUnavailable
from openmid.midserver.external_store import Options
from openmid.midserver.external_vault import Vault
from tests.midserver.conftest import Authority

ROOT, ROLE, SECRET_ID = "root-token-of-the-test", "role-of-the-mid", "secret-id-of-the-mid"


@dataclass
class FakeVault:
    """HTTPS on loopback; `answers` maps a path to status and body (or to what makes them)."""

    url: str
    ca: Path
    answers: dict[str, tuple[int, Any] | Callable[[], tuple[int, Any]]]
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)  # method, path, token, namespace
    context: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    @staticmethod
    def v2(**fields: Any) -> tuple[int, Any]:
        return 200, {"data": {"data": fields, "metadata": {"version": 1}}}


def serve(authority: Authority, tmp_path: Path, name: str) -> Iterator[FakeVault]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            token, namespace = self.headers.get("X-Vault-Token", ""), self.headers.get("X-Vault-Namespace", "")
            fake.asked.append((self.command, self.path, token, namespace))
            found = fake.answers.get(self.path, (404, {"errors": []}))
            status, body = found() if callable(found) else found
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if status == 307:
                self.send_header("Location", "https://elsewhere.example/")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # handshakes that fail on purpose
    (tmp_path / "vault-ca.pem").write_text(authority.pem)
    fake = FakeVault(f"https://localhost:{server.server_port}", tmp_path / "vault-ca.pem", {})
    authority.ca.issue_cert(name).configure_cert(fake.context)
    server.socket = fake.context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fake(authority: Authority, tmp_path: Path) -> Iterator[FakeVault]:
    yield from serve(authority, tmp_path, "localhost")


@pytest.fixture
def misnamed(authority: Authority, tmp_path: Path) -> Iterator[FakeVault]:
    yield from serve(authority, tmp_path, "other.example")


def vault(fake: FakeVault, tmp_path: Path, **more: str) -> Vault:
    (tmp_path / "token").write_text(ROOT + "\n")
    values = {"url": fake.url, "ca": str(fake.ca), "token_file": str(tmp_path / "token"), **more}
    return Vault(Options(tmp_path, False, values))


def refused(store: Vault, name: str = "mid/partner") -> str:
    with pytest.raises(SecretUnavailable) as error:
        store.secret(name)
    assert ROOT not in f"{error.value} {error.value.hint}"
    return f"{error.value} | {error.value.hint}"


def test_kv_version_2_with_a_field(fake: FakeVault, tmp_path: Path) -> None:
    fake.answers["/v1/secret/data/mid/partner"] = fake.v2(password="word", other="else")
    store = vault(fake, tmp_path, namespace="team")
    assert store.secret("mid/partner") == "word"
    assert store.secret("mid/partner#other") == "else"
    assert fake.asked[0] == ("GET", "/v1/secret/data/mid/partner", ROOT, "team")


def test_kv_version_1_under_a_mount_of_its_own(fake: FakeVault, tmp_path: Path) -> None:
    fake.answers["/v1/kv/mid/partner"] = (200, {"data": {"password": "word"}})
    assert vault(fake, tmp_path, kv_version="1", mount="kv").secret("mid/partner") == "word"


def test_the_token_is_read_anew_each_time(fake: FakeVault, tmp_path: Path) -> None:
    fake.answers["/v1/secret/data/a"] = fake.v2(password="word")
    store = vault(fake, tmp_path)
    store.secret("a")
    (tmp_path / "token").write_text("renewed")
    store.secret("a")
    assert [token for _, _, token, _ in fake.asked] == [ROOT, "renewed"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((403, {"errors": ["permission denied"]}), "does not let this MID Server read mid/partner"),
        ((404, {"errors": []}), "has no secret mid/partner in secret"),
        ((503, {"errors": ["Vault is sealed"]}), "Vault is sealed"),
        ((500, {"errors": ["internal error"]}), "cannot answer: ['internal error']"),
        ((307, {}), "does not answer as Vault does"),
        ((200, b"<html>"), "does not answer as Vault does"),
        ((200, {"data": []}), "does not answer as Vault does"),
        ((200, {"data": {"data": {"other": "x"}}}), 'has no text in the field "password"'),
        ((200, {"data": {"data": {"password": 7}}}), 'has no text in the field "password"'),
    ],
    ids=["forbidden", "missing", "sealed", "broken", "redirect", "html", "shape", "field", "number"],
)
def test_each_way_of_not_answering_has_its_sentence(
    fake: FakeVault, tmp_path: Path, answer: tuple[int, Any], says: str
) -> None:
    fake.answers["/v1/secret/data/mid/partner"] = answer
    assert says in refused(vault(fake, tmp_path))
    assert len(fake.asked) == 1  # nothing is followed


def test_a_vault_that_is_silent_is_given_up(fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from openmid.midserver import external_vault

    go = threading.Event()

    def silent() -> tuple[int, Any]:
        go.wait()
        return 200, {}

    fake.answers["/v1/secret/data/mid/partner"] = silent
    monkeypatch.setattr(external_vault, "TIMEOUTS", (1.0, 0.2))
    try:
        assert "does not answer in time" in refused(vault(fake, tmp_path))
    finally:
        go.set()


def test_another_authority_is_not_trusted(fake: FakeVault, tmp_path: Path) -> None:
    fake.ca.write_bytes(trustme.CA().cert_pem.bytes())
    assert "is not trusted: unable to get local issuer" in refused(vault(fake, tmp_path))
    assert not fake.asked


def test_without_its_own_ca_the_systems_authorities_count(fake: FakeVault, tmp_path: Path) -> None:
    assert "is not trusted" in refused(vault(fake, tmp_path, ca=""))
    assert not fake.asked


def test_another_hosts_certificate_is_not_taken(misnamed: FakeVault, tmp_path: Path) -> None:
    assert "is not trusted" in refused(vault(misnamed, tmp_path))
    assert not misnamed.asked


def test_the_environment_steers_nothing(fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.answers["/v1/secret/data/a"] = fake.v2(password="word")
    for name, value in {
        "VAULT_ADDR": "https://elsewhere.example", "VAULT_TOKEN": "other", "HTTPS_PROXY": "http://127.0.0.1:1",
        "REQUESTS_CA_BUNDLE": "/nowhere", "VAULT_CACERT": "/nowhere", "VAULT_SKIP_VERIFY": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert vault(fake, tmp_path).secret("a") == "word"
    assert fake.asked[0][2] == ROOT


def test_nobody_there_has_its_sentence(fake: FakeVault, tmp_path: Path) -> None:
    assert "cannot be reached" in refused(vault(fake, tmp_path, url=f"https://localhost:{free_port()}"))


def test_a_token_that_is_not_there_has_its_sentence(fake: FakeVault, tmp_path: Path) -> None:
    store = vault(fake, tmp_path)
    (tmp_path / "token").unlink()
    assert f"{tmp_path / 'token'} cannot be read" in refused(store)
    assert not fake.asked


@pytest.mark.parametrize("name", ["", "../sys/seal", "a/../../sys", "/a", "a//b", "a?b", "a%2e", "a\nb", "./a", "a/"])
def test_a_name_leads_nowhere_else(fake: FakeVault, tmp_path: Path, name: str) -> None:
    assert "is not the name of a secret in Vault" in refused(vault(fake, tmp_path), name)
    assert not fake.asked


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"url": "http://vault:8200"}, "http://vault:8200"),
        ({"url": ""}, r"store\.url"),
        ({"kv_version": "3"}, r"store\.kv_version"),
        ({"token_file": ""}, r"store\.token_file"),
        ({"role_id": "r"}, r"store\.secret_id_file"),
        ({"ca": "gone.pem"}, r"gone\.pem"),
    ],
    ids=["http", "url", "version", "token", "secret_id", "ca"],
)
def test_a_mistake_in_config_xml_stops_the_start(
    fake: FakeVault, tmp_path: Path, values: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        vault(fake, tmp_path, **values)


# The real thing


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[FakeVault]:
    program = os.environ.get("OPENMID_BAO") or shutil.which("bao") or shutil.which("vault")
    if not program:
        pytest.skip("neither bao (OpenBao) nor vault is on this machine")
    folder, port = tmp_path_factory.mktemp("bao"), free_port()
    leaf = authority.ca.issue_cert("localhost")
    (folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    (folder / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    (folder / "ca.pem").write_text(authority.pem)
    (folder / "bao.hcl").write_text(
        f'listener "tcp" {{ address = "127.0.0.1:{port}" tls_cert_file = "{folder}/cert.pem"\n'
        f'tls_key_file = "{folder}/key.pem" }}\napi_addr = "https://localhost:{port}"\n'
    )
    words = [program, "server", "-dev", f"-dev-root-token-id={ROOT}", "-dev-no-store-token", f"-config={folder}/bao.hcl",
             f"-dev-listen-address=127.0.0.1:{free_port()}"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    try:
        yield prepare(FakeVault(f"https://localhost:{port}", folder / "ca.pem", {}), process, folder / "log")
    finally:
        process.terminate()
        process.wait()


def prepare(bao: FakeVault, process: subprocess.Popen[bytes], log: Path) -> FakeVault:
    """A role that may read one secret of each engine, and no other."""
    client = hvac.Client(bao.url, token=ROOT, verify=str(bao.ca))
    while True:
        assert process.poll() is None, log.read_text()
        try:
            if client.sys.is_initialized() and not client.sys.is_sealed() and client.secrets.kv.v2.read_configuration():
                break
        except Exception:  # not up yet
            time.sleep(0.05)
    client.secrets.kv.v2.create_or_update_secret("mid/partner", {"password": "second word"})
    client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    client.secrets.kv.v1.create_or_update_secret("mid/partner", {"password": "first word"}, mount_point="old")
    policy = 'path "secret/data/mid/*" { capabilities = ["read"] }\npath "old/mid/*" { capabilities = ["read"] }'
    client.sys.create_or_update_policy("mid", policy)
    client.sys.enable_auth_method("approle")
    client.auth.approle.create_or_update_approle("mid", token_policies=["mid"])
    client.auth.approle.update_role_id("mid", ROLE)
    client.auth.approle.create_custom_secret_id("mid", SECRET_ID)
    return bao


def by_role(bao: FakeVault, tmp_path: Path, **more: str) -> Vault:
    (tmp_path / "secret_id").write_text(SECRET_ID)
    return vault(bao, tmp_path, role_id=ROLE, secret_id_file="secret_id", **more)


def test_a_real_one_hands_out_by_token(bao: FakeVault, tmp_path: Path) -> None:
    assert vault(bao, tmp_path).secret("mid/partner#password") == "second word"
    assert vault(bao, tmp_path, kv_version="1", mount="old").secret("mid/partner") == "first word"


def test_a_real_one_hands_out_by_approle_what_its_policy_allows(bao: FakeVault, tmp_path: Path) -> None:
    assert by_role(bao, tmp_path).secret("mid/partner") == "second word"
    assert by_role(bao, tmp_path, kv_version="1", mount="old").secret("mid/partner") == "first word"
    assert "does not let this MID Server read other/partner" in refused(by_role(bao, tmp_path), "other/partner")


def test_a_real_one_refuses(bao: FakeVault, tmp_path: Path) -> None:
    assert "has no secret mid/gone in secret" in refused(vault(bao, tmp_path), "mid/gone")
    store = by_role(bao, tmp_path)
    (tmp_path / "secret_id").write_text("not-the-secret-id")
    said = refused(store)
    assert "refuses: " in said
    assert "not-the-secret-id" not in said
    (tmp_path / "wrong").write_text("no-token-of-theirs")
    assert "does not let this MID Server read" in refused(vault(bao, tmp_path, token_file="wrong"))


def test_a_deleted_version_of_a_real_one_is_no_secret(bao: FakeVault, tmp_path: Path) -> None:
    client = hvac.Client(bao.url, token=ROOT, verify=str(bao.ca))
    client.secrets.kv.v2.create_or_update_secret("mid/deleted", {"password": "old"})
    client.secrets.kv.v2.delete_latest_version_of_secret("mid/deleted")
    assert "has no secret mid/deleted" in refused(vault(bao, tmp_path), "mid/deleted")

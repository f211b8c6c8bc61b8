"""Sessions that are resumed: with nginx, which says so, and what a renewed or refused certificate has to do with it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openmid.midserver import tls
from openmid.midserver.connector import CURRENT, Attempt
from openmid.wire.probes import ProbeResult, RestProbe
from tests.midserver.conftest import Authority, Mid, write_bcfks
from tests.parts import program

CONF = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off; keepalive_timeout 0;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        ssl_client_certificate {folder}/ca.pem; ssl_verify_client on; ssl_protocols {version};
        ssl_session_cache shared:S:1m;
        location / {{ return 200 "$ssl_session_reused $ssl_client_s_dn"; }}
    }}
}}
"""


@contextlib.asynccontextmanager
async def nginx(folder: Path, authority: Authority, version: str) -> AsyncIterator[int]:
    """One that closes every connection, so that each call makes a new one."""
    server = authority.ca.issue_cert("localhost")
    (folder / "server.pem").write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    (folder / "server.key").write_bytes(server.private_key_pem.bytes())
    (folder / "ca.pem").write_text(authority.pem)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "nginx.conf").write_text(CONF.format(folder=folder, port=port, version=version))
    process = subprocess.Popen([program("nginx", "nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    try:
        while True:
            assert process.poll() is None
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            await asyncio.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait()


async def call(mid: Mid, authority: Authority, port: int) -> ProbeResult:
    return await mid.runner.run(RestProbe(f"mauth://localhost:{port}/", ca_certificates=authority.pem))


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_the_next_connection_resumes_the_session(
    mid: Mid, authority: Authority, bcfks: Path, tmp_path: Path, version: str
) -> None:
    await mid.register(bcfks)
    async with nginx(tmp_path, authority, version) as port:
        results = [await call(mid, authority, port) for _ in range(4)]
    assert [result.body.split()[0] for result in results] == [".", "r", "r", "r"], results[0].failure
    assert all("CN=mymtlsclientcert" in result.body for result in results)
    assert len({(result.tls.version, result.tls.server_subject, result.tls.client_subject) for result in results}) == 1
    assert all(result.timing.tls >= 0 for result in results)  # each was a connection of its own


async def test_a_renewed_certificate_resumes_nothing(
    mid: Mid, authority: Authority, bcfks: Path, tmp_path: Path
) -> None:
    path = tmp_path / "client.bcfks"
    shutil.copy(bcfks, path)
    await mid.register(path)
    async with nginx(tmp_path, authority, "TLSv1.3") as port:
        await call(mid, authority, port)
        write_bcfks(path, authority.ca.issue_cert("renewed.example", common_name="renewed"))
        await mid.registry.refresh()
        result = await call(mid, authority, port)
    assert result.body.startswith(". ")
    assert "CN=renewed" in result.body


async def test_a_partner_that_has_forgotten_the_session_is_met_anew(
    mid: Mid, authority: Authority, bcfks: Path, tmp_path: Path
) -> None:
    await mid.register(bcfks)
    async with nginx(tmp_path, authority, "TLSv1.3") as port:
        first = await call(mid, authority, port)
    (tmp_path / "again").mkdir()
    async with nginx(tmp_path / "again", authority, "TLSv1.3") as other:
        second = await call(mid, authority, other)  # another port is another partner
        third = await call(mid, authority, other)
    assert [result.body.split()[0] for result in (first, second, third)] == [".", ".", "r"]


def test_an_old_session_is_not_offered(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on trusting what has ended meanwhile."""
    offered: list[object] = []

    class Before:
        session = type("Session", (), {"time": 1000})()

    context = tls.client_context(authority.pem, enforced=False)
    monkeypatch.setattr(ssl.SSLContext, "wrap_bio", lambda _self, *_args, **more: offered.append(more.get("session")))
    token = CURRENT.set(Attempt("localhost", port=1))
    for now in (1001, 1000 + 3599, 1000 + 3600, 999):
        context._last()["localhost", 1] = Before()  # type: ignore[attr-defined]
        monkeypatch.setattr("openmid.midserver.connector.time.time", lambda now=now: now)
        context.wrap_bio()  # type: ignore[call-arg]
    CURRENT.reset(token)
    assert offered == [Before.session, Before.session, None, None]

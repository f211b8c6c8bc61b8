"""A new certificate without a restart: nginx says which one it saw, whatever way the file came to be another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from openmid.demo.partner import free_port
from openmid.midserver import registered
from openmid.midserver.file_watch import FileWatch
from openmid.midserver.protocol_registry import OpenedProfile
from openmid.wire.probes import ProbeResult, RestProbe
from tests import parts
from tests.midserver.conftest import PASSWORD, Authority, Mid, write_bcfks

NGINX = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    log_format seen '$ssl_client_serial $uri $status';
    access_log {folder}/seen.log seen;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        ssl_client_certificate {folder}/ca.pem; ssl_verify_client on;
        location / {{ return 200 $ssl_client_serial; }}
        location /slow {{ proxy_pass http://127.0.0.1:{slow}; }}
    }}
}}
"""


class Nginx:
    """A partner that demands a client certificate and logs its serial number. `/slow` waits for `let_go`."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder, self.port = folder, free_port()
        self.let_go, self.asked = asyncio.Event(), asyncio.Event()
        leaf = authority.ca.issue_cert("localhost")
        (folder / "server.key").write_bytes(leaf.private_key_pem.bytes())
        (folder / "server.pem").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        (folder / "ca.pem").write_text(authority.pem)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Nginx]:
        nginx = parts.program("nginx", "nginx-light")
        slow = await asyncio.start_server(self._slow, "127.0.0.1", 0)
        port = slow.sockets[0].getsockname()[1]
        configuration = self.folder / "nginx.conf"
        configuration.write_text(NGINX.format(folder=self.folder, port=self.port, slow=port))
        words = [nginx, "-e", str(self.folder / "error.log"), "-p", str(self.folder), "-c", str(configuration)]
        process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.DEVNULL)
        try:
            await self._up()
            yield self
        finally:
            self.let_go.set()
            process.terminate()
            await process.wait()
            slow.close()

    async def _up(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    async def _slow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await self.let_go.wait()
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nslow")
        await writer.drain()
        writer.close()

    def seen(self) -> list[str]:
        return (self.folder / "seen.log").read_text().splitlines()


@pytest.fixture
async def nginx(tmp_path: Path, authority: Authority) -> AsyncIterator[Nginx]:
    (tmp_path / "nginx").mkdir()
    async with Nginx(tmp_path / "nginx", authority).running() as running:
        yield running


async def call(mid: Mid, nginx: Nginx, authority: Authority, path: str = "/") -> ProbeResult:
    return await mid.runner.run(RestProbe(f"mauth://localhost:{nginx.port}{path}", ca_certificates=authority.pem))


def serial(mid: Mid) -> str:
    return mid.registry.statuses()[0].serial


async def until_serial_is_not(mid: Mid, before: str) -> str:
    """The registry finds it by itself: nobody tells it."""
    async with asyncio.timeout(30):
        while serial(mid) == before:
            await asyncio.sleep(0.02)
    return serial(mid)


@pytest.fixture
def store(tmp_path: Path, bcfks: Path) -> Path:
    return Path(shutil.copy(bcfks, tmp_path / "client.bcfks"))


@pytest.fixture
def renewed(tmp_path: Path, authority: Authority) -> Path:
    """Another client's keystore, under the same password."""
    return write_bcfks(tmp_path / "renewed.bcfks", authority.ca.issue_cert("r.example", common_name="renewed"))


async def test_a_call_in_flight_keeps_its_certificate_and_the_next_one_uses_the_new(
    mid: Mid, nginx: Nginx, authority: Authority, store: Path, renewed: Path
) -> None:
    await mid.register(store)
    old = serial(mid)
    assert (await call(mid, nginx, authority)).body.strip() == old
    flying = asyncio.create_task(call(mid, nginx, authority, "/slow"))
    await nginx.asked.wait()
    renewed.replace(store)
    new = await until_serial_is_not(mid, old)
    assert (await call(mid, nginx, authority)).body.strip() == new
    assert not flying.done()
    nginx.let_go.set()
    done = await flying
    assert (done.status_code, done.body, done.tls.client_serial) == (200, "slow", old)
    while len(nginx.seen()) < 3:  # nginx writes its log after the answer
        await asyncio.sleep(0.01)
    assert nginx.seen() == [f"{old} / 200", f"{new} / 200", f"{old} /slow 200"]


async def test_a_changed_profile_counts_for_the_next_call(
    mid: Mid, nginx: Nginx, authority: Authority, store: Path, renewed: Path
) -> None:
    await mid.register(store)
    old = serial(mid)
    await mid.register(renewed)
    assert (await call(mid, nginx, authority)).body.strip() == serial(mid) != old


async def test_a_file_that_is_half_written_is_not_taken(
    mid: Mid, nginx: Nginx, authority: Authority, store: Path, renewed: Path
) -> None:
    await mid.register(store)
    old, content = serial(mid), renewed.read_bytes()
    with store.open("wb") as file:  # in place, in two goes
        file.write(content[: len(content) // 2])
        file.flush()
        await mid.registry.refresh()
        status = mid.registry.statuses()[0]
        assert (status.loaded, status.serial) == (True, old)
        assert f"the certificate loaded before stays in use ({status.subject}, serial {old}" in status.error
        assert (await call(mid, nginx, authority)).body.strip() == old
        file.write(content[len(content) // 2 :])
    await until_serial_is_not(mid, old)
    assert mid.registry.statuses()[0].error == ""


async def test_a_link_that_is_turned_elsewhere_is_noticed(mid: Mid, tmp_path: Path, store: Path, renewed: Path) -> None:
    """As Kubernetes does it: the file is a link to ..data/file, and ..data a link to a folder, turned by a rename."""
    for name, source in (("..1", store), ("..2", renewed)):
        (tmp_path / name).mkdir()
        shutil.move(source, tmp_path / name / "tls.bcfks")
        os.utime(tmp_path / name / "tls.bcfks", (1_700_000_000, 1_700_000_000))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "tls.bcfks").symlink_to("..data/tls.bcfks")
    await mid.register(tmp_path / "tls.bcfks")
    old = serial(mid)
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    await until_serial_is_not(mid, old)


def test_a_change_within_one_tick_of_a_coarse_clock_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS and others keep times in whole seconds: the same size, the same time, the same inode, another content."""
    from openmid.midserver import file_watch

    monkeypatch.setattr(file_watch, "_look", lambda path: (1, 1, path.stat().st_size, 1, 1))
    path = tmp_path / "file"
    path.write_bytes(b"one")
    watch = FileWatch([path])
    watch.take()
    assert not watch.changed()
    path.write_bytes(b"two")
    assert watch.changed()
    watch.take()
    assert not watch.changed()


def test_what_is_not_fresh_any_more_is_only_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from openmid.midserver import file_watch

    monkeypatch.setattr(file_watch, "FRESH_SECONDS", -1.0)
    path = tmp_path / "file"
    path.write_bytes(b"one")
    watch = FileWatch([path])
    watch.take()

    def reads(_: Path) -> bytes:
        raise AssertionError("the content is read again and again")

    monkeypatch.setattr(file_watch, "_content", reads)
    assert not watch.changed()
    path.unlink()
    assert watch.changed()


async def test_a_keystore_that_comes_later_is_loaded_by_itself(mid: Mid, tmp_path: Path, bcfks: Path) -> None:
    await mid.register(tmp_path / "later.bcfks")
    assert not mid.registry.statuses()[0].loaded
    shutil.copy(bcfks, tmp_path / "later.bcfks")
    await until_serial_is_not(mid, "")


async def test_what_failed_is_tried_again_although_no_file_changes(
    mid: Mid, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openmid.midserver import client_identity

    load, tries = client_identity.load, []

    def unsteady(path: Path, password: str, **options: object) -> client_identity.ClientIdentity:
        tries.append(path)
        if len(tries) < 3:
            raise client_identity.ProfileError("keystore_file", "the file system is away", "")
        return load(path, password, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(client_identity, "load", unsteady)
    monkeypatch.setattr(registered, "LOOK_SECONDS", 0.05)
    await mid.register(store)
    await until_serial_is_not(mid, "")
    assert len(tries) == 3


async def test_a_file_system_that_hangs_holds_up_no_other_profile(
    mid: Mid, nginx: Nginx, authority: Authority, store: Path, renewed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from openmid.midserver import file_watch

    look, hangs = file_watch._look, threading.Event()

    def slow(path: Path) -> file_watch.Look:
        if path.name == "hangs.bcfks":
            hangs.wait()
        return look(path)

    monkeypatch.setattr(file_watch, "_look", slow)
    monkeypatch.setattr("openmid.midserver.protocol_registry.PATIENCE_SECONDS", 0.1)
    try:
        stuck = OpenedProfile("p0", "stuck", "hangs.bcfks", 443, PASSWORD)
        await mid.registry.apply([stuck, OpenedProfile("p1", "mauth", str(store), 443, PASSWORD)])
        assert not mid.registry._by_protocol["stuck"].settled.is_set()
        while not mid.registry._by_protocol["mauth"].settled.is_set():
            await asyncio.sleep(0.01)
        old = mid.registry.statuses()[0].serial
        renewed.replace(store)
        while mid.registry.statuses()[0].serial == old:
            await asyncio.sleep(0.02)
        assert (await call(mid, nginx, authority)).body.strip() == mid.registry.statuses()[0].serial
    finally:
        hangs.set()


async def test_a_protocol_that_is_gone_lets_its_calls_finish(
    mid: Mid, nginx: Nginx, authority: Authority, store: Path
) -> None:
    await mid.register(store)
    flying = asyncio.create_task(call(mid, nginx, authority, "/slow"))
    await nginx.asked.wait()
    await mid.registry.apply([])
    nginx.let_go.set()
    assert (await flying).status_code == 200
    failure = (await call(mid, nginx, authority)).failure
    assert failure
    assert failure.code == "protocol_not_registered"


async def test_two_keys_and_an_alias(mid: Mid, tmp_path: Path, authority: Authority, client: trustme.LeafCert) -> None:
    from openmid.keystore import KeyStore
    from tests.midserver.conftest import chain, pkcs8

    other = authority.ca.issue_cert("other.example", common_name="other")
    store = KeyStore()
    store.set_private_key("first", pkcs8(client), chain(client))
    store.set_private_key("second", pkcs8(other), chain(other))
    store.save(tmp_path / "two.bcfks", PASSWORD)

    async def subject(alias: str) -> tuple[str, str]:
        profile = OpenedProfile(f"p {alias}", "mauth", str(tmp_path / "two.bcfks"), 443, PASSWORD, alias=alias)
        await mid.registry.apply([profile])
        status = mid.registry.statuses()[0]
        return status.subject, status.error

    assert "mymtlsclientcert" in (await subject("first"))[0]
    assert "other" in (await subject("SECOND"))[0]
    assert await subject("third") == (
        "",
        f'the keystore {tmp_path / "two.bcfks"} has no private key "third": it has "first", "second"',
    )

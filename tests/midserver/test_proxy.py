"""Through a proxy: tinyproxy and squid themselves, and what a bad one may say."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from openmid.midserver.config import Config
from openmid.midserver.errors import ConfigError, InstanceUnreachable
from openmid.midserver.instance_client import InstanceClient
from openmid.midserver.proxy import Proxy
from openmid.wire.messages import Heartbeat, HeartbeatAnswer
from openmid.wire.probes import ProbeResult, RestProbe
from tests.midserver.conftest import Authority, Mid
from tests.midserver.fake_instance import CREDENTIAL, MID, FakeInstance
from tests.midserver.partner import Partner, closed_port, raw_server, talking_server
from tests.parts import program

TINYPROXY = """\
Port {port}
Listen 127.0.0.1
Timeout 60
LogFile "{folder}/tinyproxy.log"
LogLevel Connect
MaxClients 20
BasicAuth user p-w_1
{more}
"""
OPEN = '<allow host="127.0.0.1"/>'


@dataclass
class Running:
    """A proxy that runs. `log` is what it wrote."""

    port: int
    _log: Path

    @property
    def log(self) -> str:
        return self._log.read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def listening(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        assert process.poll() is None, "the proxy ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise AssertionError("the proxy does not listen")


@contextlib.asynccontextmanager
async def tinyproxy(folder: Path, more: str = "") -> AsyncIterator[Running]:
    port = free_port()
    conf = folder / "tinyproxy.conf"
    conf.write_text(TINYPROXY.format(port=port, folder=folder, more=more))
    process = subprocess.Popen([program("tinyproxy", "tinyproxy"), "-d", "-c", str(conf)], stdout=subprocess.DEVNULL)
    try:
        await listening(port, process)
        yield Running(port, folder / "tinyproxy.log")
    finally:
        process.terminate()
        process.wait()


def mid_behind(folder: Path, port: int, egress: str = OPEN, /, **parameters: str) -> Mid:
    """A MID Server whose config.xml names a proxy."""
    values = {"use_proxy": "true", "host": "127.0.0.1", "port": str(port), **parameters}
    return Mid(
        folder / "agent", egress, "".join(f'<parameter name="mid.proxy.{k}" value="{v}"/>' for k, v in values.items())
    )


AS_USER = {"username": "user", "password": "p-w_1"}


async def call(mid: Mid, authority: Authority, port: int, host: str = "localhost", **more: object) -> ProbeResult:
    try:
        url = f"mauth://{host}:{port}/"
        return await mid.runner.run(RestProbe(url, ca_certificates=authority.pem, **more))  # type: ignore[arg-type]
    finally:
        await mid.registry.close()


async def fails(mid: Mid, authority: Authority, port: int, code: str, **more: object) -> str:
    result = await call(mid, authority, port, **more)  # type: ignore[arg-type]
    assert result.failure is not None
    assert result.failure.code == code, result.failure
    assert "{" not in result.failure.message + result.failure.remedy
    return f"{result.failure.message}; {result.failure.remedy}"


PARTNERS_NAME = '<allow host="127.0.0.1"/><allow host="localtest.example"/>'


async def test_mutual_tls_goes_through_the_tunnel_from_end_to_end(
    tmp_path: Path, authority: Authority, bcfks: Path
) -> None:
    async with tinyproxy(tmp_path) as proxy, Partner(authority.server_context()) as partner:
        mid = mid_behind(tmp_path, proxy.port, **AS_USER)
        await mid.register(bcfks)
        first = await mid.runner.run(RestProbe(f"mauth://127.0.0.1:{partner.port}/", ca_certificates=authority.pem))
        second = await call(mid, authority, partner.port, "127.0.0.1")
    assert first.status_code == 200, first.failure
    assert "mymtlsclientcert" in first.body
    assert first.tls.version == "TLSv1.3"
    assert "O=Test CA" in first.tls.server_issuer
    assert "CN=mymtlsclientcert" in first.tls.client_subject
    assert first.tls.peer == f"127.0.0.1:{proxy.port}"  # what is connected to is the proxy
    assert min(first.timing.connect, first.timing.tls, first.timing.first_byte) >= 0
    assert (second.status_code, len(partner.connections)) == (200, 1)
    assert second.tls == first.tls
    assert f"CONNECT 127.0.0.1:{partner.port}" in proxy.log
    assert "Proxy-Authorization" not in partner.requests[0].headers


async def test_squid_too(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    port, folder = free_port(), tmp_path / "squid"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "squid.conf").write_text(
        f"http_port 127.0.0.1:{port}\npid_filename none\ncache deny all\naccess_log none\ncache_log {folder}/cache.log\n"
        f"http_access allow all\nnetdb_filename none\ncoredump_dir {folder}\nshutdown_lifetime 0 seconds\n"
    )
    arguments = [program("squid", "squid"), "-N", "-f", str(folder / "squid.conf")]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await listening(port, process)
        async with Partner(authority.server_context()) as partner:
            mid = mid_behind(tmp_path, port)
            await mid.register(bcfks)
            result = await call(mid, authority, partner.port, "127.0.0.1")
            again = mid_behind(tmp_path, port)
            await again.register(bcfks)
            with closed_port() as closed:
                words = await fails(again, authority, closed, "proxy_target_unreachable", host="127.0.0.1")
    finally:
        process.terminate()
        process.wait()
    assert (result.status_code, "mymtlsclientcert" in result.body) == (200, True), result.failure
    assert f"127.0.0.1:{closed}: status 503" in words


async def test_a_partners_refusal_is_still_the_partners(tmp_path: Path, authority: Authority) -> None:
    async with tinyproxy(tmp_path) as proxy, Partner(authority.server_context("other.example")) as partner:
        mid = mid_behind(tmp_path, proxy.port, **AS_USER)
        probe = RestProbe(f"https://127.0.0.1:{partner.port}/", ca_certificates=authority.pem)
        result = await mid.runner.run(probe)
        await mid.registry.close()
    assert result.failure
    assert result.failure.code == "server_hostname_mismatch"
    assert "other.example" in result.failure.message


@pytest.mark.parametrize("user", [{}, {"username": "user", "password": "wrong-password"}])
async def test_a_proxy_that_wants_to_know_who_calls(
    tmp_path: Path, authority: Authority, bcfks: Path, user: dict[str, str]
) -> None:
    async with tinyproxy(tmp_path) as proxy:
        mid = mid_behind(tmp_path, proxy.port, **user)
        await mid.register(bcfks)
        words = await fails(mid, authority, 443, "proxy_authentication_required", host="203.0.113.9")
    assert f"127.0.0.1:{proxy.port}" in words
    assert "mid.proxy.username" in words
    assert "wrong-password" not in words


async def test_a_proxy_that_forbids_the_way(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    async with tinyproxy(tmp_path, "ConnectPort 563") as proxy:
        mid = mid_behind(tmp_path, proxy.port, **AS_USER)
        await mid.register(bcfks)
        words = await fails(mid, authority, 443, "proxy_refused", host="203.0.113.9")
    assert "status 403" in words
    assert "203.0.113.9:443" in words


async def test_a_proxy_that_is_not_there(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    with closed_port() as port:
        mid = mid_behind(tmp_path, port)
        await mid.register(bcfks)
        words = await fails(mid, authority, 443, "proxy_unreachable", host="203.0.113.9")
    assert f"127.0.0.1:{port} cannot be reached: nothing listens there" in words


async def test_a_proxy_whose_name_is_not_known(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    mid = mid_behind(tmp_path, 3128, host="proxy.invalid")
    await mid.register(bcfks)
    words = await fails(mid, authority, 443, "proxy_unreachable", host="203.0.113.9")
    assert "proxy.invalid:3128 cannot be reached: its host name is not known" in words


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
    ],
)
async def test_what_is_no_proxy(tmp_path: Path, authority: Authority, bcfks: Path, said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with talking_server(talk) as port:
        mid = mid_behind(tmp_path, port)
        await mid.register(bcfks)
        words = await fails(mid, authority, 443, "proxy_invalid", host="203.0.113.9")
    assert f"127.0.0.1:{port} does not answer as an HTTP proxy does" in words


async def test_a_proxy_that_says_nothing(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    async with raw_server(None) as port:
        mid = mid_behind(tmp_path, port)
        await mid.register(bcfks)
        words = await fails(mid, authority, 443, "proxy_unreachable", host="203.0.113.9", timeout_ms=300)
    assert "no answer within 0.3 s" in words


# Egress


async def test_the_proxys_own_address_is_judged(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    mid = mid_behind(tmp_path, 3128, "")
    await mid.register(bcfks)
    words = await fails(mid, authority, 443, "egress_denied", host="203.0.113.9")
    assert '<allow host="127.0.0.1" port="3128"/>' in words


async def test_the_target_is_judged_by_its_name(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    async with tinyproxy(tmp_path) as proxy:
        rules = f'<allow host="127.0.0.1" port="{proxy.port}"/><allow host="good.invalid"/><deny host="0.0.0.0/0"/>'
        mid = mid_behind(tmp_path, proxy.port, rules, **AS_USER)
        await mid.register(bcfks)
        words = await fails(mid, authority, 443, "egress_denied", host="bad.example")
        good = mid_behind(tmp_path, proxy.port, rules, **AS_USER)
        await good.register(bcfks)
        await fails(good, authority, 443, "proxy_target_unreachable", host="good.invalid")
        assert "bad.example" not in proxy.log
    assert '<allow host="bad.example" port="443"/>' in words


async def test_loopback_behind_a_proxy_is_denied_too(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    async with tinyproxy(tmp_path) as proxy:
        mid = mid_behind(tmp_path, proxy.port, f'<allow host="127.0.0.1" port="{proxy.port}"/>', **AS_USER)
        await mid.register(bcfks)
        await fails(mid, authority, 9, "egress_denied", host="127.0.0.1")


# What needs no proxy


async def test_what_is_on_the_list_goes_without(tmp_path: Path, authority: Authority, bcfks: Path) -> None:
    with closed_port() as port:
        mid = mid_behind(tmp_path, port, bypass_list="localhost, 10.0.0.0/8")
        await mid.register(bcfks)
        async with Partner(authority.server_context()) as partner:
            result = await call(mid, authority, partner.port)
    assert result.status_code == 200, result.failure


@pytest.mark.parametrize(
    ("words", "host", "goes_without"),
    [
        ("localhost", "LocalHost.", True),
        (".example.com", "a.b.example.com", True),
        (".example.com", "example.com", True),
        ("*.example.com|other", "example.com", True),
        (".example.com", "badexample.com", False),
        ("10.0.0.0/8;fd00::/8", "10.9.8.7", True),
        ("10.0.0.0/8;fd00::/8", "fd00::7", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "ten.example", False),
        ("10.1.1.1", "10.1.1.1", True),
        ("[fd00::1]", "fd00:0::1", True),
        ("xn--bcher-kva.example", "b\u00fccher.example", True),
        ("b\u00fccher.example", "xn--bcher-kva.example", True),
        (".b\u00fccher.example", "a.xn--bcher-kva.example", True),
        ("*", "anything", True),
        ("", "anything", False),
    ],
)
def test_the_list(tmp_path: Path, words: str, host: str, goes_without: bool) -> None:
    mid = mid_behind(tmp_path, 3128, bypass_list=words)
    assert (Proxy.of(mid.config).towards(host) == {}) is goes_without


@pytest.mark.parametrize(
    "parameters",
    [
        {"use_proxy": "yes"},
        {"host": ""},
        {"host": "a/b"},
        {"port": "http"},
        {"bypass_list": "10.0.0.0/33"},
        {"bypass_list": "a.*.example"},
    ],
)
def test_a_parameter_that_cannot_be_understood_is_refused(tmp_path: Path, parameters: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"mid\.proxy\."):
        mid_behind(tmp_path, 3128, **parameters)


def test_without_use_proxy_there_is_none(tmp_path: Path) -> None:
    assert mid_behind(tmp_path, 3128, use_proxy="false").proxy.url is None


def test_a_repr_shows_no_password(tmp_path: Path) -> None:
    assert "Proxy-Authorization" not in repr(mid_behind(tmp_path, 3128, **AS_USER).proxy)


# The way to the instance


def instance_config(folder: Path, url: str, authority: Authority, port: int, **parameters: str) -> Config:
    agent = folder / "agent"
    agent.mkdir(exist_ok=True)
    (agent / "ca.pem").write_text(authority.pem)
    proxy = {"use_proxy": "true", "host": "127.0.0.1", "port": str(port), **parameters}
    values = {"url": url, "mid.https.truststore.path": "ca.pem"} | {f"mid.proxy.{k}": v for k, v in proxy.items()}
    lines = "".join(f'<parameter name="{name}" value="{value}"/>' for name, value in values.items())
    (agent / "config.xml").write_text(f"<parameters>{lines}</parameters>")
    return Config.read(agent)


async def test_the_instance_is_reached_through_the_proxy(tmp_path: Path, authority: Authority) -> None:
    async with FakeInstance(authority.ca) as instance, tinyproxy(tmp_path) as proxy:
        client = InstanceClient.of(instance_config(tmp_path, instance.url, authority, proxy.port, **AS_USER))
        client.authorise(MID, CREDENTIAL)
        answer = await client.call("/heartbeat", Heartbeat("1", "host", 0), HeartbeatAnswer)
        await client.close()
        assert f"CONNECT localhost:{instance.port}" in proxy.log
    assert answer.validated


async def test_an_instance_behind_a_proxy_that_refuses(tmp_path: Path, authority: Authority) -> None:
    async with tinyproxy(tmp_path) as proxy:
        client = InstanceClient.of(instance_config(tmp_path, "https://instance.example", authority, proxy.port))
        with pytest.raises(InstanceUnreachable, match="407") as raised:
            await client.call("/heartbeat", Heartbeat("1", "host", 0), HeartbeatAnswer)
        await client.close()
    assert "mid.proxy.username" in raised.value.hint

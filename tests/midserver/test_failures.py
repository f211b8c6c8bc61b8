"""Each cause, brought about for real: its code, and a remedy that holds the user's own names and paths."""

from __future__ import annotations

import datetime
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from openmid.wire.probes import Failure, RestProbe
from tests.midserver.conftest import PASSWORD, Authority, Mid, write_bcfks, write_pkcs12
from tests.midserver.partner import Partner, closed_port, raw_server, strict_server
from tests.parts import program

MANY = 20_000


async def fails(mid: Mid, probe: RestProbe, code: str) -> Failure:
    result = await mid.runner.run(probe)
    assert result.status_code is None
    assert result.failure is not None
    assert result.failure.code == code, result.failure
    assert "{" not in result.failure.message + result.failure.remedy
    return result.failure


def url(port: int, protocol: str = "mauth", host: str = "localhost", path: str = "/") -> str:
    return f"{protocol}://{host}:{port}{path}"


# Getting there


async def test_an_unknown_host_name(mid: Mid) -> None:
    failure = await fails(mid, RestProbe("https://partner.invalid/"), "name_not_resolved")
    assert "partner.invalid" in failure.message
    assert "getent hosts partner.invalid" in failure.remedy


async def test_nothing_listens(mid: Mid) -> None:
    with closed_port() as port:
        failure = await fails(mid, RestProbe(url(port, "https")), "connection_refused")
    assert f"localhost:{port} refused the connection (at 127.0.0.1:{port})" in failure.message


async def test_loopback_is_denied_by_default(tmp_path: Path, partner: Partner, authority: Authority) -> None:
    mid = Mid(tmp_path / "agent", egress="")
    failure = await fails(mid, RestProbe(url(partner.port, "https")), "egress_denied")
    assert str(mid.config.path) in failure.remedy
    assert f'port="{partner.port}"/>' in failure.remedy
    assert not partner.connections
    await mid.registry.close()


async def test_the_rule_that_a_denial_proposes_is_one_that_matches(mid: Mid, tmp_path: Path) -> None:
    denied = Mid(tmp_path / "fenced", egress="")
    failure = await fails(denied, RestProbe("https://[::ffff:127.0.0.1]:9/"), "egress_denied")
    assert '<allow host="127.0.0.1" port="9"/>' in failure.remedy
    await denied.registry.close()


async def test_a_name_that_leads_to_loopback_is_denied(tmp_path: Path, partner: Partner) -> None:
    mid = Mid(tmp_path / "agent", egress='<allow host="localhost"/>')
    await fails(mid, RestProbe(url(partner.port, "https")), "egress_denied")
    await mid.registry.close()


async def test_a_partner_that_does_not_answer_in_time(
    mid: Mid, partner: Partner, authority: Authority, bcfks: Path
) -> None:
    await mid.register(bcfks)
    probe = RestProbe(url(partner.port, path="/hang"), ca_certificates=authority.pem, timeout_ms=300)
    failure = await fails(mid, probe, "answer_timeout")
    assert "0.3 s" in failure.message


async def test_a_partner_that_does_not_finish_the_handshake(mid: Mid) -> None:
    async with raw_server(None) as port:
        await fails(mid, RestProbe(url(port, "https"), timeout_ms=300), "tls_timeout")


async def test_a_partner_that_drops_the_connection(
    mid: Mid, partner: Partner, authority: Authority, bcfks: Path
) -> None:
    await mid.register(bcfks)
    assert (await mid.runner.run(RestProbe(url(partner.port), ca_certificates=authority.pem))).status_code == 200
    probe = RestProbe(url(partner.port, path="/drop"), method="POST", ca_certificates=authority.pem)
    await fails(mid, probe, "connection_lost")


async def test_a_port_that_does_not_speak_tls(mid: Mid) -> None:
    async with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        failure = await fails(mid, RestProbe(url(port, "https")), "not_tls")
    assert str(port) in failure.message


# The server's certificate


async def test_a_server_that_is_not_trusted(mid: Mid, partner: Partner, bcfks: Path) -> None:
    await mid.register(bcfks)
    other = trustme.CA().cert_pem.bytes().decode()
    failure = await fails(mid, RestProbe(url(partner.port), ca_certificates=other), "server_untrusted")
    assert "connection's CA certificates" in failure.message
    assert "O=Test CA" in failure.remedy
    await fails(mid, RestProbe(url(partner.port)), "server_untrusted")  # nor by the system


async def test_a_server_with_another_name(mid: Mid, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    async with Partner(authority.server_context("partner.example", "10.1.2.3")) as partner:
        probe = RestProbe(url(partner.port), ca_certificates=authority.pem)
        failure = await fails(mid, probe, "server_hostname_mismatch")
    assert "partner.example, 10.1.2.3" in failure.message
    assert "localhost" in failure.message


async def test_a_server_whose_certificate_has_expired(mid: Mid, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    context = authority.server_context()
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    authority.ca.issue_cert("localhost", not_before=past, not_after=past + datetime.timedelta(1)).configure_cert(
        context
    )
    async with Partner(context) as partner:
        probe = RestProbe(url(partner.port), ca_certificates=authority.pem)
        failure = await fails(mid, probe, "server_certificate_expired")
    assert "2020-01-02" in failure.message


# The client's certificate, as the partner judges it


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    found = request.param
    assert isinstance(found, ssl.TLSVersion)
    return found


async def test_no_client_certificate_where_one_is_demanded(
    mid: Mid, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.server_context()
    context.maximum_version = version
    with strict_server(context) as port:
        probe = RestProbe(url(port, "https"), ca_certificates=authority.pem)
        failure = await fails(mid, probe, "client_certificate_required")
    assert "Mutual authentication" in failure.remedy


async def test_a_client_certificate_of_an_unknown_authority(
    mid: Mid, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    stranger = trustme.CA().issue_cert("client.example", common_name="stranger")
    await mid.register(write_bcfks(tmp_path / "stranger.bcfks", stranger))
    context = authority.server_context()
    context.maximum_version = version
    with strict_server(context) as port:
        probe = RestProbe(url(port), ca_certificates=authority.pem)
        failure = await fails(mid, probe, "client_certificate_unknown_ca")
    assert "CN=stranger" in failure.message


async def test_an_expired_client_certificate_loads_and_is_flagged_and_refused(
    mid: Mid, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    old = authority.ca.issue_cert("old.example", not_before=past, not_after=past + datetime.timedelta(1))
    await mid.register(write_bcfks(tmp_path / "old.bcfks", old))
    status = mid.registry.statuses()[0]
    assert (status.loaded, status.error_code) == (True, "certificate_expired")
    context = authority.server_context()
    context.maximum_version = version
    with strict_server(context) as port:
        probe = RestProbe(url(port), ca_certificates=authority.pem)
        failure = await fails(mid, probe, "client_certificate_expired")
    assert "2020-01-02" in failure.message


async def test_a_partner_that_closes_without_a_word(
    mid: Mid, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """asyncio's servers send no alert."""
    stranger = trustme.CA().issue_cert("client.example", common_name="stranger")
    await mid.register(write_bcfks(tmp_path / "stranger.bcfks", stranger))
    context = authority.server_context()
    context.maximum_version = version
    async with Partner(context) as partner:
        probe = RestProbe(url(partner.port), ca_certificates=authority.pem)
        failure = await fails(mid, probe, "client_certificate_perhaps_refused")
    assert "CN=stranger" in failure.message


async def test_nginx_answers_400_itself(mid: Mid, authority: Authority, tmp_path: Path) -> None:
    """nginx lets the handshake pass and answers in HTTP: that is an answer, and no failure."""
    async with nginx(tmp_path, authority) as port:
        result = await mid.runner.run(RestProbe(url(port, "https"), ca_certificates=authority.pem))
    assert result.status_code == 400
    assert "No required SSL certificate was sent" in result.body


async def test_nginx_sees_the_profiles_certificate(mid: Mid, authority: Authority, tmp_path: Path, bcfks: Path) -> None:
    await mid.register(bcfks)
    async with nginx(tmp_path, authority) as port:
        result = await mid.runner.run(RestProbe(url(port), ca_certificates=authority.pem))
    assert (result.status_code, result.body) == (200, f"SUCCESS {result.tls.client_subject}")


# The profile


async def test_a_protocol_that_is_not_registered(mid: Mid, bcfks: Path) -> None:
    await mid.register(bcfks)
    failure = await fails(mid, RestProbe("other://localhost/"), "protocol_not_registered")
    assert "mid-test" in failure.remedy
    assert "registered: mauth" in failure.message


async def test_a_keystore_that_is_missing(mid: Mid, tmp_path: Path) -> None:
    await mid.register(tmp_path / "gone.bcfks")
    failure = await fails(mid, RestProbe("mauth://localhost/"), "keystore_missing")
    assert str(tmp_path / "gone.bcfks") in failure.message
    assert str(tmp_path / "gone.bcfks") in failure.remedy


async def test_a_wrong_password(mid: Mid, bcfks: Path) -> None:
    await mid.register(bcfks, "not the password")
    failure = await fails(mid, RestProbe("mauth://localhost/"), "keystore_password")
    assert str(bcfks) in failure.remedy
    assert "not the password" not in failure.message + failure.remedy


async def test_a_keystore_without_a_key(mid: Mid, tmp_path: Path, client: trustme.LeafCert) -> None:
    path = tmp_path / "certificate.pem"
    path.write_bytes(client.cert_chain_pems[0].bytes())
    await mid.register(path)
    failure = await fails(mid, RestProbe("mauth://localhost/"), "keystore_without_key")
    assert str(path) in failure.remedy


async def test_a_damaged_keystore(mid: Mid, tmp_path: Path, bcfks: Path) -> None:
    path = tmp_path / "cut.bcfks"
    path.write_bytes(bcfks.read_bytes()[:200])
    await mid.register(path)
    result = await mid.runner.run(RestProbe("mauth://localhost/"))
    assert result.failure
    assert str(path) in result.failure.remedy


async def test_pkcs12_loads_outside_of_fips_enforced_mode(
    mid: Mid, partner: Partner, authority: Authority, tmp_path: Path, client: trustme.LeafCert
) -> None:
    await mid.register(write_pkcs12(tmp_path / "client.p12", client))
    assert (await mid.runner.run(RestProbe(url(partner.port), ca_certificates=authority.pem))).status_code == 200


async def test_another_profiles_failure_touches_no_other(
    mid: Mid, partner: Partner, authority: Authority, bcfks: Path
) -> None:
    from openmid.midserver.protocol_registry import OpenedProfile

    good = OpenedProfile("p1", "mauth", str(bcfks), 443, PASSWORD)
    await mid.registry.apply([OpenedProfile("p0", "broken", "missing.bcfks", 443, "x"), good])
    assert [status.loaded for status in mid.registry.statuses()] == [False, True]
    assert (await mid.runner.run(RestProbe(url(partner.port), ca_certificates=authority.pem))).status_code == 200


# Request and answer


async def test_an_answer_that_is_too_large(mid: Mid, partner: Partner, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    probe = RestProbe(url(partner.port, path="/big"), ca_certificates=authority.pem)
    failure = await fails(mid, probe, "response_too_large")
    assert "5 MB" in failure.message


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "answer_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "answer_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", "answer_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcd", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "connection_lost"),
        (b"", "connection_lost"),
    ],
    ids=["not HTTP", "bad header", "bad gzip", "cut", "cut chunk", "nothing"],
)
async def test_an_answer_that_is_broken(mid: Mid, authority: Authority, said: bytes, code: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("localhost").configure_cert(context)
    async with raw_server(said, context) as port:
        await fails(mid, RestProbe(url(port, "https"), ca_certificates=authority.pem), code)


@pytest.mark.parametrize(
    "probe",
    [
        RestProbe("nothing"),
        RestProbe("https://user:secret@localhost/"),
        RestProbe("https://localhost:99999/"),
        RestProbe("https://localhost/", ca_certificates="no certificate"),
        RestProbe("https://localhost/", headers=[("X", "a\r\nHost: other")]),
        RestProbe("https://localhost/", method="GET /\r\n"),
    ],
    ids=["no URL", "user name", "port", "CA certificates", "header", "method"],
)
async def test_a_request_that_cannot_be_sent(mid: Mid, partner: Partner, probe: RestProbe) -> None:
    failure = await fails(mid, probe, "request_invalid")
    assert "secret" not in failure.message


async def test_fips_enforced_mode_is_required_and_not_there(mid: Mid) -> None:
    failure = await fails(mid, RestProbe("https://localhost/", require_fips=True), "fips_required")
    assert "set-fips-enforced-mode.sh on" in failure.remedy


# Renewal on disk


async def test_a_renewed_keystore_is_used_without_a_restart(
    mid: Mid, partner: Partner, authority: Authority, tmp_path: Path, bcfks: Path
) -> None:
    path = tmp_path / "client.bcfks"
    shutil.copy(bcfks, path)
    await mid.register(path)
    before = mid.registry.statuses()[0].serial
    write_bcfks(path, authority.ca.issue_cert("renewed.example", common_name="renewed"))
    await mid.registry.refresh()
    assert mid.registry.statuses()[0].serial != before
    result = await mid.runner.run(RestProbe(url(partner.port), ca_certificates=authority.pem))
    assert "renewed" in result.body


async def test_if_reloading_fails_the_old_identity_is_kept_and_the_reason_reported(
    mid: Mid, partner: Partner, authority: Authority, tmp_path: Path, bcfks: Path
) -> None:
    path = tmp_path / "client.bcfks"
    shutil.copy(bcfks, path)
    await mid.register(path)
    path.write_bytes(b"half written")
    await mid.registry.refresh()
    status = mid.registry.statuses()[0]
    assert status.loaded
    assert status.error
    assert (await mid.runner.run(RestProbe(url(partner.port), ca_certificates=authority.pem))).status_code == 200


async def test_if_a_changed_profile_does_not_load_the_old_identity_is_kept_and_both_are_told(
    mid: Mid, partner: Partner, authority: Authority, tmp_path: Path, bcfks: Path
) -> None:
    await mid.register(bcfks)
    before = mid.registry.statuses()[0]
    await mid.register(tmp_path / "gone.bcfks")
    status = mid.registry.statuses()[0]
    assert (status.loaded, status.serial, status.error_code) == (True, before.serial, "keystore_missing")
    assert status.error.startswith(f"the keystore {tmp_path / 'gone.bcfks'} does not exist")
    assert f"the certificate loaded before stays in use ({before.subject}, serial {before.serial}" in status.error
    assert (await mid.runner.run(RestProbe(url(partner.port), ca_certificates=authority.pem))).status_code == 200


async def test_another_records_certificate_is_no_stand_in(mid: Mid, tmp_path: Path, bcfks: Path) -> None:
    from openmid.midserver.protocol_registry import OpenedProfile

    await mid.register(bcfks)
    await mid.registry.apply([OpenedProfile("p2", "mauth", str(tmp_path / "gone.bcfks"), 443, PASSWORD)])
    await fails(mid, RestProbe("mauth://localhost/"), "keystore_missing")


# nginx

NGINX = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        ssl_client_certificate {folder}/ca.pem; ssl_verify_client on;
        location / {{ return 200 "$ssl_client_verify $ssl_client_s_dn"; }}
    }}
}}
"""


class nginx:  # noqa: N801  reads as a word
    """`async with nginx(folder, authority) as port:` a real one that demands a client certificate."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._folder = folder
        self._authority = authority

    async def __aenter__(self) -> int:
        import asyncio
        import socket

        server = self._authority.ca.issue_cert("localhost")
        (self._folder / "server.pem").write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
        (self._folder / "server.key").write_bytes(server.private_key_pem.bytes())
        (self._folder / "ca.pem").write_text(self._authority.pem)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        conf = self._folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self._folder, port=port))
        self._process = subprocess.Popen([program("nginx", "nginx"), "-c", str(conf), "-p", str(self._folder)])
        for _ in range(MANY):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert self._process.poll() is None
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return port
        raise AssertionError("nginx does not listen")

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

"""Calls through mauth:// to a real partner that demands a client certificate."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from openmid.wire.probes import ProbeResult, RestProbe
from tests.midserver.conftest import Authority, Mid
from tests.midserver.partner import Partner


def probe(
    partner: Partner, authority: Authority, path: str = "/", protocol: str = "mauth", **more: object
) -> RestProbe:
    url = f"{protocol}://localhost:{partner.port}{path}"
    return RestProbe(url, ca_certificates=authority.pem, **more)  # type: ignore[arg-type]


def assert_answered(result: ProbeResult, status: int = 200) -> None:
    assert result.failure is None, result.failure
    assert result.status_code == status


async def test_a_call_presents_the_profiles_certificate(
    mid: Mid, partner: Partner, authority: Authority, bcfks: Path
) -> None:
    await mid.register(bcfks)
    result = await mid.runner.run(probe(partner, authority))
    assert_answered(result)
    assert json.loads(result.body)["subject"]["commonName"] == "mymtlsclientcert"
    assert result.tls.version == "TLSv1.3"
    assert result.tls.cipher.startswith("TLS_")
    assert "CN=mymtlsclientcert" in result.tls.client_subject
    assert "O=Test CA" in result.tls.server_issuer
    assert result.tls.peer == f"127.0.0.1:{partner.port}"
    timing = result.timing
    assert min(timing.connect, timing.tls, timing.first_byte) >= 0
    assert timing.total >= timing.connect + timing.tls


async def test_a_second_call_reuses_the_connection_and_keeps_its_facts(
    mid: Mid, partner: Partner, authority: Authority, bcfks: Path
) -> None:
    await mid.register(bcfks)
    first = await mid.runner.run(probe(partner, authority))
    second = await mid.runner.run(probe(partner, authority))
    assert_answered(second)
    assert len(partner.connections) == 1
    assert second.tls == first.tls
    assert (second.timing.connect, second.timing.tls) == (-1, -1)


async def test_the_request_goes_out_as_it_was_written(
    mid: Mid, partner: Partner, authority: Authority, bcfks: Path
) -> None:
    await mid.register(bcfks)
    asked = probe(
        partner,
        authority,
        "/a%2Fb c?x=%20",
        method="POST",
        query=[("z", "1"), ("a", "ä &"), ("z", "2")],
        headers=[("X-Two", "1"), ("X-Two", "2"), ("Content-Type", "text/plain")],
        body="grüß",
    )
    assert_answered(await mid.runner.run(asked))
    seen = partner.requests[0]
    assert seen.raw_path == "/a%2Fb%20c?x=%20&z=1&a=%C3%A4%20%26&z=2"
    assert seen.headers.getall("X-Two") == ["1", "2"]
    assert (seen.method, partner.bodies[0]) == ("POST", "grüß")
    assert "Cookie" not in seen.headers


async def test_headers_come_back_in_order_with_duplicates(
    mid: Mid, partner: Partner, authority: Authority, bcfks: Path
) -> None:
    await mid.register(bcfks)
    result = await mid.runner.run(probe(partner, authority))
    assert [value for name, value in result.headers if name == "X-Twice"] == ["one", "two"]


async def test_a_redirect_is_an_answer(mid: Mid, partner: Partner, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    assert_answered(await mid.runner.run(probe(partner, authority, "/moved")), 302)


async def test_bytes_come_back_in_base64(mid: Mid, partner: Partner, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks)
    result = await mid.runner.run(probe(partner, authority, "/bytes"))
    assert_answered(result)
    assert result.body_is_base64
    assert base64.b64decode(result.body) == bytes(range(256))


async def test_the_profiles_default_port_is_used(mid: Mid, partner: Partner, authority: Authority, bcfks: Path) -> None:
    await mid.register(bcfks, port=partner.port)
    assert_answered(await mid.runner.run(RestProbe("mauth://localhost/", ca_certificates=authority.pem)))

"""A whole MID Server in FIPS Enforced Mode behind a proxy: its instance and its partner are reached through it alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import brotli
import pytest
from aiohttp import web

from openmid.fips.provider import Provider
from openmid.midserver.config import Config
from openmid.wire.probes import SoapProbe
from tests.fips.conftest import provider  # noqa: F401  a fixture
from tests.midserver.conftest import PASSWORD, Authority
from tests.midserver.fake_instance import FakeInstance
from tests.midserver.partner import Partner
from tests.midserver.test_process import Installed, installed, instance, own_key  # noqa: F401  fixtures
from tests.midserver.test_proxy import tinyproxy
from tests.midserver.test_soap import FAULT_12, FINE

pytestmark = pytest.mark.e2e


async def closing(_: web.BaseRequest) -> web.StreamResponse:
    """A fault, in Brotli, on a connection that is not kept."""
    headers = {"Content-Type": "application/soap+xml", "Content-Encoding": "br", "Connection": "close"}
    return web.Response(status=500, body=brotli.compress(FAULT_12.encode()), headers=headers)


async def test_a_soap_call_through_a_proxy_in_fips_enforced_mode(
    installed: Installed,  # noqa: F811
    instance: FakeInstance,  # noqa: F811
    authority: Authority,
    bcfks: Path,
    provider: Provider,  # noqa: F811
    tmp_path: Path,
) -> None:
    status, out, err = await installed.sh("on", script="scripts/set-fips-enforced-mode.sh")
    assert status == 0, out + err
    async with tinyproxy(tmp_path) as proxy, Partner(authority.server_context(), serve=closing) as partner:
        config = Config.read(installed.agent)
        for name, value in {"use_proxy": "true", "host": "127.0.0.1", "username": "user", "password": "p-w_1"}.items():
            config.set_parameter(f"mid.proxy.{name}", value)
        config.set_parameter("mid.proxy.port", str(proxy.port))
        config.save()
        installed.allow(proxy.port)
        installed.allow(partner.port)
        await instance.set_profiles(("mauth", str(bcfks), PASSWORD))
        await installed.start()
        url = f"mauth://127.0.0.1:{partner.port}/"
        probe = SoapProbe(url, version="1.2", body=FINE, ca_certificates=authority.pem)
        await instance.give(*[probe] * 3)  # type: ignore[arg-type]  # a probe of any kind
        await instance.until(lambda: len(instance.results) == 3)
        status, out, _ = await installed.sh("status", "--json")
        log = proxy.log
    for one in instance.results:
        result = one.result
        assert (result.status_code, result.fips_enforced) == (500, True), result.failure
        assert result.fault
        assert result.fault.subcode == "NoStock"
        assert "CN=mymtlsclientcert" in result.tls.client_subject
    assert json.loads(out)["fips_enforced"] is True  # what was loaded for it is no other libcrypto
    assert len(re.findall(f"CONNECT 127.0.0.1:{partner.port} ", log)) == 3
    assert f"CONNECT localhost:{instance.port} " in log
    assert all(partner.peers)
    assert "p-w_1" not in installed.log

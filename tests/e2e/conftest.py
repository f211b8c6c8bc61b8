"""One walk for all tests of this folder: a real instance, a real MID Server in FIPS Enforced Mode, a real partner."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from openmid.demo import partner, report, walk
from openmid.demo.instance_api import Json
from openmid.demo.stage import Stage
from openmid.demo.walk import Walk
from tests.e2e import misbehaving, soap_partner


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The demo's walk up to its records, left standing."""
    folder: Path = tmp_path_factory.mktemp("walk")
    with contextlib.ExitStack() as stack:
        this = Walk(folder, Stage(to_stderr=True, without_fips=False), fips=True, stack=stack)
        for step in (walk.find_provider, walk.start_instance, walk.install_mid, walk.enforce_fips):
            step(this)
        for step in (walk.convert_keystore, walk.start_partner, walk.make_records):
            step(this)
        yield this


@pytest.fixture(scope="session")
def ports(standing: Walk) -> tuple[int, int]:
    """Where the SOAP partner and the one that misbehaves may listen: the MID Server may go there."""
    found = partner.free_port(), partner.free_port()
    walk.stop_mid(standing)
    config = standing.agent / "config.xml"
    allow = "".join(f'  <allow host="127.0.0.1" port="{port}"/>\n  ' for port in found)
    config.write_text(config.read_text().replace("</egress>", f"{allow}</egress>", 1))
    walk.start_mid(standing)
    walk.wait_for(standing, "is Up", lambda mid: mid["status"] == "Up")
    return found


@pytest.fixture(scope="session")
def port(standing: Walk, ports: tuple[int, int]) -> Iterator[int]:
    """The SOAP partner listens; its alias is `soap`."""
    assert standing.certificates
    port, _ = ports
    server = soap_partner.start(port, standing.certificates)
    _connect(standing, "soap", port)
    yield port
    server.shutdown()


@pytest.fixture(scope="session")
def misbehaves(standing: Walk, ports: tuple[int, int]) -> Iterator[None]:
    """The partner of tests/e2e/misbehaving.py listens; its alias is `misbehaves`."""
    assert standing.certificates
    _, port = ports
    server = misbehaving.start(port, standing.certificates)
    _connect(standing, "misbehaves", port, connection_timeout="6000")
    yield
    server.shutdown()


def _connect(standing: Walk, name: str, port: int, **more: str) -> None:
    api = walk.api(standing)
    mid = walk.wait_for(standing, "is Up", lambda found: found["status"] == "Up")
    alias = api.create("sys_alias", name=name, connection_type="http_connection")
    columns = walk._connection(standing, name, alias) | walk._mutual(standing, mid) | {"port": str(port)}
    api.create("http_connection", **columns, **more)


@pytest.fixture
def profile(standing: Walk) -> Iterator[Json]:
    """The profile `mauth`, as it was before the test."""
    yield standing.profile
    assert standing.certificates
    good = {"keystore_path": str(standing.bcfks), "password": standing.certificates.password, "applies_to": "specific"}
    columns = good | {"mid_list": standing.mid["sys_id"]}
    walk.api(standing).change("mid_protocol_profile", standing.profile["sys_id"], **columns)


def first_error(details: Json) -> Json:
    """The error of an execution that ended with one."""
    assert details["state"] == "Error", report.partner_saw(details)
    error = details["steps"][0]["error"]
    assert isinstance(error, dict)
    return error

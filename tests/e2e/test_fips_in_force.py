"""A real instance, a real MID Server in FIPS Enforced Mode, and what becomes of both when the mode is lost."""

from __future__ import annotations

import os

import pytest

from openmid.demo import walk
from openmid.demo.instance_api import Json
from openmid.demo.walk import Walk
from tests.e2e.conftest import first_error

FIPS = "FIPS Enforced Mode"
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standing")]


def lost(mid: Json) -> bool:
    return mid["status"] == "Degraded"


def in_force(mid: Json) -> bool:
    return mid["fips_enforced"] == "true" and mid["status"] == "Up"


def test_a_connection_demands_it_and_is_honoured(standing: Walk) -> None:
    """In force: 200. Lost: an issue, no call. Proved again on demand: the issue is resolved, 200."""
    api = walk.api(standing)
    connection = api.find("http_connection", name="Partner")
    assert connection
    assert connection["require_fips"] == "true"
    done = walk.run_test(standing)
    assert done["state"] == "Completed"
    assert done["fips"]["enforced"]

    module = standing.agent / "security" / "fips" / "ssl" / "fips.so"
    kept = module.with_name("kept")
    os.link(module, kept)
    module.with_name("new").write_bytes(module.read_bytes() + b"x")
    module.with_name("new").replace(module)
    try:
        mid = walk.wait_for(standing, "notices that its module changed", lost)
        assert mid["fips_enforced"] == "false"
        error = first_error(walk.run_test(standing))
        assert error["code"] == "mid_server_degraded"
        assert "has lost FIPS Enforced Mode" in error["message"]
        issue = api.find("ecc_agent_issue", mid_server=mid["sys_id"], state="new", source=FIPS)
        assert issue
        assert "FIPS Enforced Mode is not in force: in " in issue["short_description"]
    finally:
        kept.replace(module)
    api.call("POST", f"/api/v1/mid-servers/{mid['name']}/prove", {})
    walk.wait_for(standing, "proves FIPS Enforced Mode again", in_force)
    assert api.find("ecc_agent_issue", mid_server=mid["sys_id"], state="new", source=FIPS) is None
    assert api.find("ecc_agent_issue", sys_id=issue["sys_id"], state="resolved")
    assert walk.run_test(standing)["state"] == "Completed"

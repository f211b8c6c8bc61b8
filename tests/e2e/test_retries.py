"""Which failures are tried again is the step's own choice, and a real MID Server follows it."""

from __future__ import annotations

from typing import Any

import pytest

from openmid.demo import walk
from openmid.demo.walk import Walk
from tests.e2e.conftest import first_error

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standing")]


def lost(standing: Walk, name: str, *failures: str) -> tuple[str, list[str]]:
    """The code with which a GET ends whose partner closes the connection amid its answer; those of earlier attempts."""
    retry = {"kind": "fixed", "count": 2, "interval_ms": 1, "failures": failures}
    step: dict[str, Any] = {"connection_alias": "soap", "resource_path": "/lost", "retry": retry}
    api = walk.api(standing)
    api.call("POST", "/api/v1/actions", {"name": name, "steps": [step]})
    found = api.call("POST", f"/api/v1/actions/{name}/execute", {}, {"Prefer": "wait=60"})
    attempts = found["steps"][0]["integration_metadata"]["attempts"]
    return first_error(found)["code"], [each["error"]["code"] for each in attempts]


def test_the_failures_chosen_are_tried_again_and_no_others(standing: Walk, port: int) -> None:
    assert lost(standing, "lost_chosen", "connection_lost") == ("connection_lost", ["connection_lost"] * 2)
    assert lost(standing, "lost_another", "connection_refused", "tls_failed") == ("connection_lost", [])
    assert lost(standing, "lost_usual") == ("connection_lost", ["connection_lost"] * 2)

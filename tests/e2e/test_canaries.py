"""Secrets of every kind, used for real, and then looked for everywhere: they lie and show in clear nowhere."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from openmid.demo import walk
from openmid.demo.instance_api import Json
from openmid.demo.walk import Walk
from tests.e2e import soap_partner

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standing")]

USER = "canary-user"
RUN = os.getpid()
TYPED = ("connection", "step", "ad_hoc")
"""Typed into headers by hand, instead of a credential."""
CANARIES = {kind: f"CANARY-{kind}/+ä8&qW" for kind in ("basic", "key", "query", "client", "store", *TYPED)}
TABLES = (
    "http_connection",
    "mid_protocol_profile",
    "discovery_credentials",
    "basic_auth_credentials",
    "api_key_credentials",
    "oauth_2_0_credentials",
    "ecc_agent",
    "ecc_agent_issue",
)


def call(standing: Walk, name: str, port: int, **columns: str) -> Json:
    """The details of a request to /who over a connection of its own."""
    api = walk.api(standing)
    alias = api.create("sys_alias", name=name, connection_type="http_connection")
    base = walk._connection(standing, name, alias) | walk._mutual(standing, standing.mid)
    api.create("http_connection", **(base | {"port": str(port)} | columns))
    return api.call("POST", f"/api/v1/connections/{name}/request", {"path": "/who"}, {"Prefer": "wait=60"})


@pytest.fixture(scope="module")
def spent(standing: Walk, port: int) -> list[Json]:
    """Each canary has been shown to the partner, or has failed to open a keystore: the executions' details."""
    api = walk.api(standing)
    oauth = {"client_id": USER, "client_secret": CANARIES["client"], "token_url": f"mauth://localhost:{port}/token"}
    assert standing.certificates
    trusted = standing.certificates.ca.read_text()
    made = {
        f"basic_{RUN}": api.create(
            "basic_auth_credentials", name=f"c1_{RUN}", user_name=USER, password=CANARIES["basic"]
        ),
        f"key_{RUN}": api.create("api_key_credentials", name=f"c2_{RUN}", api_key=CANARIES["key"]),
        f"query_{RUN}": api.create(
            "api_key_credentials", name=f"c3_{RUN}", api_key=CANARIES["query"], place="query", parameter="api_key"
        ),
        f"oauth_{RUN}": api.create("oauth_2_0_credentials", name=f"c4_{RUN}", ca_certificates=trusted, **oauth),
    }
    found = [call(standing, name, port, credential=one["sys_id"]) for name, one in made.items()]
    assert [one["state"] for one in found] == ["Completed"] * 4, [one["steps"][0]["error"] for one in found]
    # The same where the call fails: nobody listens on port 1, and the egress rules deny it.
    found += [call(standing, f"{name}_x", 1, credential=one["sys_id"]) for name, one in list(made.items())[1:3]]
    bad = api.create(
        "mid_protocol_profile", protocol=f"canary{RUN}", keystore_path=str(standing.bcfks), password=CANARIES["store"]
    )
    found.append(call(standing, f"store_{RUN}", port, mid_protocol_profile=bad["sys_id"]))
    assert found[-1]["steps"][0]["error"]["code"] == "keystore_password"
    return [*found, *typed(standing, port)]


def typed(standing: Walk, port: int) -> Iterator[Json]:
    """Calls whose secrets were written into headers of the connection, of a step, and of the request itself."""
    api = walk.api(standing)
    headers = json.dumps([["X-Auth-Token", CANARIES["connection"]]])
    for name, at in ((f"typed_{RUN}", port), (f"typed_{RUN}_x", 1)):
        yield call(standing, name, at, additional_http_headers=headers)
        asked = {"path": "/who", "headers": {"Cookie": CANARIES["ad_hoc"]}}
        done = api.call("POST", f"/api/v1/connections/{name}/request", asked, {"Prefer": "wait=60"})
        yield done
        yield api.call("POST", f"/api/v1/executions/{done['sys_id']}/run-again", {}, {"Prefer": "wait=60"})
        written = [["Authorization", CANARIES["step"]], ["Cookie", "{{steps.First.headers.Set-Cookie}}"]]
        first = {"name": "First", "connection_alias": name, "resource_path": "/who", "on_failure": "continue"}
        api.call(
            "POST", "/api/v1/actions", {"name": name, "steps": [first, first | {"name": "Then", "headers": written}]}
        )
        api.call("POST", f"/api/v1/actions/{name}/publish", {})
        yield api.call("POST", f"/api/v1/actions/{name}/execute", {}, {"Prefer": "wait=60"})


def forms(standing: Walk) -> Iterator[tuple[str, bytes]]:
    """Every secret, as it may be written down."""
    assert standing.certificates
    secrets = CANARIES | {
        "token": soap_partner.TOKEN,
        "session": soap_partner.SESSION,
        "keystore": standing.certificates.password,
        "administrator": standing.admin_password,
    }
    for kind, secret in secrets.items():
        escaped = json.dumps(secret)[1:-1]
        for form in (
            secret,
            quote(secret),
            quote(secret, safe=""),
            escaped,
            _base64(secret),
            _base64(f"{USER}:{secret}"),
        ):
            yield kind, form.encode()


def _base64(text: str) -> str:
    """Less what the end of the text around it decides."""
    return base64.b64encode(text.encode()).decode().rstrip("=")[:-1]


def leaks(standing: Walk, place: str, content: bytes) -> list[str]:
    return [f"{kind} in {place}" for kind, form in forms(standing) if form in content]


def test_the_partner_has_seen_them_all(standing: Walk, spent: list[Json]) -> None:
    seen = "\n".join(soap_partner.shown)
    assert base64.b64encode(f"{USER}:{CANARIES['basic']}".encode()).decode() in seen
    assert quote(CANARIES["query"], safe="") in seen
    assert f"Bearer {soap_partner.TOKEN}" in seen
    # The bytes of a header, as WSGI shows them (PEP 3333).
    for kind in ("key", *TYPED):
        assert CANARIES[kind].encode().decode("latin-1") in seen, kind
    assert f"session={soap_partner.SESSION}" in seen
    assert any(
        kind in seen
        for kind in (_base64(f"{USER}:{CANARIES['client']}"), _base64(f"{USER}:{quote(CANARIES['client'], safe='')}"))
    )


def test_none_lies_in_a_file(standing: Walk, spent: list[Json]) -> None:
    folders = (standing.instance, standing.agent, standing.folder / "instance.log")
    files = [path for folder in folders for path in (folder.rglob("*") if folder.is_dir() else [folder])]
    assert any(path.name.startswith("openmid.sqlite3") for path in files)
    found = [leak for path in files if path.is_file() for leak in leaks(standing, str(path), path.read_bytes())]
    assert found == []


def test_none_shows_in_the_list_of_processes(standing: Walk, spent: list[Json]) -> None:
    ours = os.getpid()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            content = path.read_bytes() + path.with_name("environ").read_bytes()
        except OSError:
            continue  # it has ended, or is somebody else's
        if path.parent.name != str(ours):
            assert leaks(standing, content[:200].decode(errors="replace"), content) == []


def test_none_is_answered(standing: Walk, spent: list[Json]) -> None:
    api = walk.api(standing)
    for details in spent:
        assert leaks(standing, details["action"], json.dumps(details, ensure_ascii=False).encode()) == []
    for path in (f"/api/v1/actions/typed_{RUN}", f"/api/v1/actions/typed_{RUN}_x"):
        shown = api.call("GET", path)
        assert "********" in json.dumps(shown)
        assert leaks(standing, path, json.dumps(shown, ensure_ascii=False).encode()) == []
    for table in TABLES:
        rows = api.call("GET", f"/api/now/table/{table}?sysparm_limit=1000")
        assert rows["result"] or table == "ecc_agent_issue"
        assert leaks(standing, table, json.dumps(rows, ensure_ascii=False).encode()) == []
    said = subprocess.run(
        [standing.agent / "bin" / "mid.sh", "status", "--json"],
        capture_output=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert leaks(standing, "mid.sh status", said.stdout + said.stderr) == []

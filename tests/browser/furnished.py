"""An instance that somebody works with: records of every kind, executions that ended in every way.

`furnish` works against any instance: with the fake MID Server (its `answer` below plays the partners), or with a real
one and real partners (screenshots.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from playwright.sync_api import Page

from openmid.demo.instance_api import InstanceApi, Json
from openmid.wire.probes import EarlierAttempt, Failure, ProbeResult, RestProbe, SoapFault, SoapProbe, Timing, TlsFacts
from tests.every_page import KINDS, ROLES

SUBJECT = "CN=mymtlsclientcert,O=Example"
CONVERT = "agent/jre/bin/keytool -importkeystore -v -srckeystore /etc/openmid/legacy.p12 -srcstoretype PKCS12"
ENVELOPE = """\
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:o="urn:orders">
  <soapenv:Body>
    <o:place>
      <o:sku>{{inputs.sku}}</o:sku>
      <o:count>{{inputs.count}}</o:count>
    </o:place>
  </soapenv:Body>
</soapenv:Envelope>"""
PLACED = """\
<?xml version='1.0' encoding='UTF-8'?>
<soap11env:Envelope xmlns:soap11env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:tns="urn:orders"><soap11env:Body>\
<tns:placeResponse><tns:placeResult><tns:number>300</tns:number><tns:sku>M8-BOLT</tns:sku></tns:placeResult>\
</tns:placeResponse></soap11env:Body></soap11env:Envelope>"""
SKU_AND_COUNT = [
    {"name": "sku", "label": "SKU", "mandatory": True},
    {"name": "count", "label": "Count", "type": "integer", "mandatory": True},
]


@dataclass(frozen=True)
class Place:
    """Where to furnish: the API, `openmid instance …`, the MID Server, and the columns of connections to its partners."""

    api: InstanceApi
    openmid: Callable[..., str]
    mid: Json
    profile: Json
    rest: Mapping[str, str]
    soap: Mapping[str, str]
    legacy: Mapping[str, str]
    """One that fails: its profile's keystore is PKCS12."""


@dataclass
class Furnished:
    """`records`: a sys_id for each key of tests/every_page.py. `passwords`: of a user for each role, named after it."""

    records: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)


def furnish(place: Place, found: Furnished) -> Furnished:
    """Everything but what only a page lists; `find_the_rest` does those."""
    found.records |= {"mid": place.mid["sys_id"], "profile": place.profile["sys_id"]}
    _around_the_mid_server(place, found.records)
    _credentials(place.api, found.records)
    _connections(place, found.records)
    _actions(place.api, found.records)
    _executions(place.api, found.records)
    for role in ROLES[1:]:
        found.passwords[role] = place.openmid("user", "create", role, "--role", role)
    place.openmid("token", "create", "nightly-orders", "--user", "flow_operator", "--scope", "run", "--days", "90")
    return found


def find_the_rest(page: Page, url: str, found: Furnished) -> None:
    """The kinds whose records no API names: the first of their list, seen by an administrator."""
    for kind in KINDS:
        if kind.key not in found.records:
            page.goto(f"{url}{kind.path}")
            href = page.locator("#result_list tbody th a").first.get_attribute("href") or ""
            found.records[kind.key] = href.removesuffix("/change/").rpartition("/")[2]


def _around_the_mid_server(place: Place, records: dict[str, str]) -> None:
    api = place.api
    purposes = {
        "application": ("ecc_agent_application", {"name": "IntegrationHub"}),
        "capability": ("ecc_agent_capability", {"name": "customs", "description": "Hosts that customs let in."}),
        "ip_range": ("ecc_agent_ip_range", {"name": "partners", "type": "include", "range": "127.0.0.0/8"}),
        "cluster": ("ecc_agent_cluster", {"name": "dmz", "cluster_type": "failover"}),
    }
    for key, (table, columns) in purposes.items():
        records[key] = api.create(table, **columns)["sys_id"]
    member = {"cluster": records["cluster"], "mid_server": place.mid["sys_id"], "order": "1"}
    api.create("ecc_agent_cluster_member_m2m", **member)


def _credentials(api: InstanceApi, records: dict[str, str]) -> None:
    records["basic_auth"] = api.create(
        "basic_auth_credentials", name="Orders login", user_name="openmid", password="Password123"
    )["sys_id"]
    records["api_key"] = api.create("api_key_credentials", name="Payments key", api_key="canary-key")["sys_id"]
    oauth = {"client_id": "openmid", "client_secret": "canary", "token_url": "https://login.partner.example/token"}
    records["oauth"] = api.create("oauth_2_0_credentials", name="Customs client", scope="declare", **oauth)["sys_id"]
    records["credential"] = records["basic_auth"]


def _connections(place: Place, records: dict[str, str]) -> None:
    for name, title, columns in (
        ("orders", "Orders over mutual TLS", place.rest),
        ("customs", "Customs over mutual TLS", place.soap),
        ("legacy", "Archive over mutual TLS", place.legacy),
    ):
        alias = place.api.create("sys_alias", name=name, connection_type="http_connection")["sys_id"]
        made = place.api.create("http_connection", name=title, connection_alias=alias, **columns)["sys_id"]
        if name == "orders":
            records |= {"alias": alias, "connection": made}


def _actions(api: InstanceApi, records: dict[str, str]) -> None:
    body = '{"sku": "{{inputs.sku}}", "count": {{inputs.count}}}'
    read = [{"name": "subject", "source": "json_path", "expression": "$.subject"}]
    create = _step("Create", "orders", "POST", "/orders", body=body, body_kind="json", outputs=read)
    create |= {"headers": [["Accept", "application/json"]], "retry": {"kind": "fixed", "count": 3, "interval_ms": 1000}}
    follow = _step("Follow", "orders", "GET", "/orders/latest", query=[["sku", "{{inputs.sku}}"]])
    placed = {"name": "number", "source": "xpath", "expression": "//*[local-name()='number']", "type": "integer"}
    soap = {"type": "SOAP", "name": "Place", "connection_alias": "customs", "resource_path": "/ws", "body": ENVELOPE}
    actions = [
        {
            "name": "Create order",
            "description": "Creates an order at the partner and follows it.",
            "inputs": SKU_AND_COUNT,
            "outputs": [{"name": "seen_as", "value": "{{steps.Create.outputs.subject}}"}],
            "steps": [create, follow],
        },
        {
            "name": "Declare goods",
            "inputs": SKU_AND_COUNT,
            "outputs": [{"name": "order", "value": "{{steps.Place.outputs.number}}"}],
            "steps": [soap | {"soap_action": "place", "outputs": [placed]}],
        },
        {"name": "Archive report", "steps": [_step("Archive", "legacy", "PUT", "/reports/today", body="{}")]},
    ]
    for action in actions:
        made = api.call("POST", "/api/v1/actions", action)["result"]
        records.setdefault("action", made["sys_id"])
    api.call("POST", "/api/v1/actions/Create%20order/publish", {})
    sent = api.call("POST", "/api/now/attachment/file?file_name=packing-list.json&table_name=action", {"boxes": 4})
    records["attachment"] = sent["result"]["sys_id"]


def _step(name: str, alias: str, method: str, path: str, **more: object) -> dict[str, object]:
    step = {"type": "REST", "name": name, "connection_alias": alias, "method": method, "resource_path": path}
    return step | more


def _executions(api: InstanceApi, records: dict[str, str]) -> None:
    for key, action, inputs in (
        ("failed", "Archive%20report", {}),
        ("placed", "Declare%20goods", {"sku": "M8-BOLT", "count": 3}),
        ("fault", "Declare%20goods", {"sku": "M8-BOLT", "count": 0}),
        ("execution", "Create%20order", {"sku": "M8-BOLT", "count": 200}),
    ):
        path = f"/api/v1/actions/{action}/execute"
        ended = api.call("POST", path, {"inputs": inputs}, {"Prefer": "wait=60"})
        records[key] = ended["sys_id"]


def answer(probe: RestProbe | SoapProbe) -> ProbeResult:
    """What the partners would say."""
    if "reports" in probe.url:
        said = "the keystore /etc/openmid/legacy.p12 is PKCS12, and in FIPS Enforced Mode only BCFKS is opened"
        return ProbeResult(started=_now(), failure=Failure("keystore_not_bcfks", said, f"convert it: {CONVERT}"))
    if isinstance(probe, SoapProbe):
        return _soap(probe)
    found = _seen(201 if probe.method == "POST" else 200, f'{{"subject": "{SUBJECT}", "serial": "1F0C5A77"}}')
    earlier = [EarlierAttempt(_now() - 1_200_000, status_code=503, waited_ms=1_000)] if probe.method == "POST" else []
    return msgspec.structs.replace(found, attempts=earlier)


def _soap(probe: SoapProbe) -> ProbeResult:
    if ">0</o:count>" not in probe.body:
        return _seen(200, PLACED, "text/xml")
    fault = SoapFault("Client.Count", "count is 0, which is nothing to order")
    return msgspec.structs.replace(_seen(500, "<fault/>", "text/xml"), fault=fault)


def _seen(status: int, body: str, kind: str = "application/json") -> ProbeResult:
    names = ("TLSv1.3", "TLS_AES_256_GCM_SHA384", "CN=partner.example", "CN=Example CA", "2031-02-01T00:00:00Z")
    return ProbeResult(
        started=_now(),
        status_code=status,
        headers=[("Server", "nginx/1.22.1"), ("Content-Type", kind)],
        body=body,
        tls=TlsFacts(*names, SUBJECT, "1F0C5A77", "127.0.0.1:8443"),
        timing=Timing(dns=340, connect=812, tls=3_204, first_byte=5_120, transfer=410, total=9_886),
        fips_enforced=True,
    )


def _now() -> int:
    return time.time_ns() // 1000

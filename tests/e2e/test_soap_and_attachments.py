"""A SOAP step made from a real server's own WSDL, and large bodies both ways: all of it through an enforced MID Server."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from openmid.demo import walk
from openmid.demo.walk import Walk
from openmid.instance.actions import wsdl
from tests import parts
from tests.browser import article
from tests.browser.conftest import FLAGS
from tests.e2e import soap_partner

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standing")]
MB = 8


def raw(standing: Walk, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """A call of the instance with bytes."""
    api = walk.api(standing)
    context = ssl.create_default_context(cafile=str(standing.instance / "tls" / "ca.pem"))
    connection = http.client.HTTPSConnection(api._host, api._port, context=context, timeout=60)
    connection.request(method, path, body, {"Authorization": f"Bearer {api._token}"})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def run(standing: Walk, action: dict[str, Any], inputs: dict[str, Any]) -> Any:
    api = walk.api(standing)
    api.call("POST", "/api/v1/actions", action)
    return api.call("POST", f"/api/v1/actions/{action['name']}/execute", {"inputs": inputs}, {"Prefer": "wait=60"})


def test_an_operation_of_the_servers_own_wsdl(standing: Walk, port: int) -> None:
    asked = walk.api(standing).call(
        "POST", "/api/v1/connections/soap/request", {"path": "/ws", "query": {"wsdl": ""}}, {"Prefer": "wait=60"}
    )
    document = asked["steps"][0]["output"]["body"].encode()
    (operation,) = wsdl.operations({"orders.wsdl": document})
    assert (operation.name, operation.version) == ("place", "1.1")
    envelope = operation.envelope.replace(">?<", ">{{inputs.sku}}<", 1).replace(">?<", ">{{inputs.count}}<", 1)
    read = {"name": "number", "source": "xpath", "expression": "//*[local-name()='number']", "type": "integer"}
    step = {
        "type": "SOAP",
        "name": "Place",
        "connection_alias": "soap",
        "resource_path": "/ws",
        "body": envelope,
        "soap_action": operation.action,
        "outputs": [read],
    }
    action = {
        "name": "place",
        "inputs": [{"name": "sku"}, {"name": "count", "type": "integer"}],
        "outputs": [{"name": "order", "value": "{{steps.Place.outputs.number}}"}],
        "steps": [step],
    }
    found = run(standing, action, {"sku": "<nail & bolt>", "count": 3})
    assert (found["state"], found["outputs"]) == ("Completed", {"order": 300}), found["steps"]
    assert "&lt;nail &amp; bolt&gt;" in found["steps"][0]["output"]["body"]
    metadata = found["steps"][0]["integration_metadata"]
    assert metadata["fips_enforced"] is True
    assert f"trace={metadata['trace_id']}" in (standing.agent / "logs/agent0.log").read_text()

    fault = run(standing, action | {"name": "place_none"}, {"sku": "x", "count": 0})["steps"][0]
    assert (fault["state"], fault["error"]["code"]) == ("Error", "soap_fault")
    assert "which is nothing to order" in fault["error"]["message"]
    assert fault["output"]["fault"]["code"] == "Client.Count"


def test_the_editor_fetches_the_wsdl_through_the_mid_server(standing: Walk, port: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=parts.chromium(), args=FLAGS)
        page = browser.new_context(ignore_https_errors=True).new_page()
        article.sign_in(page, standing.url, walk.ADMIN, standing.admin_password)
        article.build_action(page, "From a WSDL")
        page.get_by_role("navigation", name="Action Outline").get_by_role("link", name="SOAP").last.click()
        article.field(page, "Connection Alias").select_option("soap")
        page.get_by_label("Or its address, after the Base URL").fill("/ws?wsdl")
        page.get_by_role("button", name="Fetch through the MID Server").click()
        expect(page.locator("[data-wsdl-said]")).to_have_text("1 operation.", timeout=30_000)
        page.locator("#wsdl_operation").select_option(index=1)
        assert "place" in article.field(page, "Envelope").input_value()
        browser.close()


def test_large_bodies_both_ways(standing: Walk, port: int) -> None:
    steps = [
        {
            "name": "Get",
            "connection_alias": "soap",
            "resource_path": "/download",
            "query": [["mb", "{{inputs.mb}}"]],
            "save_as": "big.pdf",
        },
        {
            "name": "Put",
            "connection_alias": "soap",
            "method": "PUT",
            "resource_path": "/upload",
            "body_kind": "binary",
            "attachment": "{{steps.Get.attachment}}",
            "outputs": [{"name": "sha256", "source": "json_path", "expression": "$.sha256"}],
        },
    ]
    action = {"name": "big", "inputs": [{"name": "mb", "type": "integer"}], "steps": steps}
    found = run(standing, action, {"mb": MB})
    assert found["state"] == "Completed", found["steps"]
    expected = hashlib.sha256(soap_partner.CHUNK * 16 * MB).hexdigest()
    kept = found["steps"][0]["output"]["attachment"]
    assert (kept["file_name"], kept["size_bytes"], kept["content_type"]) == ("big.pdf", MB << 20, "application/pdf")
    assert found["steps"][1]["outputs"] == {"sha256": expected}
    status, body = raw(standing, "GET", f"/api/now/attachment/{kept['sys_id']}/file")
    assert (status, hashlib.sha256(body).hexdigest()) == (200, expected)

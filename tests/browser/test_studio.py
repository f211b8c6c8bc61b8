"""Workflow Studio in Chromium: inputs, pills, a SOAP step from a WSDL, the order of steps, outputs, versions, Test."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page, expect

from openmid.wire.probes import ProbeResult, RestProbe, RetryPolicy
from tests.browser import article
from tests.browser.conftest import Standing, seen_by_the_partner
from tests.browser.fake_mid import FakeMid
from tests.browser.test_pages import caller as caller
from tests.instance.test_wsdl import XSD, document

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SHOTS = os.environ.get("OPENMID_SCREENSHOTS", "")


def shot(page: Page, name: str) -> None:
    """A picture for whoever asks for them."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def outline(page: Page, name: str) -> None:
    """Choose in the Action Outline."""
    page.get_by_role("navigation", name="Action Outline").get_by_role("link", name=name).last.click()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()


def declare_input(page: Page) -> None:
    outline(page, "Inputs")
    row = page.locator("[data-pair]").last
    row.get_by_label("Name").fill("order")
    row.get_by_label("Label").fill("Order number")
    row.get_by_label("Type").select_option("Integer")
    row.get_by_label("Mandatory").select_option("Mandatory")
    save(page)


def choose_failures(page: Page) -> None:
    page.locator("#when-it-fails > summary").click()
    article.field(page, "Retries").fill("2")
    page.locator("#failures > summary").click()
    for words in ("The connection is refused", "The TLS handshake fails otherwise"):
        page.get_by_role("group").get_by_role("checkbox", name=words).check()


def test_inputs_pills_outputs_and_test(page: Page, mid: FakeMid, caller: str) -> None:
    asked: list[RestProbe] = []

    def answer(probe: RestProbe) -> ProbeResult:
        asked.append(probe)
        return msgspec.structs.replace(seen_by_the_partner(probe), body='{"id": 7, "name": "<b>x</b>"}')

    mid.answer = answer
    declare_input(page)
    outline(page, "REST step")
    article.field(page, "HTTP method").select_option("POST")
    article.field(page, "Request type").select_option("JSON")
    body = article.field(page, "Request body")
    body.fill('{"order": }')
    body.evaluate("each => each.setSelectionRange(10, 10)")
    page.locator("[data-pills]").get_by_role("button", name="order", exact=True).click()
    expect(body).to_have_value('{"order": {{inputs.order}}}')
    page.locator("#answer > summary").click()
    row = page.locator("#answer [data-pair]").last
    row.get_by_label("Name").fill("id")
    row.get_by_label("Expression").fill("$.id")
    row.get_by_label("Type").select_option("Integer")
    page.locator("[name=headers-name]").last.fill("Authorization")
    page.locator("[name=headers-value]").last.fill("Bearer geheim")
    choose_failures(page)
    save(page)
    expect(page.locator("[name=headers-value]").first).to_have_value("********")
    expect(page.locator("[name=retry_failures]:checked")).to_have_count(2)
    shot(page, "studio-rest-step")
    save(page)  # asterisks and all
    outline(page, "Outputs")
    row = page.locator("[data-pair]").last
    row.get_by_label("Name").fill("made")
    row.get_by_label("Value").click()
    page.locator("[data-pills]").get_by_role("button", name="id", exact=True).click()
    save(page)

    page.locator("#header-inner").get_by_role("link", name="Test", exact=True).click()
    dialog = page.locator("#dialog")
    dialog.get_by_role("button", name="Run Test").click()
    expect(dialog).to_contain_text("input order is missing")
    dialog.get_by_label("Order number").fill("42")
    shot(page, "studio-test")
    dialog.get_by_role("button", name="Run Test").click()
    expect(page.get_by_role("heading", name="EXECUTION DETAILS", exact=True)).to_be_visible()
    expect(page.locator("#execution[data-live]")).to_have_count(0)
    assert json.loads(asked[0].body) == {"order": 42}
    assert asked[0].headers[0] == ("Authorization", "Bearer geheim")
    assert asked[0].retry == RetryPolicy(count=2, failures=["connection_refused", "tls_failed"])
    expect(page.get_by_role("region", name="Inputs", exact=True)).to_contain_text("42")
    expect(page.get_by_role("region", name="Outputs", exact=True)).to_contain_text("7")
    shot(page, "execution-details")


def test_a_pill_that_means_nothing_stands_at_its_field(page: Page, caller: str) -> None:
    article.field(page, "Resource path").fill("/a/{{inputs.nobody}}")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#step-form")).to_contain_text("{{inputs.nobody}}: the action has no such input; it has none.")


def test_a_soap_step_from_a_wsdl_and_the_order_of_steps(page: Page, caller: str, tmp_path: Path) -> None:
    (tmp_path / "shop.wsdl").write_bytes(document(XSD))
    outline(page, "SOAP")
    article.field(page, "Connection Alias").select_option(caller)
    page.locator("#wsdl_file").set_input_files(tmp_path / "shop.wsdl")
    page.locator("#wsdl_operation").select_option("order (Port, SOAP 1.1)")
    expect(article.field(page, "SOAP action")).to_have_value("urn:order")
    assert ":Order" in article.field(page, "Envelope").input_value()
    shot(page, "studio-soap-step")
    save(page)
    rows = page.locator("[data-step]")
    expect(rows).to_contain_text(["REST", "SOAP"])
    page.get_by_role("button", name="Move SOAP up").click()
    expect(rows).to_contain_text(["SOAP", "REST"])
    rows.nth(0).drag_to(rows.nth(1), target_position={"x": 20, "y": 38})
    expect(rows).to_contain_text(["REST", "SOAP"])
    page.reload()
    expect(rows).to_contain_text(["REST", "SOAP"])


def test_a_wsdl_is_fetched_through_the_mid_server(page: Page, mid: FakeMid, caller: str) -> None:
    schema = '<xs:schema><xs:import namespace="urn:types" schemaLocation="t.xsd"/></xs:schema>'
    documents = {"/ws?wsdl": document(schema).decode(), "/t.xsd": XSD}

    def answer(probe: RestProbe) -> ProbeResult:
        (body,) = [text for end, text in documents.items() if probe.url.endswith(end)]
        return msgspec.structs.replace(seen_by_the_partner(probe), body=body)

    mid.answer = answer
    outline(page, "SOAP")
    page.get_by_role("button", name="Fetch through the MID Server").click()
    expect(page.locator("[data-wsdl-said]")).to_contain_text("Choose a Connection Alias first")
    article.field(page, "Connection Alias").select_option(caller)
    address = page.get_by_label("Or its address, after the Base URL")
    address.fill("/ws?wsdl")
    page.route("**/wsdl/fetch/", lambda route: route.abort())
    address.press("Enter")
    expect(page.locator("[data-wsdl-said]")).to_contain_text("gave no answer")
    page.unroute_all()
    address.press("Enter")
    expect(page.locator("[data-wsdl-said]")).to_have_text("1 operation.", timeout=20_000)
    page.locator("#wsdl_operation").select_option("order (Port, SOAP 1.1)")
    assert ":Order" in article.field(page, "Envelope").input_value()


def test_publish_copy_and_restore(page: Page, instance: Standing, caller: str) -> None:
    head = page.locator("#header-inner")
    head.get_by_role("link", name="Publish", exact=True).click()
    page.locator("#dialog").get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is published.")).to_be_visible()
    article.field(page, "Resource path").fill("/other")
    save(page)
    head.get_by_role("link", name="Versions", exact=True).click()
    expect(page.locator("#content-main")).to_contain_text("The draft differs from version 1")
    shot(page, "studio-versions")
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Make it the draft").click()
    expect(article.field(page, "Resource path")).to_have_value("/x")
    page.wait_for_load_state()  # a pop-up opens once htmx is there
    head.get_by_role("link", name="Copy", exact=True).click()
    page.locator("#dialog").get_by_label("Name of the copy").fill(f"{caller} again")
    page.locator("#dialog").get_by_role("button", name="Copy").click()
    expect(page.get_by_text("is a copy.")).to_be_visible()

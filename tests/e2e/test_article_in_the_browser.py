"""The article's section 3 in Chromium with nothing faked: a real MID Server in FIPS Enforced Mode, a real partner; and
what EXECUTION DETAILS shows of a partner that misbehaves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect, sync_playwright

from openmid.demo import walk
from openmid.demo.walk import Walk
from tests import parts
from tests.browser import article
from tests.browser.conftest import FLAGS
from tests.e2e import misbehaving

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.xdist_group("standing")]


def test_from_the_alias_to_status_code_200(standing: Walk) -> None:
    certificates = standing.certificates
    assert certificates
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=parts.chromium(), args=FLAGS)
        page = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900}).new_page()
        article.sign_in(page, standing.url, walk.ADMIN, standing.admin_password)
        article.create_alias(page, "in_the_browser")
        article.new_connection(page, "In the browser")
        article.create_profile(page, "mauth2", str(standing.bcfks), certificates.password, walk.MID_NAME)
        url = article.save_connection(page, "localhost", standing.partner_port, certificates.ca.read_text())
        assert url == f"mauth2://localhost:{standing.partner_port}"
        article.build_action(page, "Call in the browser")
        assert article.add_rest_step(page, "in_the_browser", "/") == url
        assert article.run_test(page) == "Completed"
        assert article.status_code(page) == 200
        expect(article.body(page)).to_contain_text("CN=mymtlsclientcert,O=openmid demo,C=ZZ")
        expect(page.get_by_text("OpenSSL FIPS Provider").first).to_be_visible()
        browser.close()


KNOWN = {
    "/silent": ("answer_timeout", "did not answer within", "raise the step's or connection's timeout"),
    "/stops": (
        "connection_lost",
        "closed the connection before its answer was complete",
        "look into the partner's log",
    ),
    "/chunks": ("answer_invalid", "is not HTTP as it should be", "the partner, or a proxy before it"),
    "/bomb": ("response_too_large", "is larger than 5 MB", "ask the partner for less"),
    "/headers": ("answer_header_too_large", "is larger than this MID Server takes", "fewer or shorter headers"),
}
"""Path, cause, words of its sentence and of its remedy."""


def test_a_partner_that_misbehaves_is_named_for_it_and_runs_nothing(standing: Walk, misbehaves: None) -> None:
    """One action that calls them all, and goes on after each failure: one page."""
    step = {"type": "REST", "connection_alias": "misbehaves", "method": "POST", "on_failure": "continue"}
    steps = [step | {"name": path[1:], "resource_path": path} for path in (*KNOWN, "/script")]
    api = walk.api(standing)
    api.call("POST", "/api/v1/actions", {"name": "misbehaves", "steps": steps})
    ended = api.call("POST", "/api/v1/actions/misbehaves/execute", {}, {"Prefer": "wait=60"})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=parts.chromium(), args=FLAGS)
        page = browser.new_context(ignore_https_errors=True).new_page()
        broken: list[str] = []
        page.on("console", lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None)
        article.sign_in(page, standing.url, walk.ADMIN, standing.admin_password)
        article.visit(page, f"{standing.url}/actions/execution/{ended['sys_id']}/change/")
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        for at, (code, sentence, remedy) in enumerate(KNOWN.values()):
            failure = page.locator(f"#step-{at} .om-failure")
            for said in (sentence, remedy, f"Cause {code}"):
                expect(failure).to_contain_text(said, ignore_case=True)
        hostile = page.locator(f"#step-{len(KNOWN)}")
        expect(hostile.locator("[data-status-code]")).to_have_text("200")
        expect(hostile.locator(f"#headers-{len(KNOWN)}")).to_contain_text(misbehaving.SCRIPT)
        expect(hostile.frame_locator("iframe").locator("pre")).to_contain_text("parent.evil")
        assert page.evaluate("window.evil") is None
        assert [frame.evaluate("window.evil") for frame in page.frames[1:]] == [None]
        assert broken == []
        browser.close()

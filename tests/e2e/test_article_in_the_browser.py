"""The article's section 3 in Chromium with nothing faked: a real MID Server in FIPS Enforced Mode, a real partner."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect, sync_playwright

from openmid.demo import walk
from openmid.demo.walk import Walk
from tests import parts
from tests.browser import article
from tests.browser.conftest import FLAGS

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

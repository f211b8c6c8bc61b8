"""The article's section 3, sentence by sentence, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import article
from tests.browser.conftest import Standing
from tests.browser.fake_mid import SUBJECT, FakeMid

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def validate(page: Page, mid: FakeMid) -> None:
    """MID Server > Servers: compare the fingerprint, Validate."""
    article.navigate(page, "MID Server", "Servers")
    page.get_by_role("link", name=mid.name, exact=True).click()
    page.locator("#header-inner").get_by_role("link", name="Validate", exact=True).click()
    dialog = page.locator("#dialog")
    expect(dialog.locator("[data-fingerprint]")).to_have_text(mid.fingerprint)
    dialog.get_by_role("button", name="Validate").click()
    expect(page.get_by_text(f"MID Server {mid.name} is validated.")).to_be_visible()


def test_section_3_ends_with_status_code_200(page: Page, instance: Standing, newcomer: FakeMid) -> None:
    page.goto(instance.url)
    validate(page, newcomer)
    article.create_alias(page, "partner")
    article.new_connection(page, "Partner over mutual TLS")
    article.create_profile(page, "mauth", "/etc/openmid/mymtlsclientcert.bcfks", "Password123", newcomer.name)
    assert article.save_connection(page, "partner.example") == "mauth://partner.example"
    article.build_action(page, "Call partner")
    assert article.add_rest_step(page, "partner", "/whoami") == "mauth://partner.example"
    assert article.run_test(page) == "Completed"
    assert article.status_code(page) == 200
    expect(article.body(page)).to_contain_text(SUBJECT)
    expect(page.get_by_role("region", name="Integration Metadata")).to_contain_text("TLS_AES_256_GCM_SHA384")

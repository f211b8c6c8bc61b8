"""Clusters, credentials and what a MID Server's record offers, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import article
from tests.browser.conftest import Standing
from tests.browser.fake_mid import FakeMid

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_pause_and_resume(page: Page, instance: Standing, mid: FakeMid) -> None:
    page.goto(instance.url)
    article.navigate(page, "MID Server", "Servers")
    page.get_by_role("link", name=mid.name, exact=True).click()
    for label, said in (("Pause", "is paused."), ("Resume", "takes work again.")):
        page.locator("#header-inner").get_by_role("link", name=label, exact=True).click()
        expect(page.locator("#dialog").get_by_role("button", name=label)).to_be_focused()
        page.keyboard.press("Enter")  # and Escape would close it
        expect(page.get_by_text(f"MID Server {mid.name} {said}")).to_be_visible()


def test_a_credential_by_the_magnifying_glass_and_a_cluster(page: Page, instance: Standing, mid: FakeMid) -> None:
    page.goto(f"{instance.url}/mid/midcluster/add/")
    article.field(page, "Name").fill("pair")
    page.locator("select[name=members-0-mid_server]").select_option(mid.name)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_contain_text("pair")
    page.goto(f"{instance.url}/connections/basicauthcredential/add/")
    article.field(page, "Name").fill("partner login")
    article.field(page, "User name").fill("me")
    article.field(page, "Password").fill("canary-9")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_contain_text("partner login")
    assert "canary-9" not in page.content()
    page.goto(f"{instance.url}/connections/httpconnection/add/")
    article.field(page, "MID selection").select_option("Specific MID Cluster")
    expect(article.field(page, "MID Cluster")).to_be_visible()
    with page.expect_popup() as opened:
        page.locator("#lookup_id_credential").click()
    with article.closing(opened.value):
        opened.value.get_by_role("link", name="partner login").click()
    expect(article.field(page, "Credential")).to_have_value("partner login")

"""Every page on a narrow screen; a theme that follows the system; a list of 10,000 executions."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import many
from tests.browser import article
from tests.browser.conftest import Standing
from tests.browser.furnished import Furnished
from tests.every_page import PAGES, A

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
EXECUTIONS = 10_000
NARROW = 390
SEEN = [page for page in PAGES if A in page.sees]


@pytest.fixture
def narrow(signed_in: Page) -> Iterator[Page]:
    size = signed_in.viewport_size
    signed_in.set_viewport_size({"width": NARROW, "height": 844})
    yield signed_in
    assert size
    signed_in.set_viewport_size(size)


def test_no_page_is_wider_than_a_narrow_screen_or_breaks_its_policy(narrow: Page, known: Furnished) -> None:
    wide: list[str] = []
    refused: list[str] = []
    narrow.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    for each in SEEN:
        article.visit(narrow, each.at(known.records))
        narrow.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        width = narrow.evaluate("document.documentElement.scrollWidth")
        if width > NARROW:
            wide.append(f"{each.name}: {width} px")
    assert wide == []
    assert refused == []


def test_dark_mode_follows_the_system(
    chromium: Browser, furnished: tuple[Standing, Furnished], signed_in: Page
) -> None:
    instance, _ = furnished
    backgrounds = {}
    for scheme in ("light", "dark"):
        context = chromium.new_context(
            ignore_https_errors=True,
            base_url=instance.url,
            storage_state=signed_in.context.storage_state(),
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = context.new_page()
        article.visit(page, "/")
        panel = page.locator(".om-panel").first
        backgrounds[scheme] = [
            each.evaluate("each => getComputedStyle(each).backgroundColor") for each in (page.locator("body"), panel)
        ]
        context.close()
    assert backgrounds["light"] != backgrounds["dark"]
    assert backgrounds["light"][1] == "rgb(255, 255, 255)"


def test_ten_thousand_executions_in_the_list(
    signed_in: Page, furnished: tuple[Standing, Furnished], known: Furnished
) -> None:
    instance, found = furnished
    originals = [found.records["execution"], found.records["failed"]]
    with contextlib.closing(sqlite3.connect(instance.folder / "openmid.sqlite3", timeout=30)) as database:
        many.executions(database, originals, EXECUTIONS)
        failed = database.execute("SELECT COUNT(*) FROM execution WHERE state = 'Error'").fetchone()[0]
    page = signed_in
    article.visit(page, "/actions/execution/")
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(50)
    expect(page.locator("body")).to_contain_text("100")  # the last ones are some pages away
    article.visit(page, "/actions/execution/?p=201")
    expect(rows.first).to_be_visible()
    article.visit(page, "/actions/execution/?state__exact=Error")
    expect(rows).to_have_count(50)
    assert failed > EXECUTIONS / 2
    article.visit(page, "/actions/execution/?q=Archive")
    expect(rows.first).to_contain_text("Archive report")
    rows.first.locator("th a").click()
    expect(page.get_by_role("heading", name="EXECUTION DETAILS", exact=True)).to_be_visible()

"""Every page under axe-core, light and dark, and on a narrow screen; dark mode, a list of 10,000."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import many
from tests.browser import article, axe
from tests.browser.conftest import SIZE, Standing
from tests.browser.furnished import Furnished
from tests.every_page import PAGES, A
from tests.every_page import Page as AnyPage

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
EXECUTIONS = 10_000
NARROW = 390
SEEN = [
    page for page in PAGES if A in page.sees and (page.sort not in ("history", "remove") or page.name.startswith("mid"))
]
"""unfold has one page for all histories, and one for all removals: a MID Server's stand for them."""
WITH_THEIR_MENU = {"home", "two-factor sign-in", "execution: record"}
"""The menu is looked at on one page of each frame."""
OF_THEIR_OWN = {"alias", "connection", "profile", "mid", "issue", "action", "execution", "audit"}
"""Kinds whose pages have templates of ours or labels in colours. The other lists and forms look as an alias's do."""


def test_every_page_is_accessible_fits_a_narrow_screen_and_keeps_its_policy(signed_in: Page, known: Furnished) -> None:
    """Each page is opened once for all three."""
    page, found = signed_in, list[str]()
    page.on(
        "console", lambda said: found.append(f"{page.url}: {said.text}") if "Security Policy" in said.text else None
    )
    for each in SEEN:
        answer = article.visit(page, each.at(known.records))
        if each.foreign and "unsafe-eval" in answer.headers["content-security-policy"]:
            found.append(f"{each.name}: it shows foreign bytes, and its policy has unsafe-eval")
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        menu, colours = each.name in WITH_THEIR_MENU, stands_for_its_colours(each)
        if colours or each.sort != "new":  # the form of a new record is a record's
            found += [f"{each.name}: {said}" for said in axe.violations(page, menu=menu, colours=colours)]
        width = narrowed(page)
        if width > NARROW:
            found.append(f"{each.name}: {width} px wide on a screen of {NARROW}")
    assert found == []


def stands_for_its_colours(each: AnyPage) -> bool:
    """Whether no other page has its colours: a list, a form and a record of unfold's have them on one page of each."""
    return each.sort == "other" or each.name.partition(":")[0] in OF_THEIR_OWN


def narrowed(page: Page) -> int:
    """Pixels that the page takes on a narrow screen."""
    page.set_viewport_size({"width": NARROW, "height": 844})
    width = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size(SIZE)
    return int(width)


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

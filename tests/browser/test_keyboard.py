"""The article's section 3, and the order of steps, without a mouse: Tab, Enter, Space, arrows, and typing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import article
from tests.browser.conftest import Standing
from tests.browser.fake_mid import FakeMid
from tests.browser.test_pages import caller as caller

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
MOST_TABS = 120
VISIBLE = """each => {
    const shown = style => [style.outlineStyle, style.outlineWidth, style.boxShadow, style.borderColor,
        style.backgroundColor, style.color].join();
    const around = [each, each.parentElement, each.nextElementSibling, each.closest('.om-outline-row')].filter(Boolean);
    const focused = around.map(one => shown(getComputedStyle(one)));
    each.blur();
    const resting = around.map(one => shown(getComputedStyle(one)));
    each.focus();
    return focused.join(';') !== resting.join(';') || each.matches(':focus-visible') && focused[0].includes('auto');
}"""
"""Whether something of the element, or right around it, looks different while it has the focus."""


def reach(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Press Tab until `wanted` has the focus; and it shows that it has."""
    handle = wanted.element_handle()
    for _ in range(MOST_TABS):
        if handle.evaluate("each => each === document.activeElement"):
            break
        page.keyboard.press(key)
    else:
        raise AssertionError(f"{wanted} cannot be reached by {key}")
    assert handle.evaluate(VISIBLE), f"nothing shows that {wanted} has the focus"


def write(page: Page, label: str, text: str) -> None:
    reach(page, article.field(page, label))
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def switch_on(page: Page, label: str) -> None:
    field = article.field(page, label)
    reach(page, field)
    if not field.is_checked():
        page.keyboard.press("Space")
    expect(field).to_be_checked()


def choose(page: Page, label: str, option: str) -> None:
    """In a list, the letters of an option choose it."""
    reach(page, article.field(page, label))
    page.keyboard.type(option)
    expect(article.field(page, label).locator("option:checked")).to_have_text(option)


def press(page: Page, wanted: Locator) -> None:
    reach(page, wanted)
    page.keyboard.press("Enter")


def go(page: Page, item: str) -> None:
    """The menu's filter box, and Enter."""
    reach(page, page.get_by_label("All", exact=True))
    page.keyboard.type(item)
    page.keyboard.press("Enter")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def link(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=name, exact=True)


def test_section_3_without_a_mouse(page: Page, instance: Standing, mid: FakeMid) -> None:
    page.goto(instance.url)
    go(page, "Connection & Cred")
    press(page, link(page, "New"))
    write(page, "Name", "by_keyboard")
    press(page, button(page, "Save"))
    press(page, page.locator("#tabs-items").get_by_role("link", name="Connections"))
    press(page, link(page, "New"))
    write(page, "Name", "By keyboard")
    for label in ("URL builder", "Mutual authentication", "Use MID server"):
        switch_on(page, label)
    profile_by_keyboard(page, mid.name)
    write(page, "Host", "partner.example")
    press(page, button(page, "Save"))
    expect(article.field(page, "Connection URL")).to_have_value("keyauth://partner.example")

    go(page, "Workflow")
    press(page, page.locator("#header-inner").get_by_role("button", name="New", exact=True))
    press(page, link(page, "Action"))
    write(page, "Action name", "By keyboard")
    press(page, button(page, "Build action"))
    press(page, page.get_by_role("navigation", name="Action Outline").get_by_role("link", name="REST").last)
    choose(page, "Connection", "Use Connection Alias")
    choose(page, "Connection Alias", "by_keyboard")
    expect(article.field(page, "Base URL")).to_have_value("keyauth://partner.example")
    press(page, button(page, "Save"))
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    press(page, page.locator("#header-inner").get_by_role("link", name="Test", exact=True))
    press(page, page.locator("#dialog").get_by_role("button", name="Run Test"))
    expect(page.get_by_role("heading", name="EXECUTION DETAILS", exact=True)).to_be_visible()
    expect(page.locator("#execution[data-live]")).to_have_count(0)
    steps = page.locator("#steps > summary")
    if page.locator("#steps").get_attribute("open") is None:
        press(page, steps)
    assert article.status_code(page) == 200


def profile_by_keyboard(page: Page, mid_server: str) -> None:
    """The magnifying glass, New, the fields, Submit."""
    with page.expect_popup() as opened:
        press(page, link(page, "Look up using list"))
    form = opened.value
    press(form, link(form, "New"))
    write(form, "Protocol", "keyauth")
    write(form, "Keystore path", "/etc/openmid/client.bcfks")
    write(form, "Password", "Password123")
    choose(form, "Applies to", "Specific MID Servers")
    switch_on(form, mid_server)
    with article.closing(form):
        press(form, button(form, "Submit"))
    expect(article.field(page, "MID protocol profile")).to_have_value("keyauth")


def test_the_order_of_steps_without_a_mouse(page: Page, caller: str) -> None:
    article.add_rest_step(page, caller, "/second")
    rows = page.locator("[data-step]")
    expect(rows).to_have_count(2)
    first, second = (rows.nth(at).get_attribute("data-step") for at in (0, 1))
    press(page, rows.nth(1).get_by_role("button", name="up"))
    expect(rows.nth(0)).to_have_attribute("data-step", second or "")
    press(page, rows.nth(0).get_by_role("button", name="down"))
    expect(rows.nth(0)).to_have_attribute("data-step", first or "")

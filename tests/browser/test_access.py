"""Each role in a browser: it signs in, its menu has what it sees, every page answers it as it should, and it leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import article
from tests.browser.conftest import SIZE, Standing
from tests.browser.furnished import Furnished
from tests.every_page import KINDS, PAGES, ROLES, A

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
REFUSED = "Your roles do not allow this"


@pytest.fixture
def user(
    request: pytest.FixtureRequest, chromium: Browser, furnished: tuple[Standing, Furnished], known: Furnished
) -> Iterator[tuple[str, Page]]:
    instance, _ = furnished
    context = chromium.new_context(ignore_https_errors=True, base_url=instance.url, viewport=SIZE)
    page = context.new_page()
    article.sign_in(page, instance.url, request.param, ({A: instance.password} | known.passwords)[request.param])
    yield request.param, page
    context.close()


@pytest.mark.parametrize("user", ROLES, indirect=True)
def test_a_role_sees_its_pages_and_is_refused_the_others(user: tuple[str, Page], known: Furnished) -> None:
    """Pages are asked for with the browser's session and not drawn: who may see one does not hang on its looks."""
    role, page = user
    menu = page.locator("#nav-sidebar-apps").get_by_role("link").all()
    assert {link.get_attribute("href") for link in menu} == {
        kind.path for kind in KINDS if kind.in_menu and role in kind.sees
    }
    for each in PAGES:
        answer = page.request.get(each.at(known.records))
        assert answer.status == (200 if role in each.sees else 403), (role, each.name)
        assert (REFUSED in answer.text()) == (role not in each.sees), (role, each.name)
    leave(role, page)


def leave(role: str, page: Page) -> None:
    """Log out, by the user's menu."""
    page.locator("#nav-sidebar").get_by_text(role, exact=True).first.click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in again")).to_be_visible()
    assert "/login/" in page.request.get("/actions/action/").url

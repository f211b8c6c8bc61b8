"""Each role against each page, and against the menu, in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import article
from tests.browser.conftest import Standing
from tests.browser.furnished import Furnished
from tests.every_page import KINDS, PAGES, ROLES, A

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
BULKY = {"stylesheet", "font", "image", "script"}
OPENED = [page for page in PAGES if page.sort not in ("history", "remove")]
"""tests/instance/test_roles.py asks for the others, too."""


def without_the_bulk(route: Route) -> None:
    """Who may see a page does not hang on its looks."""
    route.abort() if route.request.resource_type in BULKY else route.continue_()


@pytest.fixture
def user(
    request: pytest.FixtureRequest, chromium: Browser, furnished: tuple[Standing, Furnished], known: Furnished
) -> Iterator[tuple[str, Page]]:
    instance, _ = furnished
    context = chromium.new_context(
        ignore_https_errors=True, base_url=instance.url, viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    article.sign_in(page, instance.url, request.param, ({A: instance.password} | known.passwords)[request.param])
    yield request.param, page
    context.close()


@pytest.mark.parametrize("user", ROLES, indirect=True)
def test_a_role_sees_its_pages_and_is_refused_the_others(user: tuple[str, Page], known: Furnished) -> None:
    role, page = user
    page.route("**/*", without_the_bulk)
    for each in OPENED:
        answer = article.visit(page, each.at(known.records), wait_until="commit")
        assert answer.status == (200 if role in each.sees else 403), (role, each.name)
        refused = page.get_by_text("Your roles do not allow this")
        expect(refused).to_have_count(0 if role in each.sees else 1)


@pytest.mark.parametrize("user", ROLES, indirect=True)
def test_a_roles_menu_has_the_lists_that_it_sees(user: tuple[str, Page]) -> None:
    role, page = user
    links = page.locator("#nav-sidebar-apps").get_by_role("link").all()
    assert {link.get_attribute("href") for link in links} == {
        kind.path for kind in KINDS if kind.in_menu and role in kind.sees
    }

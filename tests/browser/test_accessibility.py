"""axe-core over every page, light and dark: nothing serious, nothing critical."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser import article
from tests.browser.furnished import Furnished
from tests.every_page import PAGES, A

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
GRAVE = {"serious", "critical"}
LOOKS = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
"""What dark mode can change."""
SEEN = [
    page for page in PAGES if A in page.sees and (page.sort not in ("history", "remove") or page.name.startswith("mid"))
]
"""unfold has one page for all histories, and one for all removals: a MID Server's stand for them."""
EXCEPTIONS: dict[str, str] = {}
"""Rule and selector of what is unfold's own, and why it stays."""


def violations(page: Page, options: dict[str, Any] | None = None) -> list[str]:
    """What axe finds grave: the rule, the element, what to do."""
    found = Axe().run(page, options=options or {"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{each['id']} {node['target']} {node['html'][:160]}: {node['failureSummary']}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
        if f"{each['id']} {' '.join(map(str, node['target']))}" not in EXCEPTIONS
    ]


def everything_open(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")


def test_no_page_has_a_grave_finding(signed_in: Page, known: Furnished) -> None:
    page, found = signed_in, list[str]()
    for each in SEEN:
        article.visit(page, each.at(known.records))
        everything_open(page)
        found += [f"{each.name}: {said}" for said in violations(page)]
        page.evaluate("document.documentElement.classList.add('dark')")
        found += [f"{each.name}, dark: {said}" for said in violations(page, LOOKS)]
    assert found == []

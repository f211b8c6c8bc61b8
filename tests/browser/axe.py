"""axe-core over an open page, light and dark: nothing serious, nothing critical."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}
QUICK = {"resultTypes": ["violations"], "preload": False, "iframes": False}
"""No stylesheet is fetched again (none of ours turns a screen); a frame of ours is one text, in which no script answers."""
LOOKS = QUICK | {"runOnly": ["color-contrast", "link-in-text-block"]}
"""What dark mode can change."""
SHAPE = QUICK | {"rules": {"color-contrast": {"enabled": False}}}
"""All but that."""
MENU = {"exclude": [["#nav-sidebar"]]}
EXCEPTIONS: dict[str, str] = {}
"""Rule and selector of what is unfold's own, and why it stays."""


def violations(page: Page, *, menu: bool, colours: bool) -> list[str]:
    """What axe finds grave: the rule, the element, what to do. The menu, and the colours (in light and in dark, most
    of axe's time), are the same on many pages."""
    context = {} if menu else MENU
    page.evaluate(Axe().axe_script)
    if not colours:
        return _run(page, context, SHAPE)
    light = _run(page, context, QUICK)
    page.evaluate("document.documentElement.classList.add('dark')")
    return light + [f"dark: {said}" for said in _run(page, context, LOOKS)]


def _run(page: Page, context: dict[str, Any], options: dict[str, Any]) -> list[str]:
    ran = page.evaluate(
        "([context, options]) => axe.run(context.exclude ? context : document, options)", [context, options]
    )
    return [
        f"{each['id']} {node['target']} {node['html'][:160]}: {node['failureSummary']}"
        for each in ran["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
        if f"{each['id']} {' '.join(map(str, node['target']))}" not in EXCEPTIONS
    ]

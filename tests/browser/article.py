"""The article's section 3 as steps in a browser: one function a sentence or two, with the article's own words.

Each takes a Playwright page that is signed in. They work against any instance: with the fake MID Server of this
folder, or with a real one (tests/e2e).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Error, Locator, Page, Response, expect

ENDED = ("Completed", "Error", "Cancelled")
expect.set_options(timeout=30_000)  # as long as Playwright waits for a page: a busy machine is no finding


def field(page: Page, label: str) -> Locator:
    """The field that is labelled so, with or without the asterisk of a required one, where it shows."""
    return page.get_by_label(re.compile(rf"^\s*{re.escape(label)}\s*\*?\s*$")).locator("visible=true")


def sign_in(page: Page, url: str, user: str, password: str) -> None:
    page.goto(url)
    field(page, "Username").fill(user)
    field(page, "Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#nav-sidebar")).to_be_visible()


def visit(page: Page, url: str, **options: Any) -> Response:
    """Open a page. Chromium breaks off what it loads when a network interface comes or goes on the machine, and tests
    beside these make network namespaces: then it is asked again."""
    for _ in range(5):
        try:
            answer = page.goto(url, **options)
        except Error as error:
            if "ERR_NETWORK_CHANGED" not in str(error):
                raise
        else:
            assert answer
            return answer
    raise AssertionError(f"the network changed at every try of {url}")


@contextlib.contextmanager
def closing(window: Page) -> Iterator[None]:
    """What is clicked in the block closes the window, perhaps before the click is reported."""
    with window.expect_event("close"):
        try:
            yield
        except Error as error:
            if "has been closed" not in str(error):
                raise


def navigate(page: Page, group: str, item: str) -> None:
    """Navigate to All > group > item."""
    menu = page.locator("#nav-sidebar-apps")
    expect(menu.get_by_role("heading", name=group, exact=True)).to_be_visible()
    menu.get_by_role("link", name=item, exact=False).first.click()


def create_alias(page: Page, name: str) -> None:
    """Navigate to All > IntegrationHub > Connection & Credential Alias and select New. Enter a name, confirm that
    Connection type is set to HTTP, select Save."""
    navigate(page, "IntegrationHub", "Connection & Credential Alias")
    page.get_by_role("link", name="New", exact=True).click()
    field(page, "Name").fill(name)
    assert field(page, "Connection type").locator("option:checked").inner_text() == "HTTP"
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_contain_text(name)


def new_connection(page: Page, name: str) -> None:
    """In the Connections tab, select New. On the HTTP(s) Connection form, enter a Name. Select URL builder, Mutual
    authentication, and Use MID server."""
    page.locator("#tabs-items").get_by_role("link", name="Connections").click()
    page.get_by_role("link", name="New", exact=True).click()
    field(page, "Name").fill(name)
    for label in ("URL builder", "Mutual authentication", "Use MID server"):
        field(page, label).check()


def create_profile(page: Page, protocol: str, keystore_path: str, password: str, mid_server: str) -> None:
    """In the MID protocol profile field, use the magnifying glass icon to open the MID Protocol Profiles form and
    select New. Fill in the fields, select Submit."""
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Look up using list").click()
    form = opened.value
    form.get_by_role("link", name="New", exact=True).click()
    field(form, "Protocol").fill(protocol)
    field(form, "Keystore path").fill(keystore_path)
    field(form, "Password").fill(password)
    field(form, "Applies to").select_option("Specific MID Servers")
    field(form, mid_server).check()
    expect(field(form, "Default Port")).to_have_value("443")
    expect(field(form, "External Credential Store")).not_to_be_checked()
    with closing(form):
        form.get_by_role("button", name="Submit", exact=True).click()
    expect(field(page, "MID protocol profile")).to_have_value(protocol)


def save_connection(page: Page, host: str, port: int | None = None, ca_certificates: str = "") -> str:
    """Enter the target host in the Host field and Save the Connection form: the Connection URL, which is filled in."""
    field(page, "Host").fill(host)
    if port is not None:
        field(page, "Port override").fill(str(port))
    field(page, "CA certificates").fill(ca_certificates)
    page.get_by_role("button", name="Save", exact=True).click()
    url = field(page, "Connection URL")
    expect(url).not_to_have_value("")
    return url.input_value()


def build_action(page: Page, name: str) -> None:
    """Navigate to All > Process Automation > Workflow Studio. Select New > Action. Give the action a name in the
    Action name field and select Build action."""
    navigate(page, "Process Automation", "Workflow Studio")
    page.locator("#header-inner").get_by_role("button", name="New", exact=True).click()
    page.get_by_role("link", name="Action", exact=True).click()
    field(page, "Action name").fill(name)
    page.get_by_role("button", name="Build action").click()


def add_rest_step(page: Page, alias: str, resource_path: str = "") -> str:
    """In the Action Outline section, select REST. In the Connection field, select Use Connection Alias and in the
    Connection Alias field, select the alias. Returns the Base URL, which is filled in. Save."""
    page.get_by_role("navigation", name="Action Outline").get_by_role("link", name="REST").last.click()
    field(page, "Connection").select_option("Use Connection Alias")
    field(page, "Connection Alias").select_option(alias)
    expect(field(page, "Base URL")).not_to_have_value("")
    base_url = field(page, "Base URL").input_value()
    field(page, "Resource path").fill(resource_path)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    return base_url


def run_test(page: Page, timeout_s: float = 60) -> str:
    """Select Test. In the pop-up window, select Run Test: the EXECUTION DETAILS page displays. Returns the state in
    which the execution ends."""
    page.locator("#header-inner").get_by_role("link", name="Test", exact=True).click()
    page.locator("#dialog").get_by_role("button", name="Run Test").click()
    expect(page.get_by_role("heading", name="EXECUTION DETAILS", exact=True)).to_be_visible()
    expect(page.locator("#execution[data-live]")).to_have_count(0, timeout=timeout_s * 1000)
    state = page.get_by_role("region", name="ACTION", exact=True).locator("h2").inner_text()
    return next(ended for ended in ENDED if ended.upper() in state.upper())


def status_code(page: Page) -> int:
    """In the ACTION section, expand the steps section. Scroll down to the Step Output Data section to view the
    Status Code."""
    for part in ("#steps", "#step-0"):
        if page.locator(part).get_attribute("open") is None:
            page.locator(f"{part} > summary").click()
    output = page.get_by_role("region", name="Step Output Data")
    output.scroll_into_view_if_needed()
    expect(output).to_contain_text("Status Code")
    return int(output.locator("[data-status-code]").inner_text())


def body(page: Page) -> Locator:
    """The body of the first step's answer: its sandboxed frame has a document of its own."""
    output = page.get_by_role("region", name="Step Output Data").first
    return output.frame_locator("iframe").locator("body")

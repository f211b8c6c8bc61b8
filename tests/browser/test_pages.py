"""What only a browser can show: fields that appear, pages that follow, foreign bytes that stay text, widths."""

from __future__ import annotations

import re
import threading
import time

import msgspec
import pytest
from playwright.sync_api import Page, expect

from openmid.wire.probes import Failure, ProbeResult, RestProbe
from tests.browser import article
from tests.browser.conftest import Standing, seen_by_the_partner
from tests.browser.fake_mid import FakeMid

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
EVIL = "</pre><script>window.evil=1</script><img src=x onerror='window.evil=1'><div x-data x-init='window.evil=1'>"
CLICK_TWICE = """() => {
    const stopped = [];
    document.addEventListener("submit", (event) => stopped.push(event.defaultPrevented));
    for (const _ of [1, 2]) document.querySelector("[form=run-again]").click();
    return stopped;
}"""
CONVERT = "agent/jre/bin/keytool -importkeystore -v -srckeystore /etc/c.p12"


@pytest.fixture
def caller(page: Page, instance: Standing, mid: FakeMid, request: pytest.FixtureRequest) -> str:
    """An action on an https connection through the MID Server; its editor is open. Its name."""
    name = request.node.name[:60]
    api = instance.api()
    found = api.find("ecc_agent", name=mid.name)
    assert found
    alias = api.create("sys_alias", name=name)["sys_id"]
    through = {"mid_selection": "specific_mid_server", "mid_server": found["sys_id"]}
    api.create("http_connection", name=name, connection_alias=alias, host="partner.example", **through)
    step = {"type": "REST", "name": "REST", "connection_alias": alias, "resource_path": "/x"}
    made = api.call("POST", "/api/v1/actions", {"name": name, "steps": [step]})["result"]
    page.goto(f"{instance.url}/actions/action/{made['sys_id']}/change/")
    return name


def test_fields_appear_as_they_apply(page: Page, instance: Standing) -> None:
    page.goto(f"{instance.url}/connections/httpconnection/add/")
    profile = page.get_by_label("MID protocol profile")
    url = article.field(page, "Connection URL")
    expect(profile).to_be_hidden()
    article.field(page, "Mutual authentication").check()
    expect(profile).to_be_visible()
    expect(page.get_by_label("MID Server", exact=True)).to_be_hidden()
    article.field(page, "MID selection").select_option("Specific MID Server")
    expect(page.get_by_label("MID Server", exact=True)).to_be_visible()
    expect(url).not_to_be_editable()
    article.field(page, "URL builder").uncheck()
    expect(page.get_by_label("Host", exact=True)).to_be_hidden()
    expect(url).to_be_editable()


def test_the_connection_url_is_live_while_typing(page: Page, instance: Standing) -> None:
    name = f"live{time.time_ns() % 10**9}"
    profile = {"protocol": name, "keystore_path": "/c.bcfks", "default_port": "8443"}
    alias = instance.api().create("sys_alias", name=name)["sys_id"]
    instance.api().create("mid_protocol_profile", **profile)
    page.goto(f"{instance.url}/connections/httpconnection/add/?connection_alias={alias}")
    url = article.field(page, "Connection URL")
    article.field(page, "Host").press_sequentially("partner.ex")
    expect(url).to_have_value("https://partner.ex")
    article.field(page, "Port override").fill("443")
    article.field(page, "Base path").fill("/v1/")
    expect(url).to_have_value("https://partner.ex/v1")
    article.field(page, "Mutual authentication").check()
    expect(url).to_have_value("")  # no profile yet, so there is no scheme
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Look up using list").click()
    with article.closing(opened.value):
        opened.value.get_by_role("link", name=name, exact=True).click()
    expect(url).to_have_value(f"{name}://partner.ex:443/v1")
    article.field(page, "Port override").fill("8443")  # the profile's own
    expect(url).to_have_value(f"{name}://partner.ex/v1")
    article.field(page, "Host").fill("::1")
    shown = url.input_value()
    assert shown == f"{name}://[::1]/v1"
    article.field(page, "Name").fill(name)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    expect(url).to_have_value(shown)  # what was shown is what is saved


def test_execution_details_follow_while_it_runs(page: Page, instance: Standing, mid: FakeMid, caller: str) -> None:
    go = threading.Event()

    def answer(probe: RestProbe) -> ProbeResult:
        go.wait(30)
        return seen_by_the_partner(probe)

    mid.answer = answer
    page.locator("#header-inner").get_by_role("link", name="Test", exact=True).click()
    page.locator("#dialog").get_by_role("button", name="Run Test").dblclick()
    expect(page.locator("#execution[data-live]")).to_contain_text("In Progress")
    page.locator("#configuration-0 > summary").click()
    go.set()
    expect(page.locator("[data-status-code]")).to_have_text("200")
    expect(page.locator("#execution[data-live]")).to_have_count(0)
    expect(page.locator("#configuration-0")).to_have_attribute("open", "")
    ran = page.url
    page.goto(f"{instance.url}/actions/execution/?q={caller}")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)  # however often Run Test was clicked
    page.goto(ran)
    assert page.evaluate(CLICK_TWICE) == [False, True]


def test_a_pop_up_without_an_answer_says_so_and_leads_to_the_sign_in(page: Page, caller: str) -> None:
    test = page.locator("#header-inner").get_by_role("link", name="Test", exact=True)
    run = page.locator("#dialog").get_by_role("button", name="Run Test")
    test.click()
    page.route("**/test/", lambda route: route.abort())
    run.click()
    expect(page.locator("#dialog").get_by_role("alert")).to_contain_text("gave no answer")
    page.unroute_all()
    page.context.clear_cookies(name="openmid_session")
    run.click()
    expect(article.field(page, "Username")).to_be_visible()


def test_a_foreign_answer_never_scripts_the_page(page: Page, mid: FakeMid, caller: str) -> None:
    mid.answer = lambda probe: msgspec.structs.replace(
        seen_by_the_partner(probe), status_code=500, body=EVIL, headers=[("X-Evil", EVIL), (EVIL, "x")]
    )
    assert article.run_test(page) == "Error"
    assert article.status_code(page) == 500
    for _ in range(2):
        expect(article.body(page)).to_contain_text("</pre><script>")
        page.locator("#headers-0 > summary").click()
        expect(page.locator("#headers-0")).to_contain_text(EVIL)
        assert page.evaluate("window.evil") is None
        page.reload()


def test_execution_details_have_the_theme_the_menu_and_copy_without_alpine(
    page: Page, mid: FakeMid, caller: str
) -> None:
    article.run_test(page)
    frame = article.body(page)
    expect(frame).to_contain_text('"issuer": "CN=Example CA"')
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copy")).to_contain_text("check")
    assert '"issuer": "CN=Example CA"' in page.evaluate("navigator.clipboard.readText()")
    page.locator(".om-user > summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html.dark")).to_have_count(1)
    page.get_by_role("link", name="Open action").click()
    expect(page.locator("html.dark")).to_have_count(1)  # unfold's pages follow, and the other way round
    page.go_back()
    expect(page.locator("html.dark")).to_have_count(1)
    page.get_by_role("button", name="Menu").click()
    expect(page.locator("#nav-sidebar")).to_be_hidden()
    page.set_viewport_size({"width": 400, "height": 800})
    page.get_by_role("button", name="Menu").click()
    expect(page.locator("#nav-sidebar")).to_be_visible()
    page.locator(".om-user > summary").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def test_an_error_says_what_to_do_with_a_command_to_copy(page: Page, mid: FakeMid, caller: str) -> None:
    failure = Failure("keystore_not_bcfks", "the keystore /etc/c.p12 is PKCS12", f"convert it: {CONVERT}")
    mid.answer = lambda probe: ProbeResult(started=1, failure=failure)
    assert article.run_test(page) == "Error"
    output = page.get_by_role("region", name="Step Output Data")
    expect(output).to_contain_text("The keystore /etc/c.p12 is PKCS12")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    output.get_by_role("button", name="Copy").click()
    expect(output.get_by_role("button", name="Copy")).to_contain_text("check")
    assert page.evaluate("navigator.clipboard.readText()") == CONVERT


def test_rows_are_added_and_removed(page: Page, caller: str) -> None:
    headers = page.locator("[data-pairs]", has=page.locator("[name=headers-name]"))
    for name in ("Accept", "Accept"):
        headers.get_by_role("button", name="Add row").click()
        headers.get_by_label("Name").last.fill(name)
        headers.get_by_label("Value").last.fill("a/b")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    headers = page.locator("[data-pairs]", has=page.locator("[name=headers-name]"))
    expect(headers.locator("[data-pair]")).to_have_count(3)
    headers.get_by_role("button", name="Remove this row").first.click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[data-pairs]", has=page.locator("[name=headers-name]")).locator("[data-pair]")).to_have_count(
        2
    )


def test_nothing_overflows(page: Page, instance: Standing, mid: FakeMid, caller: str) -> None:
    """However long what partners and MID Servers send is; tests/browser/test_looks.py has every page."""
    long = "CN=" + "a" * 300
    mid.answer = lambda probe: msgspec.structs.replace(
        seen_by_the_partner(probe), body="b" * 2_000, headers=[("h" * 200, "v" * 500)]
    )
    mid.host_name = long[:200]
    mid.beat()
    article.run_test(page)
    record = instance.api().find("ecc_agent", name=mid.name) or {}
    for url in (page.url, f"{instance.url}/mid/midserver/", f"{instance.url}/mid/midserver/{record['sys_id']}/change/"):
        page.goto(url)
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (url, width)


def test_the_all_menu_filters(page: Page, instance: Standing) -> None:
    page.goto(instance.url)
    filter_box = page.get_by_label("All", exact=True)
    menu = page.locator("#nav-sidebar-apps")
    filter_box.fill("profil")
    expect(menu.get_by_role("link")).to_have_count(1)
    filter_box.fill("process")  # a group's name shows all that it has
    expect(menu.get_by_role("link")).to_have_text(
        [re.compile("Studio"), re.compile("Executions"), re.compile("Attach")]
    )
    filter_box.press("ArrowDown")
    expect(menu.get_by_role("link").first).to_be_focused()
    filter_box.fill("execut")
    filter_box.press("Enter")
    page.wait_for_url("**/actions/execution/")

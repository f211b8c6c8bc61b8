"""Screenshots of the pages, from a real walk: `python -m tests.browser.screenshots docs/img`.

A real MID Server in FIPS Enforced Mode calls nginx and a SOAP server over mutual TLS, and is refused a PKCS12
keystore; then Chromium shows each page. It takes about two minutes.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from openmid.demo import partner, processes, walk
from openmid.demo.stage import Stage
from openmid.demo.walk import Walk
from tests import parts
from tests.browser import article
from tests.browser.conftest import FLAGS
from tests.browser.furnished import Furnished, Place, find_the_rest, furnish
from tests.e2e import soap_partner

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@dataclass(frozen=True)
class Shot:
    """One picture. `opens` is what is clicked first."""

    name: str
    path: str
    dark: bool = False
    narrow: bool = False
    opens: str = ""
    scrolls_to: str = ""


SHOTS = (
    Shot("home", "/"),
    Shot("home-dark", "/", dark=True),
    Shot("home-narrow", "/", narrow=True),
    Shot("alias", "/connections/connectionalias/{alias}/change/#dataset-httpconnection"),
    Shot("connection", "/connections/httpconnection/{connection}/change/"),
    Shot("profile", "/connections/midprotocolprofile/{profile}/change/"),
    Shot("credentials", "/connections/credential/"),
    Shot("mid-servers", "/mid/midserver/"),
    Shot("mid-server", "/mid/midserver/{mid}/change/"),
    Shot("clusters", "/mid/midcluster/{cluster}/change/"),
    Shot("issues", "/mid/midissue/"),
    Shot("studio", "/actions/action/"),
    Shot("studio-inputs", "/actions/action/{action}/change/?step=inputs"),
    Shot("studio-rest-step", "/actions/action/{action}/change/"),
    Shot("studio-soap-step", "/actions/action/{action}/change/?step=new-soap"),
    Shot("studio-narrow", "/actions/action/{action}/change/", narrow=True),
    Shot("studio-test", "/actions/action/{action}/change/", opens="Test"),
    Shot("studio-versions", "/actions/action/{action}/all_versions/"),
    Shot("executions", "/actions/execution/"),
    Shot("execution-details", "/actions/execution/{execution}/change/", scrolls_to="#step-0"),
    Shot("execution-dark", "/actions/execution/{placed}/change/", dark=True),
    Shot("execution-error", "/actions/execution/{failed}/change/"),
    Shot("execution-soap-fault", "/actions/execution/{fault}/change/"),
    Shot("execution-narrow", "/actions/execution/{execution}/change/", narrow=True),
    Shot("attachments", "/attachments/attachment/"),
    Shot("users", "/auth/user/"),
    Shot("user", "/auth/user/{user}/change/"),
    Shot("tokens", "/access/apitoken/"),
    Shot("audit", "/audit/audit/"),
    Shot("two-factor", "/second-factor/"),
)


def main(folder: Path, wanted: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with walked() as this, sync_playwright() as playwright:
        found = furnish(place(this), Furnished())
        browser = playwright.chromium.launch(executable_path=parts.chromium(), args=FLAGS)
        session = signed_in(browser, this, found, folder)
        for dark, narrow in sorted({(shot.dark, shot.narrow) for shot in SHOTS}):
            page = opened(browser, this, session, dark=dark, narrow=narrow)
            for shot in SHOTS:
                if (shot.dark, shot.narrow) == (dark, narrow) and wanted in shot.name:
                    take(page, shot, shot.path.format_map(found.records), folder)
        browser.close()


@contextlib.contextmanager
def walked() -> Iterator[Walk]:
    """The demo's walk up to its records, with a SOAP server beside nginx; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="openmid-shots-") as folder, contextlib.ExitStack() as stack:
        this = Walk(Path(folder), Stage(to_stderr=True, without_fips=False), fips=True, stack=stack)
        for step in (walk.find_provider, walk.start_instance, walk.install_mid, walk.enforce_fips):
            step(this)
        for step in (walk.convert_keystore, walk.start_partner, walk.make_records):
            step(this)
        yield this


def place(this: Walk) -> Place:
    """What `furnish` needs: nginx, a SOAP server that the MID Server may call, a profile whose keystore is PKCS12."""
    assert this.certificates
    mid = walk.wait_for(this, "is Up", lambda found: found["status"] == "Up")
    rest = walk._connection(this, "", {"sys_id": ""}) | walk._mutual(this, mid)
    rest = {name: value for name, value in rest.items() if name not in ("name", "connection_alias")}
    columns = {"keystore_path": str(this.certificates.client_p12), "password": this.certificates.password}
    legacy = walk.api(this).create("mid_protocol_profile", protocol="oldauth", **columns)
    soap = rest | {"port": str(started_soap(this))}
    refused = rest | {"mid_protocol_profile": legacy["sys_id"]}
    return Place(walk.api(this), _instance(this), mid, this.profile, rest, soap, refused)


def started_soap(this: Walk) -> int:
    """The port of a SOAP server that runs until the walk ends."""
    assert this.certificates
    port = partner.free_port()
    this.stack.callback(soap_partner.start(port, this.certificates).shutdown)
    walk.stop_mid(this)
    config = this.agent / "config.xml"
    allow = f'<allow host="127.0.0.1" port="{port}"/>'
    config.write_text(config.read_text().replace("</egress>", f"  {allow}\n  </egress>", 1))
    walk.start_mid(this)
    walk.wait_for(this, "is Up", lambda found: found["status"] == "Up")
    walk.keystore_type(this)
    return port


def _instance(this: Walk) -> Callable[..., str]:
    def openmid(*words: str) -> str:
        return processes.openmid("instance", *words, "--dir", str(this.instance)).strip()

    return openmid


def signed_in(browser: Browser, this: Walk, found: Furnished, folder: Path) -> StorageState:
    """An administrator's session; on the way, the sign-in page, and the records that only pages name."""
    page = browser.new_context(ignore_https_errors=True, viewport=WIDE).new_page()
    article.visit(page, this.url)
    picture(page, folder / "sign-in.png")
    article.sign_in(page, this.url, walk.ADMIN, this.admin_password)
    find_the_rest(page, this.url, found)
    return page.context.storage_state()


def opened(browser: Browser, this: Walk, session: StorageState, *, dark: bool, narrow: bool) -> Page:
    """An administrator's page of this look."""
    return browser.new_context(
        ignore_https_errors=True,
        base_url=this.url,
        storage_state=session,
        viewport=NARROW if narrow else WIDE,
        color_scheme="dark" if dark else "light",
    ).new_page()


def take(page: Page, shot: Shot, path: str, folder: Path) -> None:
    article.visit(page, path)
    if shot.opens:
        page.locator("#header-inner").get_by_role("link", name=shot.opens, exact=True).click()
        page.locator("#dialog").get_by_role("button", name="Run Test").wait_for()
    if shot.scrolls_to:
        page.locator(shot.scrolls_to).scroll_into_view_if_needed()
    picture(page, folder / f"{shot.name}.png")


def picture(page: Page, path: Path) -> None:
    """The page once its fonts are there; nothing moves, no caret blinks."""
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    page.screenshot(path=str(path), animations="disabled", caret="hide")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

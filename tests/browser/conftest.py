"""A real instance in a process of its own, a fake MID Server, Debian's Chromium."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, ViewportSize, sync_playwright

from openmid.wire.probes import ProbeResult, RestProbe, Timing, TlsFacts
from tests import parts
from tests.browser import article
from tests.browser.fake_mid import SUBJECT, FakeMid
from tests.browser.furnished import Furnished, Place, find_the_rest, furnish
from tests.browser.standing import Standing as Standing
from tests.browser.standing import faked, running

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
]


SIZE = ViewportSize(width=1280, height=900)


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with running(tmp_path_factory.mktemp("browser") / "instance") as found:
        yield found


@pytest.fixture(scope="session")
def works(instance: Standing) -> Iterator[tuple[FakeMid, Place]]:
    """A fake MID Server that works, validated, and what `furnish` needs."""
    with faked(instance) as found:
        yield found


@pytest.fixture(scope="session")
def furnished(instance: Standing, works: tuple[FakeMid, Place]) -> tuple[Standing, Furnished]:
    """The instance, with records of every kind."""
    return instance, furnish(works[1], Furnished())


# No longer than the package: while Playwright runs, this thread has an event loop, which Django refuses.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    executable = parts.chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def signed_in(chromium: Browser, furnished: tuple[Standing, Furnished]) -> Iterator[Page]:
    """An administrator's page of the furnished instance, for all tests."""
    instance, _ = furnished
    context = chromium.new_context(ignore_https_errors=True, base_url=instance.url, viewport=SIZE)
    page = context.new_page()
    article.sign_in(page, instance.url, "admin", instance.password)
    yield page
    context.close()


@pytest.fixture(scope="package")
def known(signed_in: Page, furnished: tuple[Standing, Furnished]) -> Furnished:
    """The furnished instance's records, those too that only its pages name."""
    instance, found = furnished
    find_the_rest(signed_in, instance.url, found)
    return found


@pytest.fixture(scope="package")
def session(chromium: Browser, instance: Standing) -> StorageState:
    """An administrator's session, signed in once: whoever logs out brings a session of their own."""
    context = chromium.new_context(ignore_https_errors=True, viewport=SIZE)
    article.sign_in(context.new_page(), instance.url, "admin", instance.password)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(chromium: Browser, session: StorageState) -> Iterator[Page]:
    """A signed-in administrator's page; a script error in it fails the test, and so does what the CSP refuses."""
    context = chromium.new_context(ignore_https_errors=True, viewport=SIZE, storage_state=session)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        lambda said: (
            errors.append(f"{opened.url} {said.location}: {said.text}")
            if "Content Security Policy" in said.text
            else None
        ),
    )
    yield opened
    context.close()
    assert errors == []


@pytest.fixture
def mid(works: tuple[FakeMid, Place]) -> Iterator[FakeMid]:
    """The MID Server that works, behind it one partner; what a test makes of it ends with the test."""
    fake, _ = works
    before = fake.answer, fake.host_name
    fake.answer = seen_by_the_partner
    yield fake
    fake.answer, fake.host_name = before


@pytest.fixture
def newcomer(instance: Standing) -> Iterator[FakeMid]:
    """A MID Server that has enrolled; nobody has validated it."""
    fake = FakeMid(instance.url, instance.ca, "mid-newcomer", seen_by_the_partner)
    fake.enrol(instance.openmid("mid", "token", fake.name))
    fake.start()
    yield fake
    fake.stop()


def seen_by_the_partner(probe: RestProbe) -> ProbeResult:
    """A partner's answer over mutual TLS."""
    body = {"subject": SUBJECT, "issuer": "CN=Example CA", "serial": "1F0C5A77", "protocol": "TLSv1.3"}
    return ProbeResult(
        started=time.time_ns() // 1000,
        status_code=200,
        headers=[("Server", "nginx/1.22.1"), ("Content-Type", "application/json"), ("Set-Cookie", "a=1")],
        body=json.dumps(body),
        tls=TlsFacts(
            "TLSv1.3",
            "TLS_AES_256_GCM_SHA384",
            "CN=partner.example",
            "CN=Example CA",
            "2027-02-01T00:00:00Z",
            SUBJECT,
            "1F0C5A77",
            "127.0.0.1:8443",
        ),
        timing=Timing(812, 3_204, 5_120, 6_377),
        fips_enforced=True,
    )

"""A real instance in a process of its own, a fake MID Server, Debian's Chromium."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from openmid.wire.probes import ProbeResult, RestProbe, Timing, TlsFacts
from tests import parts
from tests.browser import article
from tests.browser.fake_mid import SUBJECT, FakeMid
from tests.browser.furnished import Furnished, find_the_rest, furnish
from tests.browser.standing import Standing as Standing
from tests.browser.standing import faked, running

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
]


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with running(tmp_path_factory.mktemp("browser") / "instance") as found:
        yield found


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Standing, Furnished]]:
    """An instance of its own that has records of every kind."""
    with running(tmp_path_factory.mktemp("furnished") / "instance") as found, faked(found) as place:
        yield found, furnish(place, Furnished())


@pytest.fixture(scope="module")  # no longer: while Playwright runs, this thread has an event loop, which Django refuses
def chromium() -> Iterator[Browser]:
    executable = parts.chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, furnished: tuple[Standing, Furnished]) -> Iterator[Page]:
    """An administrator's page of the furnished instance, for a whole module."""
    instance, _ = furnished
    size = {"width": 1280, "height": 900}
    context = chromium.new_context(ignore_https_errors=True, base_url=instance.url, viewport=size)
    page = context.new_page()
    article.sign_in(page, instance.url, "admin", instance.password)
    yield page
    context.close()


@pytest.fixture(scope="module")
def known(signed_in: Page, furnished: tuple[Standing, Furnished]) -> Furnished:
    """The furnished instance's records, those too that only its pages name."""
    instance, found = furnished
    find_the_rest(signed_in, instance.url, found)
    return found


@pytest.fixture
def page(chromium: Browser, instance: Standing) -> Iterator[Page]:
    """A signed-in administrator's page; a script error in it fails the test, and so does what the CSP refuses."""
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
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
    article.sign_in(opened, instance.url, "admin", instance.password)
    yield opened
    context.close()
    assert errors == []


@pytest.fixture
def mid(instance: Standing, request: pytest.FixtureRequest) -> Iterator[FakeMid]:
    """A fake MID Server with a name of its own, enrolled, not validated."""
    name = "mid-" + "-".join(re.findall("[a-z0-9]+", request.node.name))[:60]
    fake = FakeMid(instance.url, instance.ca, name, seen_by_the_partner)
    fake.enrol(instance.openmid("mid", "token", name))
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

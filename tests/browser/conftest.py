"""A real instance in a process of its own, a fake MID Server, Debian's Chromium."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from openmid.demo.instance_api import InstanceApi
from openmid.wire.probes import ProbeResult, RestProbe, Timing, TlsFacts
from tests import parts
from tests.browser import article
from tests.browser.fake_mid import SUBJECT, FakeMid

OPENMID = [sys.executable, "-m", "openmid"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
]


@dataclass
class Standing:
    """An instance that runs."""

    folder: Path
    url: str
    password: str

    @property
    def ca(self) -> Path:
        return self.folder / "tls" / "ca.pem"

    def api(self) -> InstanceApi:
        """Its API, with a token of the administrator."""
        token = self.openmid("token", "create", f"test-{time.time_ns()}", "--user", "admin")
        return InstanceApi(self.url, self.ca, token)

    def openmid(self, *words: str) -> str:
        """What `openmid instance … --dir FOLDER` prints."""
        command = [*OPENMID, "instance", *words, "--dir", str(self.folder)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    folder = tmp_path_factory.mktemp("browser") / "instance"
    init = [*OPENMID, "instance", "init", str(folder), "--port", str(free_port()), "--json"]
    made = json.loads(subprocess.run(init, check=True, capture_output=True, text=True).stdout)
    with (folder.parent / "instance.log").open("wb") as log:
        process = subprocess.Popen([*OPENMID, "instance", "run", str(folder)], stdout=log, stderr=log)
    try:
        _wait(made["url"], Path(made["ca"]), process)
        yield Standing(folder, made["url"], made["password"])
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(url: str, ca: Path, process: subprocess.Popen[bytes]) -> None:
    context = ssl.create_default_context(cafile=str(ca))
    for _ in range(300):
        assert process.poll() is None, "the instance ended at once"
        try:
            urllib.request.urlopen(f"{url}/health", context=context, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the instance did not come up within 30 s")


@pytest.fixture(scope="module")  # no longer: while Playwright runs, this thread has an event loop, which Django refuses
def chromium() -> Iterator[Browser]:
    executable = parts.chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


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

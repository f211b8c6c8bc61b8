"""An instance that runs in a process of its own, and a fake MID Server beside it."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from openmid.demo.instance_api import InstanceApi
from openmid.demo.partner import free_port
from tests.browser.fake_mid import FakeMid
from tests.browser.furnished import CONVERT, Place, answer

OPENMID = [sys.executable, "-m", "openmid"]


@dataclass
class Standing:
    """An instance that runs."""

    folder: Path
    url: str
    password: str

    @property
    def ca(self) -> Path:
        return self.folder / "tls" / "ca.pem"

    @cached_property
    def token(self) -> str:
        """One of the administrator's, for all tests: making one starts a process."""
        return self.openmid("token", "create", "tests", "--user", "admin")

    def api(self) -> InstanceApi:
        """Its API, as the administrator."""
        return InstanceApi(self.url, self.ca, self.token)

    def openmid(self, *words: str) -> str:
        """What `openmid instance … --dir FOLDER` prints."""
        command = [*OPENMID, "instance", *words, "--dir", str(self.folder)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Standing]:
    """A new instance in `folder`, serving until the end."""
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


@contextlib.contextmanager
def faked(instance: Standing, name: str = "mid-dmz-1") -> Iterator[tuple[FakeMid, Place]]:
    """A fake MID Server that plays the partners too, and what `furnish` needs; one of its profiles does not load."""
    fake = FakeMid(instance.url, instance.ca, name, answer)
    fake.enrol(instance.openmid("mid", "token", name))
    instance.openmid("mid", "validate", name, "--fingerprint", fake.fingerprint)
    fake.refuses["oldauth"] = ("keystore_not_bcfks", "the keystore /etc/openmid/legacy.p12 is PKCS12", CONVERT)
    fake.start()
    try:
        yield fake, _place(instance, fake)
    finally:
        fake.stop()


def _place(instance: Standing, fake: FakeMid) -> Place:
    api = instance.api()
    mid = api.find("ecc_agent", name=fake.name)
    assert mid
    on = {"applies_to": "specific", "mid_list": mid["sys_id"], "password": "Password123"}
    profile = api.create(
        "mid_protocol_profile", protocol="partnerauth", keystore_path="/etc/openmid/mymtlsclientcert.bcfks", **on
    )
    old = api.create("mid_protocol_profile", protocol="oldauth", keystore_path="/etc/openmid/legacy.p12", **on)
    fake.configure()
    through = {"mutual_auth": "true", "mid_selection": "specific_mid_server", "mid_server": mid["sys_id"]}
    rest = through | {"mid_protocol_profile": profile["sys_id"], "host": "orders.partner.example"}
    soap = rest | {"host": "customs.example", "port": "8443"}
    legacy = rest | {"mid_protocol_profile": old["sys_id"], "host": "archive.example"}
    return Place(api, instance.openmid, mid, profile, rest, soap, legacy)

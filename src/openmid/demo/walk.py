"""The steps of the walk, in the article's order."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openmid.demo import certificates, partner, processes
from openmid.demo.certificates import Certificates
from openmid.demo.instance_api import InstanceApi, Json
from openmid.demo.stage import DemoError, Stage
from openmid.fips.keys import random_bytes

MID_NAME = "mid-demo"
ADMIN = "admin"


@dataclass
class Walk:
    """What the walk has come to. Everything that it started ends with `stack`."""

    folder: Path
    stage: Stage
    fips: bool
    stack: contextlib.ExitStack
    database: str = ""
    """PostgreSQL's URL; empty: SQLite."""
    url: str = ""
    admin_password: str = ""
    partner_port: int = 0
    certificates: Certificates | None = None
    api: InstanceApi | None = None
    bcfks: Path = Path()
    profile: Json = field(default_factory=dict)
    mid: Json = field(default_factory=dict)

    @property
    def instance(self) -> Path:
        """The instance's folder."""
        return self.folder / "instance"

    @property
    def agent(self) -> Path:
        """The MID Server's agent folder."""
        return self.folder / "mid" / "agent"


def find_provider(walk: Walk) -> None:
    """Step 1: a provider is at hand, or is built."""
    from openmid.fips.provider import ProviderNotFound, find_provider

    try:
        provider = find_provider()
    except ProviderNotFound:
        build_provider(walk)
        provider = find_provider()
    walk.stage.say(f"{provider.name} {provider.version}")
    walk.stage.say(str(provider.path))


def build_provider(walk: Walk) -> None:
    """The provider from the distribution's source package, with the builder's own progress passed on.

    Raises:
        DemoError: it cannot be built here; the builder's last sentence says why, and names the package to install.
    """
    walk.stage.say("none on this machine: building it from the distribution's source package, once")
    walk.stage.command("scripts/build-fips-provider")
    command = [sys.executable, "-m", "openmid.fips.build"]
    said = ""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for row in process.stderr:
            said = row.rstrip()
            walk.stage.say(said)
    if process.returncode:
        raise DemoError(
            f"no FIPS provider was found, and none could be built: {said}",
            "a walk that claims nothing about FIPS is there for the asking: make demo DEMO=--without-fips",
        )


def start_instance(walk: Walk) -> None:
    """Step 2: an instance on SQLite with an administrator and HTTPS under its own CA."""
    port = partner.free_port()
    walk.url = f"https://localhost:{port}"
    words = ["instance", "init", str(walk.instance), "--port", str(port), "--public-name", "localhost", "--json"]
    words += ["--database", walk.database] if walk.database else []
    walk.admin_password = _json(processes.openmid(*words))["password"]
    ca = walk.instance / "tls" / "ca.pem"
    command = [*processes.OPENMID, "instance", "run", str(walk.instance)]
    process = processes.start(command, walk.folder / "instance.log", lambda: _answers(walk.url, ca))
    walk.stack.callback(processes.stop, process)
    token = processes.openmid("instance", "token", "create", "demo", "--dir", str(walk.instance), "--user", ADMIN)
    walk.api = InstanceApi(walk.url, ca, token)
    walk.stage.say(f"{walk.url}, SQLite in {walk.instance}")
    walk.stage.say(f"its own CA: {ca}")


def install_mid(walk: Walk) -> None:
    """Step 3: the MID Server is laid out, started, enrolled, and validated by its fingerprint."""
    token = walk.folder / "enrolment.token"
    processes.openmid("instance", "mid", "token", MID_NAME, "--dir", str(walk.instance), "--output", str(token))
    ca = walk.instance / "tls" / "ca.pem"
    install = ["mid", "install", str(walk.agent.parent), "--url", walk.url, "--name", MID_NAME]
    install += ["--ca", str(ca), "--token", str(token)]
    walk.stage.command(shlex.join(["openmid", *install]))
    processes.openmid(*install)
    start_mid(walk)
    waiting = wait_for(walk, "is enrolled", lambda mid: bool(mid["public_key"]))
    own = _json(processes.run([str(walk.agent / "bin/mid.sh"), "status", "--json"], expect=0).stdout)
    walk.stage.say(f"enrolled with its one-time token; validated: {waiting['validated']} (no work, no secret yet)")
    walk.stage.say(f"fingerprint that the MID Server shows: {own['fingerprint']}")
    api(walk).call("POST", f"/api/v1/mid-servers/{MID_NAME}/validate", {"fingerprint": own["fingerprint"]})
    wait_for(walk, "is validated and Up", lambda mid: mid["validated"] == "true" and mid["status"] == "Up")
    walk.stage.say("the administrator confirmed it: validated, Up")


def start_mid(walk: Walk) -> None:
    """`mid.sh start`, ended with the walk."""
    script = walk.agent / "bin" / "mid.sh"
    walk.stage.command(f"{script} start")
    processes.run([str(script), "start"])
    walk.stack.callback(subprocess.run, [str(script), "stop"], stdin=subprocess.DEVNULL, capture_output=True)


def stop_mid(walk: Walk) -> None:
    """`mid.sh stop`."""
    script = walk.agent / "bin" / "mid.sh"
    walk.stage.command(f"{script} stop")
    processes.run([str(script), "stop"])


def enforce_fips(walk: Walk) -> None:
    """Step 4: the article's section 1."""
    stop_mid(walk)
    script = walk.agent / "bin" / "scripts" / "set-fips-enforced-mode.sh"
    walk.stage.command(f"{script} on")
    walk.stage.say(processes.run([str(script), "on"]).stdout.rstrip())
    start_mid(walk)
    wait_for(walk, "is enforced and Up", lambda mid: mid["fips_enforced"] == "true" and mid["status"] == "Up")
    log = (walk.agent / "logs" / "agent0.log").read_text()
    lines = [line for line in log.splitlines() if "Running in FIPS Enforced mode" in line]
    if not lines:
        raise DemoError("the MID Server's log does not say Running in FIPS Enforced mode", f"see {walk.agent}/logs")
    walk.stage.say(f"agent0.log: {lines[-1]}")


def convert_keystore(walk: Walk) -> None:
    """Step 5: the article's section 2."""
    made = walk.certificates = certificates.make(walk.folder / "certificates", random_bytes(18).hex())
    walk.stage.say(f"openssl made {made.client_p12.name}, subject {certificates.CLIENT_SUBJECT}")
    walk.bcfks = made.client_p12.with_suffix(".bcfks")
    words = conversion(made, walk.bcfks, walk.agent)
    walk.stage.command(f"cd {walk.agent}/jre/bin")
    walk.stage.command(shlex.join(words).replace(made.password, "********"))
    done = processes.run([str(walk.agent / "jre/bin/keytool"), *words[1:]], cwd=walk.agent / "jre" / "bin")
    walk.stage.say(done.stderr.rstrip())


def conversion(made: Certificates, bcfks: Path, agent: Path) -> list[str]:
    """The article's command line, every flag as printed there."""
    words = ["keytool", "-importkeystore", "-v", "-srckeystore", str(made.client_p12), "-srcstoretype", "PKCS12"]
    words += ["-srcstorepass", made.password, "-destkeystore", str(bcfks), "-deststoretype", "BCFKS"]
    words += ["-deststorepass", made.password]
    words += ["-provider", "org.bouncycastle.jcajce.provider.BouncyCastleFipsProvider"]
    return [*words, "-providerpath", str(agent / "lib" / "bc-fips.jar")]


def start_partner(walk: Walk) -> None:
    """Step 6: somebody to call. The MID Server's host allows that one address of loopback."""
    assert walk.certificates
    walk.partner_port = partner.free_port()
    process = partner.start(walk.folder / "partner", walk.partner_port, walk.certificates)
    walk.stack.callback(processes.stop, process)
    walk.stage.say(f"{partner.kind()} on https://localhost:{walk.partner_port}, client certificate required")
    stop_mid(walk)
    allow = f'<allow host="127.0.0.1" port="{walk.partner_port}"/>'
    config = walk.agent / "config.xml"
    config.write_text(config.read_text().replace("</egress>", f"  {allow}\n  </egress>", 1))
    walk.stage.say(f"loopback is denied by default; agent/config.xml now holds {allow}")
    start_mid(walk)


def make_records(walk: Walk) -> None:
    """Step 7: the article's section 3, through the API, with the validation of the forms."""
    assert walk.certificates
    mid = wait_for(walk, "is Up", lambda mid: mid["status"] == "Up")
    alias = api(walk).create("sys_alias", name="partner", connection_type="http_connection")
    walk.stage.say("Connection & Credential Alias  partner, type HTTP")
    walk.profile = api(walk).create(
        "mid_protocol_profile",
        protocol="mauth",
        keystore_path=str(walk.bcfks),
        password=walk.certificates.password,
        applies_to="specific",
        mid_list=mid["sys_id"],
        default_port="443",
    )
    walk.stage.say(f"MID Protocol Profile           mauth, {walk.bcfks.name}, applies to {MID_NAME}")
    connection = api(walk).create("http_connection", **_connection(walk, "Partner", alias), **_mutual(walk, mid))
    walk.stage.say(f"HTTP(s) Connection             Connection URL: {connection['connection_url']}")
    _action(walk, "Call partner", "partner")
    walk.stage.say("Action                         Call partner: one REST step, GET /")


def _connection(walk: Walk, name: str, alias: Json) -> dict[str, str]:
    """What every connection of the walk has: the partner's host, and the CA that the partner's certificate is under."""
    assert walk.certificates
    columns = {"name": name, "connection_alias": alias["sys_id"], "url_builder": "true", "use_mid": "true"}
    where = {"host": "localhost", "port": str(walk.partner_port), "ca_certificates": walk.certificates.ca.read_text()}
    return columns | where


def _mutual(walk: Walk, mid: Json) -> dict[str, str]:
    columns = {
        "mutual_auth": "true",
        "mid_protocol_profile": walk.profile["sys_id"],
        "require_fips": str(walk.fips).lower(),
    }
    return columns | {"mid_selection": "specific_mid_server", "mid_server": mid["sys_id"]}


def _action(walk: Walk, name: str, alias: str) -> None:
    step = {"type": "REST", "name": "REST", "connection_alias": alias, "method": "GET", "resource_path": "/"}
    api(walk).call("POST", "/api/v1/actions", {"name": name, "steps": [step]})


def run_test(walk: Walk, action: str = "Call partner") -> Json:
    """Run Test: the execution's details."""
    return api(walk).run_test(action.replace(" ", "%20"))


def control_pkcs12(walk: Walk) -> Json:
    """Control 1: a profile pointed at the PKCS12 file. In FIPS Enforced Mode the MID Server must refuse it.

    A profile of its own: one that has loaded before goes on with the certificate that it has.
    """
    assert walk.certificates
    source, password = str(walk.certificates.client_p12), walk.certificates.password
    mid = wait_for(walk, "is Up", lambda mid: mid["status"] == "Up")
    profile = api(walk).create("mid_protocol_profile", protocol="mauthp12", keystore_path=source, password=password)
    alias = api(walk).create("sys_alias", name="partner_by_pkcs12", connection_type="http_connection")
    columns = _connection(walk, "Partner by PKCS12", alias) | _mutual(walk, mid)
    api(walk).create("http_connection", **columns | {"mid_protocol_profile": profile["sys_id"]})
    _action(walk, "Call by PKCS12", "partner_by_pkcs12")
    details = run_test(walk, "Call by PKCS12")
    error = details["steps"][0].get("error") or {}
    text = f"{error.get('message', '')}\n{error.get('remedy', '')}".strip()
    named = "-importkeystore" in text and source in text and str(walk.bcfks) in text
    return {"refused": details["state"] == "Error" and named, "code": error.get("code"), "said": text}


def control_no_certificate(walk: Walk) -> Json:
    """Control 2: the same URL without a client certificate. The partner must refuse it."""
    alias = api(walk).create("sys_alias", name="partner_without_certificate", connection_type="http_connection")
    api(walk).create("http_connection", **_connection(walk, "Partner without certificate", alias))
    _action(walk, "Call without certificate", "partner_without_certificate")
    details = run_test(walk, "Call without certificate")
    error = details["steps"][0].get("error") or {}
    code = error.get("code", "")
    return {"refused": code == "client_certificate_required", "code": code, "said": error.get("message", "")}


def keystore_type(walk: Walk) -> str:
    """The type of the keystore that the MID Server reports as loaded for the profile."""
    loaded = wait_for(walk, "has loaded the profile mauth", lambda mid: bool(_loaded_type(mid)))
    return _loaded_type(loaded)


def _loaded_type(mid: Json) -> str:
    statuses = _json(mid["profile_statuses"] or "[]")
    return next((one["keystore_type"] for one in statuses if one["protocol"] == "mauth" and one["loaded"]), "")


def wait_for(walk: Walk, what: str, condition: Callable[[Json], bool]) -> Json:
    """The MID Server's record once `condition` holds.

    Raises:
        DemoError: it does not within 30 s; holds the end of agent0.log.
    """
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        mid = api(walk).find("ecc_agent", name=MID_NAME)
        if mid and condition(mid):
            walk.mid = mid
            return mid
        time.sleep(0.2)
    log = walk.agent / "logs" / "agent0.log"
    end = "\n".join(log.read_text().splitlines()[-8:]) if log.exists() else "it has no log"
    raise DemoError(f"the instance does not show that {MID_NAME} {what}; its log ends:\n{end}", f"see {log}")


def api(walk: Walk) -> InstanceApi:
    """The instance's API; there is one from step 2 on."""
    assert walk.api
    return walk.api


def _answers(url: str, ca: Path) -> bool:
    if not ca.exists():
        return False
    try:
        InstanceApi(url, ca, "").call("GET", "/health")
    except DemoError:
        return False
    return True


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DemoError(f"not JSON: {text[:200]}") from error

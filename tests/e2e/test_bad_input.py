"""What goes wrong in practice, and the sentence that each has: through the API, a real MID Server and a real partner."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from openmid.demo import partner, processes, walk
from openmid.demo.certificates import make
from openmid.demo.instance_api import Json
from openmid.demo.stage import DemoError
from openmid.demo.walk import Walk
from tests.e2e.conftest import first_error

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standing")]


def with_profile(standing: Walk, protocol: str, **columns: str) -> Json:
    """Run Test's error through a profile of its own; one that has loaded before goes on with what it has."""
    assert standing.certificates
    good = {"keystore_path": str(standing.bcfks), "password": standing.certificates.password}
    made = walk.api(standing).create("mid_protocol_profile", protocol=protocol, **(good | columns))
    return first_error(call_through(standing, protocol, mid_protocol_profile=made["sys_id"]))


def call_through(standing: Walk, name: str, **columns: str) -> Json:
    """Run Test's details on a connection of its own."""
    api = walk.api(standing)
    alias = api.create("sys_alias", name=name, connection_type="http_connection")
    base = {"name": name, "connection_alias": alias["sys_id"], "url_builder": "true", "use_mid": "true"}
    mutual = {"mutual_auth": "true", "mid_protocol_profile": standing.profile["sys_id"], "host": "localhost"}
    api.create("http_connection", **(base | mutual | columns))
    step = {"type": "REST", "name": "REST", "connection_alias": alias["sys_id"], "method": "GET", "resource_path": "/"}
    api.call("POST", "/api/v1/actions", {"name": name, "steps": [step]})
    return walk.run_test(standing, name)


def ca_of(standing: Walk) -> str:
    assert standing.certificates
    return standing.certificates.ca.read_text()


def test_the_walk_itself_is_a_status_code_200(standing: Walk) -> None:
    details = walk.run_test(standing)
    assert details["state"] == "Completed"
    assert details["steps"][0]["output"]["status_code"] == 200


def test_wrong_store_password(standing: Walk) -> None:
    error = with_profile(standing, "wrongpassword", password="not the password")
    assert error["code"] == "keystore_password"
    assert str(standing.bcfks) in error["message"]


def test_missing_keystore(standing: Walk) -> None:
    error = with_profile(standing, "missing", keystore_path=str(standing.bcfks) + ".gone")
    assert error["code"] == "keystore_missing"
    assert str(standing.bcfks) + ".gone" in error["message"]


def test_pkcs12_where_bcfks_is_due(standing: Walk) -> None:
    assert standing.certificates
    source = str(standing.certificates.client_p12)
    error = with_profile(standing, "pkcs", keystore_path=source)
    words = shlex.split(error["remedy"].split("keytool ", 1)[1].splitlines()[0])
    assert words[words.index("-srckeystore") + 1] == source
    assert words[words.index("-destkeystore") + 1] == str(standing.bcfks)
    assert words[words.index("-deststoretype") + 1] == "BCFKS"


def test_a_profile_that_does_not_apply_to_any_mid_server(standing: Walk, profile: Json) -> None:
    api = walk.api(standing)
    api.create(
        "mid_protocol_profile",
        protocol="nobody",
        keystore_path=str(standing.bcfks),
        applies_to="specific",
        mid_list="",
    )
    other = api.find("mid_protocol_profile", protocol="nobody")
    assert other
    with pytest.raises(DemoError, match="does not apply"):
        call_through(standing, "nobody", mid_protocol_profile=other["sys_id"])
        raise DemoError(first_error(walk.run_test(standing, "nobody"))["message"])


def test_a_profile_that_is_changed_for_the_worse_goes_on_and_the_instance_shows_why(
    standing: Walk, profile: Json
) -> None:
    walk.api(standing).change("mid_protocol_profile", profile["sys_id"], keystore_path=str(standing.bcfks) + ".gone")
    assert walk.run_test(standing)["steps"][0]["output"]["status_code"] == 200

    def shown(mid: Json) -> bool:
        return "stays in use" in mid["profile_statuses"] and ".gone does not exist" in mid["profile_statuses"]

    walk.wait_for(standing, "shows that the old certificate stays in use", shown)


@pytest.mark.parametrize("protocol", ["https", "http", "MAuth", "my-proto!", "mauth", "ftp", ""])
def test_a_protocol_name_that_cannot_be(standing: Walk, protocol: str) -> None:
    with pytest.raises(DemoError, match=r"answered 400.*protocol"):
        walk.api(standing).create("mid_protocol_profile", protocol=protocol, keystore_path="/x.bcfks")


def test_partner_unreachable(standing: Walk) -> None:
    port = partner.free_port()
    allow(standing, port)
    error = first_error(call_through(standing, "unreachable", port=str(port), ca_certificates=ca_of(standing)))
    assert error["code"] == "connection_refused"
    assert f":{port}" in error["message"]


def test_partner_that_is_not_trusted(standing: Walk) -> None:
    error = first_error(call_through(standing, "untrusted", port=str(standing.partner_port)))
    assert error["code"] == "server_untrusted"
    assert "CA" in error["remedy"]


def test_partner_under_another_name(standing: Walk) -> None:
    columns = {"host": "127.0.0.1", "port": str(standing.partner_port), "ca_certificates": ca_of(standing)}
    error = first_error(call_through(standing, "wrong_host", **columns))
    assert error["code"] == "server_hostname_mismatch"
    assert "127.0.0.1" in error["message"]


def test_partner_that_refuses_our_certificate(standing: Walk, tmp_path: Path) -> None:
    stranger = make(tmp_path / "stranger", "another-ca-password")
    port = partner.free_port()
    allow(standing, port)
    process = partner.start(tmp_path / "partner", port, stranger)
    try:
        details = call_through(standing, "refusing", port=str(port), ca_certificates=stranger.ca.read_text())
    finally:
        processes.stop(process)
    error = first_error(details)
    # By nginx's page over a finished handshake, or by an alert where Python plays the partner.
    assert error["code"] in ("client_certificate_refused", "client_certificate_unknown_ca")
    assert "CN=mymtlsclientcert" in error["message"]


def test_egress_is_denied_by_default(standing: Walk) -> None:
    error = first_error(call_through(standing, "egress", port="1", ca_certificates=ca_of(standing)))
    assert error["code"] == "egress_denied"
    assert "config.xml" in error["remedy"]


def test_mid_server_down(standing: Walk) -> None:
    walk.stop_mid(standing)
    try:
        walk.wait_for(standing, "is Down", lambda mid: mid["status"] == "Down")
        assert "Down" in first_error(walk.run_test(standing))["message"]
    finally:
        walk.start_mid(standing)
        walk.wait_for(standing, "is Up", lambda mid: mid["status"] == "Up")


def test_the_switch_while_running_twice_and_with_a_wrong_argument(standing: Walk) -> None:
    script = str(standing.agent / "bin" / "scripts" / "set-fips-enforced-mode.sh")
    running = processes.run([script, "off"], expect=1)
    assert "running" in running.stderr
    assert processes.run([script, "maybe"], expect=2).stderr
    walk.stop_mid(standing)
    before = (standing.agent / "config.xml").read_bytes()
    assert "already" in processes.run([script, "on"]).stdout
    assert (standing.agent / "config.xml").read_bytes() == before
    walk.start_mid(standing)
    walk.wait_for(standing, "is Up", lambda mid: mid["status"] == "Up")


def install(standing: Walk, folder: Path, name: str, token: Path) -> subprocess.CompletedProcess[str]:
    """A second MID Server, started: what `mid.sh start` says."""
    words = ["mid", "install", str(folder), "--url", standing.url, "--name", name, "--token", str(token)]
    processes.openmid(*words, "--ca", str(standing.instance / "tls" / "ca.pem"))
    script = str(folder / "agent" / "bin" / "mid.sh")
    started = subprocess.run([script, "start"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    subprocess.run([script, "stop"], capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    return started


def test_a_used_token(standing: Walk, tmp_path: Path) -> None:
    token = tmp_path / "token"
    processes.openmid("instance", "mid", "token", "second", "--dir", str(standing.instance), "--output", str(token))
    again = tmp_path / "again"
    again.write_text(token.read_text())
    assert install(standing, tmp_path / "one", "second", token).returncode == 0
    refused = install(standing, tmp_path / "two", "second", again)
    assert refused.returncode == 1
    assert "token" in refused.stderr
    assert "used" in refused.stderr


def test_the_same_name_with_another_key(standing: Walk, tmp_path: Path) -> None:
    token = tmp_path / "token"
    processes.openmid(
        "instance", "mid", "token", walk.MID_NAME, "--dir", str(standing.instance), "--output", str(token)
    )
    refused = install(standing, tmp_path / "imposter", walk.MID_NAME, token)
    assert refused.returncode == 1
    assert "another key" in refused.stderr


def test_port_in_use(standing: Walk) -> None:
    command = [*processes.OPENMID, "instance", "run", str(standing.instance)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_secret_lies_in_clear_in_any_file(standing: Walk) -> None:
    assert standing.certificates
    password = standing.certificates.password.encode()
    folders = [standing.instance, standing.agent, standing.folder / "instance.log"]
    files = [path for folder in folders for path in (folder.rglob("*") if folder.is_dir() else [folder])]
    leaks = [path for path in files if path.is_file() and password in path.read_bytes()]
    assert leaks == []


def test_the_mid_server_listens_on_nothing(standing: Walk) -> None:
    pid = int((standing.agent / "work" / "mid.pid").read_text().split()[0])
    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]
    inodes = {link.removeprefix("socket:[")[:-1] for link in links if link.startswith("socket:[")}
    listening = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = row.split()
            if columns[3] == "0A":
                listening.add(columns[9])
    assert inodes
    assert not inodes & listening


def allow(standing: Walk, port: int) -> None:
    """One more `<allow>` in config.xml; the MID Server is started again."""
    walk.stop_mid(standing)
    config = standing.agent / "config.xml"
    config.write_text(
        config.read_text().replace("</egress>", f'  <allow host="127.0.0.1" port="{port}"/>\n  </egress>', 1)
    )
    walk.start_mid(standing)
    walk.wait_for(standing, "is Up", lambda mid: mid["status"] == "Up")

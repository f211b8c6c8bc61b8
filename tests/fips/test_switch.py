"""set-fips-enforced-mode: on, off, status, in an installed agent folder and with the real provider."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import trustme

from openmid import keystore
from openmid.fips.provider import Provider
from openmid.midserver import agent_key
from openmid.midserver.config import Config
from tests.fips.conftest import Switch, snapshot


def own_key(agent: Path) -> agent_key.AgentKey:
    return agent_key.load_or_create(agent, "mid-one")


def test_on_enforces_and_says_what_it_did(started: Path, switch: Switch, provider: Provider) -> None:
    before = snapshot(started)
    done = switch("on")
    assert done.returncode == 0, done.stderr
    assert Config.read(started).fips_enforced
    said = done.stdout
    assert f"{provider.name} {provider.version}" in said
    assert re.search(r"^MAC +([0-9A-F]{2}:){31}[0-9A-F]{2}$", said, re.MULTILINE)
    assert "certificate" in said
    for name in ("config.xml", "security/agent_keystore", "security/public_key.pem"):
        assert re.search(rf"^modified +{re.escape(str(started / name))}$", said, re.MULTILINE)
        copy = re.search(rf"^backup +(.*/backup-.*/{Path(name).name})$", said, re.MULTILINE)
        assert copy
        assert Path(copy[1]).read_bytes() == before[name][1]
    changed = {name for name, what in snapshot(started).items() if before.get(name) != what}
    for name in changed:
        assert str(started / name) in said, name
    assert said.endswith("FIPS Enforced Mode is on\n")
    assert switch("status").returncode == 0


def test_only_the_owner_may_read_the_secrets(started: Path, switch: Switch) -> None:
    switch("on")
    for path in [
        started / "security/agent_keystore",
        started / "security/truststore.bcfks",
        *started.glob("security/backup-*/*"),
    ]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert not list(started.glob("security/.*"))


def test_the_new_key_is_announced_by_the_old_one(started: Path, switch: Switch) -> None:
    old = own_key(started).fingerprint
    switch("on")
    now = own_key(started)
    assert now.has_previous
    assert now.fingerprint != old
    assert now.rekey_request("0" * 32).public_key == now.public_key
    assert (started / "security/public_key.pem").read_text() == now.public_key


def test_the_truststore_is_bcfks_afterwards(agent: Path, switch: Switch, authority: trustme.CA) -> None:
    switch("on")
    config = Config.read(agent)
    path = agent / config.parameter("mid.https.truststore.path")
    assert keystore.detect(path) == "BCFKS"
    store = keystore.load(path, (agent / "security/secret.key").read_text().strip())
    (entry,) = store.certificates().values()
    assert entry.certificate == ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
    assert (agent / "security/truststore.pem").exists()


def test_before_the_first_start_there_is_no_key_to_replace(agent: Path, switch: Switch) -> None:
    before = snapshot(agent)
    assert switch("on").returncode == 0
    assert not (agent / "security/agent_keystore").exists()
    secret = agent / "security/secret.key"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert len(keystore.load(agent / "security/truststore.bcfks", secret.read_text().strip())) == 1
    assert switch("off").returncode == 0
    left = without_backups(snapshot(agent))
    assert left.pop("security/secret.key")  # the next first start uses it
    assert left == before


def test_a_second_on_changes_nothing_and_says_so(agent: Path, switch: Switch) -> None:
    switch("on")
    before = snapshot(agent)
    done = switch("on")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "FIPS Enforced Mode is already on; nothing was changed",
    )
    assert snapshot(agent) == before


def test_off_without_on_changes_nothing_and_says_so(agent: Path, switch: Switch) -> None:
    before = snapshot(agent)
    done = switch("off")
    assert (done.returncode, done.stdout) == (0, "FIPS Enforced Mode is already off; nothing was changed\n")
    assert snapshot(agent) == before


def without_backups(files: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    return {name: what for name, what in files.items() if "/backup-" not in name}


def test_off_undoes_on_byte_for_byte(started: Path, switch: Switch) -> None:
    before = snapshot(started)
    switch("on")
    done = switch("off")
    assert done.returncode == 0, done.stderr
    assert without_backups(snapshot(started)) == before
    assert done.stdout.endswith("FIPS Enforced Mode is off\n")
    assert switch("status").returncode == 1


def test_off_keeps_what_was_edited_since(agent: Path, switch: Switch) -> None:
    switch("on")
    path = agent / "config.xml"
    path.write_text(
        path.read_text()
        .replace('"threads.max" value="25"', '"threads.max" value="7"')
        .replace("<egress>", "<egress><!-- mine -->")
    )
    switch("off")
    config = Config.read(agent)
    assert not config.fips_enforced
    assert config.parameter("threads.max") == "7"
    assert "<!-- mine -->" in path.read_text()
    assert config.parameter("mid.https.truststore.path") == "security/truststore.pem"


def test_off_keeps_a_truststore_that_was_named_since(agent: Path, switch: Switch) -> None:
    switch("on")
    config = Config.read(agent)
    config.set_parameter("mid.https.truststore.path", "/elsewhere/ca.pem")
    config.save()
    switch("off")
    assert Config.read(agent).parameter("mid.https.truststore.path") == "/elsewhere/ca.pem"


def test_off_keeps_a_key_that_the_instance_knows(started: Path, switch: Switch) -> None:
    switch("on")
    key = own_key(started)
    key.drop_previous()  # as after the announcement
    done = switch("off")
    assert "the instance knows the key in it" in done.stdout
    assert own_key(started).fingerprint == key.fingerprint


def test_off_works_without_its_backup(agent: Path, switch: Switch) -> None:
    switch("on")
    for folder in agent.glob("security/backup-*"):
        shutil.rmtree(folder)
    done = switch("off")
    assert done.returncode == 0, done.stderr
    assert not Config.read(agent).fips_enforced
    assert keystore.detect(agent / Config.read(agent).parameter("mid.https.truststore.path")) == "BCFKS"


def test_on_again_after_off(agent: Path, switch: Switch) -> None:
    for _ in range(2):
        assert switch("on").returncode == 0
        assert switch("off").returncode == 0
    assert switch("on").returncode == 0
    assert switch("status").returncode == 0


def test_status_as_json_holds_the_proof(agent: Path, switch: Switch) -> None:
    switch("on")
    answer = json.loads(switch("status", "--json").stdout)
    assert answer["mode"] == "enforced"
    assert [one["name"] for one in answer["proof"]["libcryptos"]] == ["ssl", "cryptography"]
    assert len(answer["provider"]["mac"]) == 95


def test_status_without_a_mid_server_is_a_usage_error(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "openmid", "mid", "fips", "status", "--dir", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "there is no MID Server" in done.stderr


def test_no_secret_is_on_a_command_line_or_in_what_is_said(started: Path, switch: Switch) -> None:
    secret = (started / "security/secret.key").read_text().strip()
    done = switch("on")
    assert secret not in done.stdout + done.stderr
    assert "PRIVATE KEY" not in done.stdout + done.stderr


def test_what_a_killed_switch_left_goes_with_the_next_one(agent: Path, switch: Switch) -> None:
    for name in (".switch-abc/security", ".fips-abc/ssl"):
        (agent / "security" / name).mkdir(parents=True)
        (agent / "security" / name / "file").write_text("half-made")
    switch("on")
    assert not list(agent.glob("security/.*"))


def test_the_batch_file_holds_no_logic(agent: Path) -> None:
    note, row = (agent / "bin/scripts/set-fips-enforced-mode.bat").read_text().splitlines()
    assert note.startswith("@rem ")
    assert row == '@"%~dp0..\\openmid.bat" mid fips --dir "%~dp0..\\.." %*'


def test_off_keeps_a_key_that_the_instance_may_know(started: Path, switch: Switch) -> None:
    """The announcement was sent, and its answer lost: taking the new key back would lock the MID Server out."""
    switch("on")
    key = own_key(started)
    (started / agent_key.ANNOUNCING).write_text(key.fingerprint)
    done = switch("off")
    assert "the instance knows the key in it" in done.stdout
    assert own_key(started).fingerprint == key.fingerprint
    assert own_key(started).has_previous
    again = switch("on")  # a third key would push out one that the instance may know
    assert again.returncode == 1
    assert "the instance may know either" in again.stderr
    assert "start the MID Server once" in again.stderr
    assert own_key(started).fingerprint == key.fingerprint


def test_nothing_is_deleted_without_a_copy(started: Path, switch: Switch) -> None:
    """Every content that the agent folder ever had is still there, or in a backup whose manifest has its hash."""
    seen = dict.fromkeys(contents(started))
    for word in ("on", "off", "on", "off"):
        switch(word)
        seen |= dict.fromkeys(contents(started))
    left = set(contents(started)) | {
        path.read_bytes() for path in started.glob("security/backup-*/**/*") if path.is_file()
    }
    assert set(seen) <= left
    for manifest in started.glob("security/backup-*/manifest.json"):
        noted = json.loads(manifest.read_text())
        for saved in noted["files"]:
            copy = manifest.parent / Path(saved["path"]).name
            assert hashlib.sha256(copy.read_bytes()).hexdigest() == saved["before"]
        if noted["action"] == "off":
            for name, digest in noted["staged"].items():
                assert hashlib.sha256((manifest.parent / "fips" / name).read_bytes()).hexdigest() == digest


def contents(agent: Path) -> list[bytes]:
    return [content for name, (_, content) in snapshot(agent).items() if "/backup-" not in name]

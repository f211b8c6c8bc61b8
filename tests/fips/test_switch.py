"""set-fips-enforced-mode: on, off, status, in an installed agent folder and with the real provider."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from openmid import keystore
from openmid.fips.provider import Provider
from openmid.midserver import agent_key, install
from openmid.midserver.config import Config
from openmid.midserver.process import Lock
from tests.fips.conftest import Python

Switch = Callable[..., "subprocess.CompletedProcess[str]"]
SCRIPT = "bin/scripts/set-fips-enforced-mode.sh"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def own_keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """security/ after a first start; made once, since a key of RSA-3072 takes its time."""
    folder = tmp_path_factory.mktemp("template") / "agent"
    (folder / "security").mkdir(parents=True)
    agent_key.load_or_create(folder, "mid-one")
    return folder / "security"


@pytest.fixture
def agent(tmp_path: Path, authority: trustme.CA) -> Path:
    """Installed and never started: it has no key of its own yet."""
    ca = authority.cert_pem.bytes().decode()
    return install.install(tmp_path / "mid one", install.Wish("https://instance.test", "mid-one", ca, "token"))[0]


@pytest.fixture
def started(agent: Path, own_keystore: Path) -> Path:
    """Installed, and started once: it has a key of its own."""
    shutil.copytree(own_keystore, agent / "security", dirs_exist_ok=True)
    return agent


@pytest.fixture
def switch(agent: Path, provider: Provider) -> Switch:
    """Run the script as an administrator does; the provider is named by the environment."""

    def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"OPENMID_FIPS_PROVIDER": str(provider.path)} | (env or {})
        return subprocess.run(
            [agent / SCRIPT, *words], cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def snapshot(agent: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of the agent folder, with its mode; not what only says that somebody looked."""
    return {
        str(path.relative_to(agent)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(agent.rglob("*"))
        if path.is_file() and path.name != "mid.lock"
    }


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
    assert entry.certificate == _der(authority)
    assert (agent / "security/truststore.pem").exists()


def _der(authority: trustme.CA) -> bytes:
    import ssl

    return ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())


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


@pytest.mark.parametrize("words", [["maybe"], [], ["on", "off"], ["--on"], ["ON"]])
def test_a_wrong_argument_is_a_usage_error(agent: Path, switch: Switch, words: list[str]) -> None:
    before = snapshot(agent)
    done = switch(*words)
    assert done.returncode == 2
    assert "usage" in done.stderr.lower()
    assert snapshot(agent) == before


@pytest.mark.parametrize("word", ["on", "off"])
def test_refused_while_the_mid_server_runs(agent: Path, switch: Switch, word: str) -> None:
    lock = Lock(agent)
    try:
        before = snapshot(agent)
        done = switch(word)
        assert done.returncode == 1
        assert f"is running (pid {os.getpid()})" in done.stderr
        assert "hint: stop it first" in done.stderr
        assert snapshot(agent) == before
    finally:
        lock.release()


def test_a_left_over_pid_file_deceives_nobody(agent: Path, switch: Switch) -> None:
    (agent / "work/mid.pid").write_text(f"{os.getpid()}\n")
    assert switch("on").returncode == 0


def test_without_a_provider_every_place_is_named(agent: Path, switch: Switch, tmp_path: Path) -> None:
    before = snapshot(agent)
    done = switch("on", env={"OPENMID_FIPS_PROVIDER": str(tmp_path / "absent.so")})
    assert done.returncode == 1
    assert f"{tmp_path}/absent.so is not there" in done.stderr
    assert snapshot(agent) == before


def test_a_file_that_is_no_provider_is_refused(agent: Path, switch: Switch, tmp_path: Path) -> None:
    (tmp_path / "fips.so").write_text("not a module")
    before = snapshot(agent)
    done = switch("on", "--provider", str(tmp_path / "fips.so"))
    assert done.returncode == 1
    assert "is not a FIPS module" in done.stderr
    assert snapshot(agent) == before


def test_a_failed_proof_puts_everything_back(started: Path, provider: Provider, python: Python) -> None:
    """The staged copy is damaged after staging, as a failing disk would: the switch must notice and undo."""
    before = snapshot(started)
    code = (
        "import sys; from pathlib import Path; from openmid.midserver import fips_mode\n"
        "real = fips_mode._make_material\n"
        "def damaged(agent, scratch):\n"
        "    real(agent, scratch)\n"
        "    path = agent / 'security/fips/ssl/fips.so'; path.write_bytes(path.read_bytes()[:-1] + b'x')\n"
        "fips_mode._make_material = damaged\n"
        "try: fips_mode.switch_on(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except fips_mode.SwitchError as error: print(error)\n"
    )
    done = python(code, started, provider.path)
    assert "FIPS Enforced Mode was not switched on, and everything was put back" in done.stdout, done.stderr
    assert snapshot(started) == before


@pytest.mark.parametrize("step", ["_put_in_place", "status", "_make_material"])
def test_a_failure_at_any_step_puts_everything_back(
    started: Path, provider: Provider, python: Python, step: str
) -> None:
    before = snapshot(started)
    code = (
        "import sys; from pathlib import Path; from openmid.midserver import fips_mode\n"
        f"real = fips_mode.{step}\n"
        "def failing(*given):\n"
        "    real(*given)\n"
        "    raise OSError(28, 'No space left on device', 'config.xml')\n"
        f"fips_mode.{step} = failing\n"
        "try: fips_mode.switch_on(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except fips_mode.SwitchError as error: print(error)\n"
    )
    done = python(code, started, provider.path)
    assert "everything was put back: config.xml cannot be written: No space left on device" in done.stdout, done.stderr
    assert snapshot(started) == before


def test_a_truststore_of_another_kind_is_refused_with_the_command(agent: Path, switch: Switch) -> None:
    path = agent / "security/truststore.pem"
    store = keystore.KeyStore()
    store.set_certificate("ca", _der(trustme.CA()))
    store.save(path, "a store password", "PKCS12")
    before = snapshot(agent)
    done = switch("on")
    assert done.returncode == 1
    assert "is PKCS12, and in FIPS Enforced Mode only BCFKS is opened" in done.stderr
    assert re.search(r"keytool'? -importkeystore", done.stderr)
    assert snapshot(agent) == before


def test_a_key_that_does_not_open_puts_everything_back(started: Path, switch: Switch) -> None:
    (started / "security/secret.key").write_text("another password")
    before = snapshot(started)
    done = switch("on")
    assert done.returncode == 1
    assert "everything was put back" in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(started) == before


def test_another_user_is_refused(agent: Path, switch: Switch) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give the folder away")
    os.chown(agent / "config.xml", 65534, 65534)
    done = switch("on")
    assert done.returncode == 1
    assert "belongs to the user" in done.stderr


def test_a_broken_mode_is_told_from_off(agent: Path, switch: Switch) -> None:
    assert switch("status").returncode == 1
    switch("on")
    conf = agent / "security/fips/ssl/openssl.cnf"
    conf.write_text(conf.read_text().replace("fips=yes", "fips=no"))
    found = switch("status", "--json")
    assert found.returncode == 3
    answer = json.loads(found.stdout)
    assert answer["mode"] == "broken"
    assert answer["reason"]
    again = switch("on")
    assert again.returncode == 3
    assert "broken" in again.stderr
    assert switch("off").returncode == 0
    assert switch("on").returncode == 0
    assert switch("status").returncode == 0


def test_a_missing_stage_is_broken(agent: Path, switch: Switch) -> None:
    switch("on")
    shutil.rmtree(agent / "security/fips")
    assert switch("status").returncode == 3


def test_a_typing_mistake_in_the_mode_is_broken_not_off(agent: Path, switch: Switch) -> None:
    path = agent / "config.xml"
    path.write_text(path.read_text().replace('"mid.fips.enforced" value="false"', '"mid.fips.enforced" value="ture"'))
    assert switch("status").returncode == 3


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


def test_a_kill_leaves_one_state_or_the_other(agent: Path, switch: Switch) -> None:
    """Killed after the keystores are in place and before config.xml is: not enforced, and the next `on` enforces."""
    code = (
        "import os, sys; from pathlib import Path; from openmid.midserver import config, fips_mode\n"
        "config.Config.save = lambda self: os.kill(os.getpid(), 9)\n"
        "fips_mode.switch_on(Path(sys.argv[1]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, agent], capture_output=True, timeout=60, check=False)
    assert killed.returncode == -9, killed.stderr
    assert switch("status").returncode == 1
    assert switch("on").returncode == 0
    assert switch("status").returncode == 0


def test_the_batch_file_holds_no_logic(agent: Path) -> None:
    (row,) = (agent / "bin/scripts/set-fips-enforced-mode.bat").read_text().splitlines()
    assert row == f'@{sys.executable} -P -m openmid mid fips --dir "%~dp0..\\.." %*'

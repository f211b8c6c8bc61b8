"""set-fips-enforced-mode: what it refuses, and that whatever fails puts everything back."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from openmid import keystore
from openmid.fips.provider import Provider
from openmid.midserver import agent_key
from openmid.midserver.process import Lock
from tests import parts
from tests.fips.conftest import SCRIPT, Python, Switch, snapshot


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


def test_a_switch_under_way_is_no_running_mid_server(agent: Path, switch: Switch) -> None:
    """`status` said that it is up, `start` that it runs already, and `stop` killed the switch."""
    lock = Lock(agent, "set-fips-enforced-mode.sh on")
    try:
        busy = f"set-fips-enforced-mode.sh on is under way in {agent} (pid {os.getpid()})"
        for word, status, said in (("status", 3, "is not running"), ("stop", 0, "not running"), ("start", 1, busy)):
            done = subprocess.run([agent / "bin" / "mid.sh", word], capture_output=True, text=True)
            assert (done.returncode, said in done.stdout + done.stderr) == (status, True), (word, done)
        found = subprocess.run([agent / "bin" / "mid.sh", "status", "--json"], capture_output=True, text=True)
        assert json.loads(found.stdout)["running"] is False
        assert busy in switch("off").stderr
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


@pytest.mark.parametrize("step", ["_put_in_place", "_stands", "_make_material"])
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
    store.set_certificate("ca", ssl.PEM_cert_to_DER_cert(trustme.CA().cert_pem.bytes().decode()))
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


@pytest.mark.parametrize(("word", "status"), [("status", 2), ("on", 1), ("off", 1)])
def test_a_user_whom_permissions_stop_has_a_sentence(agent: Path, word: str, status: int) -> None:
    """`status` exits with 1 for "not enforced": whoever may not look does not know that."""
    (agent / "work" / "mid.lock").touch(0)
    (agent / "security").chmod(0)
    words = [str(agent / SCRIPT), word]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            parts.missing("setpriv", "util-linux")
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    finally:
        (agent / "security").chmod(0o700)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("openmid: ")
    assert "Permission denied" in done.stderr


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


def test_a_failing_off_stays_enforced(agent: Path, switch: Switch, python: Python) -> None:
    switch("on")
    before = snapshot(agent)
    code = (
        "import sys; from pathlib import Path; from openmid.midserver import fips_mode, fips_backup\n"
        "def failing(self): raise OSError(28, 'No space left on device', 'manifest.json')\n"
        "fips_backup.Backup.set_stage_aside = failing\n"
        "try: fips_mode.switch_off(Path(sys.argv[1]))\n"
        "except fips_mode.SwitchError as error: print(error)\n"
    )
    done = python(code, agent)
    assert "was not switched off, and everything was put back: manifest.json" in done.stdout, done.stderr
    assert snapshot(agent) == before
    assert switch("status").returncode == 0


def rekey(agent: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-P", "-m", "openmid", "mid", "rekey", "--dir", str(agent)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_rekey_is_refused_while_the_mid_server_runs_and_before_it_has_a_key(agent: Path) -> None:
    before = snapshot(agent)
    none = rekey(agent)
    assert (none.returncode, none.stderr) == (
        1,
        f"openmid: the MID Server in {agent} has no key yet\nhint: start it: its first start makes one\n",
    )
    lock = Lock(agent)
    try:
        running = rekey(agent)
        assert running.returncode == 1
        assert f"is running (pid {os.getpid()})" in running.stderr
    finally:
        lock.release()
    assert snapshot(agent) == before


def test_rekey_before_the_first_contact_tells_nobody(started: Path) -> None:
    done = rekey(started)
    assert done.returncode == 0, done.stderr
    assert "not enrolled yet: nobody has to be told" in done.stdout
    assert (started / "security/public_key.pem").read_text() == agent_key.load_or_create(started, "mid-one").public_key
    (copy,) = started.glob("security/backup-*/agent_keystore")
    assert copy.read_bytes() != (started / "security/agent_keystore").read_bytes()

"""Activation and proof, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from openmid.fips import activation, libcryptos, proof
from openmid.fips.provider import Provider, Staged, stage
from tests import parts
from tests.fips.conftest import Python

ENTER = (
    "import sys; from pathlib import Path; from openmid.fips import activation; activation.enter(Path(sys.argv[1])); "
)


def test_the_mode_is_proved_in_each_libcrypto(staged: Staged, python: Python) -> None:
    done = python("openmid.fips.proof", staged.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["enforced"] is True
    assert found["reason"] == ""
    assert "FIPS" in found["provider_name"]
    assert [one["name"] for one in found["libcryptos"]] == ["ssl", "cryptography"]
    for one in found["libcryptos"]:
        assert one["module_mac"] == staged.record().mac
        assert all(check["passed"] for check in one["checks"])
        assert {check["expected"] for check in one["checks"]} == {"succeeds", "refused"}


def test_the_proof_of_a_fresh_process_comes_back_as_itself(staged: Staged) -> None:
    found = proof.prove_in_fresh_process(staged.folder)
    assert found.enforced
    assert isinstance(found.libcryptos[0].checks[0], proof.Check)


@pytest.mark.parametrize("name", ["with space", "dollar$HOME", "hash#", "quote'\"", "back\\slash", "zürich"])
def test_a_folder_of_any_name_works(provider: Provider, tmp_path: Path, name: str) -> None:
    assert proof.prove_in_fresh_process(stage(provider, tmp_path / name / "fips").folder).enforced


def test_a_linked_folder_works(staged: Staged, tmp_path: Path) -> None:
    """An install reached through a symbolic link is the same install."""
    (tmp_path / "link").symlink_to(staged.folder)
    assert proof.prove_in_fresh_process(tmp_path / "link").enforced


def test_a_tampered_module_fails(staged: Staged) -> None:
    module = staged.ssl_conf.with_name("fips.so")
    content = bytearray(module.read_bytes())
    content[len(content) // 2] ^= 1
    module.write_bytes(content)
    found = proof.prove_in_fresh_process(staged.folder)
    assert not found.enforced
    assert "does not start under the FIPS provider" in found.reason


def test_a_tampered_module_of_the_wheel_fails(staged: Staged) -> None:
    if staged.cryptography_conf == staged.ssl_conf:
        pytest.skip("cryptography shares the system's libcrypto here")
    module = staged.cryptography_conf.with_name("fips.so")
    content = bytearray(module.read_bytes())
    content[len(content) // 2] ^= 1
    module.write_bytes(content)
    found = proof.prove_in_fresh_process(staged.folder)
    assert not found.enforced
    assert "cryptography" in found.reason


@pytest.mark.parametrize("which", ["openssl.cnf", "fipsmodule.cnf", "fips.so"])
def test_a_missing_file_fails(staged: Staged, which: str) -> None:
    """OpenSSL itself would silently run without FIPS."""
    staged.ssl_conf.with_name(which).unlink()
    found = proof.prove_in_fresh_process(staged.folder)
    assert not found.enforced
    assert f"{which} is missing" in found.reason


def without_fips_yes(conf: Path) -> None:
    conf.write_text(conf.read_text().replace("default_properties = fips=yes\n", ""))


def test_a_configuration_without_fips_yes_fails(staged: Staged) -> None:
    without_fips_yes(staged.ssl_conf)
    found = proof.prove_in_fresh_process(staged.folder)
    assert not found.enforced
    assert "is not the configuration that was staged" in found.reason


def test_the_wheel_without_fips_yes_is_caught_by_what_it_does(staged: Staged) -> None:
    """Its OpenSSL loads the default provider by itself: only the property keeps that from being selected."""
    if not libcryptos.cryptography_has_its_own():
        pytest.skip("cryptography shares the system's libcrypto here")
    without_fips_yes(staged.cryptography_conf)
    found = proof.prove_in_fresh_process(staged.folder)
    assert not found.enforced
    checks = {check.name: check for one in found.libcryptos if one.name == "cryptography" for check in one.checks}
    for name in ("MD5", "ChaCha20-Poly1305", "an X25519 key exchange"):
        assert not checks[name].passed, name


def test_skipped_self_tests_fail(staged: Staged) -> None:
    module_conf = staged.ssl_conf.with_name("fipsmodule.cnf")
    module_conf.write_text(module_conf.read_text() + "install-status = INSTALL_SELF_TEST_KATS_RUN\n")
    assert not proof.prove_in_fresh_process(staged.folder).enforced


def test_a_moved_folder_fails(staged: Staged, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.move(staged.folder, moved)
    found = proof.prove_in_fresh_process(moved)
    assert not found.enforced
    assert found.reason


def test_a_process_that_never_entered_is_not_enforced(staged: Staged, python: Python) -> None:
    code = (
        "import sys, json; from pathlib import Path; from dataclasses import asdict; from openmid.fips.proof import prove; "
        "print(json.dumps(asdict(prove(Path(sys.argv[1])))))"
    )
    found = json.loads(python(code, staged.folder).stdout)
    assert found["enforced"] is False
    assert "OPENSSL_CONF was not set" in found["reason"]
    for one in found["libcryptos"]:
        refused = {check["name"]: check["passed"] for check in one["checks"] if check["expected"] == "refused"}
        assert not refused["MD5"]
        # Each refusal that the proof counts is a refusal of the mode: without it the operation goes through.
        assert {name for name, passed in refused.items() if passed} <= {"loading OpenSSL's legacy provider"}, refused


def test_get_fips_mode_alone_would_have_been_deceived(staged: Staged, python: Python) -> None:
    """Why the proof looks at what happens (trap 2): the flag says 1 with a module that does nothing."""
    module = staged.ssl_conf.with_name("fips.so")
    module.write_bytes(module.read_bytes()[:-1] + b"x")
    environment = activation.environment(staged.folder)
    assert python("import _hashlib; print(_hashlib.get_fips_mode())", env=environment).stdout.strip() == "1"


def test_entering_keeps_the_command_line(staged: Staged, python: Python) -> None:
    done = python(ENTER + "print(sys.argv[2:], sys.flags.optimize)", staged.folder, "--a b", "", "ü")
    assert done.stdout.strip() == "['--a b', '', 'ü'] 0", done.stderr


def test_entering_twice_is_entering_once(staged: Staged, python: Python) -> None:
    done = python(ENTER + "activation.enter(Path(sys.argv[1])); print('here')", staged.folder)
    assert done.stdout.strip() == "here", done.stderr


def test_children_inherit_the_first_configuration(staged: Staged, python: Python) -> None:
    done = python(ENTER + "import os; print(os.environ['OPENSSL_CONF'])", staged.folder)
    assert done.stdout.strip() == str(staged.ssl_conf), done.stderr


def test_entering_after_cryptography_was_imported_is_refused(staged: Staged, python: Python) -> None:
    """Both libcryptos would have initialised the same copy of the module (trap 1)."""
    code = "import cryptography.hazmat.primitives.hashes; " + ENTER
    done = python(code, staged.folder)
    assert done.returncode != 0
    assert "cryptography was imported before FIPS Enforced Mode was entered" in done.stderr


def test_what_steers_openssl_in_the_environment_is_taken_away(staged: Staged, python: Python, tmp_path: Path) -> None:
    steering = {
        "OPENSSL_CONF": str(tmp_path / "no.cnf"),
        "OPENSSL_MODULES": str(tmp_path),
        "OPENSSL_CONF_INCLUDE": "/x",
    }
    assert python("openmid.fips.proof", staged.folder, env=steering).returncode == 0


def test_usage(python: Python, tmp_path: Path) -> None:
    assert python("openmid.fips.proof").returncode == 2
    done = python("openmid.fips.proof", tmp_path)
    assert done.returncode == 1
    assert "provider.json is missing" in json.loads(done.stdout)["reason"]


@pytest.mark.parametrize("module", ["provider", "activation", "proof", "policy", "keys", "checks", "build"])
def test_importing_the_room_imports_no_cryptography(python: Python, module: str) -> None:
    code = f"import sys, openmid.fips.{module}; sys.exit('cryptography' in sys.modules)"
    assert python(code).returncode == 0


SYSTEM_PYTHON = Path("/usr/bin/python3")


def test_one_libcrypto_is_staged_once(provider: Provider, tmp_path: Path) -> None:
    """A distribution's python3-cryptography is linked to the system's libcrypto: one copy serves both."""
    source = str(Path(proof.__file__).parents[2])
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": source,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ask = "import openmid.fips.libcryptos as l; print(l.cryptography_binding() and l.cryptography_has_its_own())"

    def run(code: str) -> str:
        words = [str(SYSTEM_PYTHON), "-c", code, str(provider.path), str(tmp_path / "fips")]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip() or done.stderr

    if not SYSTEM_PYTHON.exists() or run(ask) != "False":
        parts.missing("a Python whose cryptography shares the system's libcrypto", "python3-cryptography")
    answer = run(
        "import sys; from pathlib import Path; from openmid.fips import provider, activation, checks, libcryptos\n"
        "staged = provider.stage(provider.find_provider(Path(sys.argv[1])), Path(sys.argv[2])) "
        "if not Path(sys.argv[2]).exists() else provider.Staged(Path(sys.argv[2]))\n"
        "activation.enter(staged.folder)\n"
        "from cryptography.hazmat.primitives import hashes\n"
        "try: hashes.Hash(hashes.MD5()); md5 = 'done'\n"
        "except Exception: md5 = 'refused'\n"
        "print(sorted(path.name for path in staged.folder.iterdir()), md5, len(libcryptos.mapped('fips.so')))\n"
    )
    assert answer == "['provider.json', 'ssl'] refused 1"

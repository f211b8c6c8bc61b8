"""`openmid demo` as a script calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e]
DEMO = [sys.executable, "-m", "openmid", "demo"]


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DEMO, "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=400)


@pytest.mark.xdist_group("demo")
def test_the_walk_ends_with_status_code_200_over_mutual_tls_in_fips_enforced_mode(
    demo: subprocess.CompletedProcess[str],
) -> None:
    assert demo.returncode == 0, demo.stderr
    told = json.loads(demo.stdout)
    assert told["status_code"] == 200
    assert told["client_subject"] == "CN=mymtlsclientcert,O=openmid demo,C=ZZ"
    assert (told["tls_version"], told["cipher"]) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert told["keystore_type"] == "BCFKS"
    assert told["fips"]["enforced"] is True
    assert told["fips"]["version"].startswith("3.")
    assert set(told["fips"]["proof"].values()) == {True}
    assert "ssl" in told["fips"]["proof"]
    assert told["duration_ms"] >= 0


@pytest.mark.xdist_group("demo")
def test_both_controls_are_refused(demo: subprocess.CompletedProcess[str]) -> None:
    controls = json.loads(demo.stdout)["controls"]
    assert {name: control["refused"] for name, control in controls.items()} == {
        "pkcs12_in_enforced_mode": True,
        "without_client_certificate": True,
    }
    assert "keytool -importkeystore" in controls["pkcs12_in_enforced_mode"]["said"]
    assert "mymtlsclientcert.bcfks" in controls["pkcs12_in_enforced_mode"]["said"]


@pytest.mark.xdist_group("demo")
def test_no_password_is_shown(demo: subprocess.CompletedProcess[str]) -> None:
    assert "-srcstorepass ******** -destkeystore" in demo.stderr
    assert "-deststorepass ******** -provider" in demo.stderr


def test_without_fips_every_line_says_so() -> None:
    done = subprocess.run(
        [*DEMO, "--once", "--without-fips"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith("[without FIPS]")] == []
    assert "Status Code    200" in done.stdout


def test_a_work_folder_that_is_not_empty_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    done = subprocess.run([*DEMO, "--once", "--dir", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "is not an empty folder" in done.stderr

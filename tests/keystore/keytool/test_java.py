"""Java's keytool with Bouncy Castle goes on with a store that ours has made and changed."""

from __future__ import annotations

import subprocess

import pytest

from tests import parts
from tests.keystore.keytool.conftest import Keytool
from tests.keystore.keytool.transcript import CERTIFICATES

pytestmark = pytest.mark.java
OURS = "-keystore s.bcfks -storetype BCFKS -storepass"


def java(line: str) -> str:
    """Run Java's keytool; both its outputs."""
    program = parts.program("keytool", "default-jre-headless")
    words = f"-J-Duser.language=en {line} -provider org.bouncycastle.jce.provider.BouncyCastleProvider"
    done = subprocess.run(
        [program, *words.split(), "-providerpath", str(parts.bcprov())],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_store_that_every_command_has_changed(keytool: Keytool) -> None:
    keytool.fine(f"-genkeypair -alias made -keyalg EC -dname CN=made -ext san=dns:a.example {OURS} changeit")
    keytool.fine(f"-genkeypair -alias gone -keyalg EC -dname CN=gone {OURS} changeit")
    keytool.fine(f"-importcert -noprompt -alias root -file {CERTIFICATES / 'reply-ca.pem'} {OURS} changeit")
    keytool.fine(f"-keypasswd -alias made -new ownpass1 {OURS} changeit")
    keytool.fine(f"-changealias -alias made -destalias client {OURS} changeit")
    keytool.fine(f"-delete -alias gone {OURS} changeit")
    keytool.fine(f"-storepasswd -new newpass1 {OURS} changeit")
    listed = java(f"-list -v {OURS} newpass1").splitlines()
    assert [line for line in listed if line.startswith("Alias name")] == ["Alias name: client", "Alias name: root"]
    ours = keytool.fine(f"-list -v {OURS} newpass1").out.splitlines()
    assert [line for line in ours if "provider" not in line] == [line for line in listed if "provider" not in line]
    java(f"-certreq -alias client -keypass ownpass1 -file theirs.csr {OURS} newpass1")
    keytool.fine(f"-certreq -alias client -keypass ownpass1 -file ours.csr {OURS} newpass1")
    assert keytool.fine("-printcertreq -file theirs.csr") == keytool.fine("-printcertreq -file ours.csr")
    assert java("-printcertreq -file ours.csr") == keytool.fine("-printcertreq -file theirs.csr").out

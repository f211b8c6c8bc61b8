"""A hundred calls, counted inside each libcrypto's provider: the operations that TLS needs are asked of it, one by one."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.fips.evidence.conftest import SOURCE
from tests.midserver.conftest import PASSWORD, Authority, authority, bcfks, client, make_config, partner  # noqa: F401  fixtures
from tests.midserver.partner import Partner

pytestmark = pytest.mark.xdist_group("evidence")  # compiled once
COUNT = 100


def total(counts: dict[str, int], *kinds: str) -> int:
    return sum(number for name, number in counts.items() if name.startswith(kinds))


async def test_a_hundred_calls_are_counted(
    counting: Path,
    authority: Authority,  # noqa: F811
    partner: Partner,  # noqa: F811
    bcfks: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    config = make_config(tmp_path / "agent")
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    words = [counting, config.agent, bcfks, PASSWORD, ca, partner.port, COUNT]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        SOURCE.with_name("calls.py"),
        *map(str, words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    phases = json.loads(out.splitlines()[-1])  # the lines before are the log
    sys.stderr.write(json.dumps(phases, indent=1) + "\n")
    assert len(partner.requests) == 1 + 2 * COUNT
    assert len(partner.connections) == 1 + COUNT

    kept = phases["calls over one connection"]
    assert total(kept["ssl"], "cipher AES-") >= 2 * COUNT  # a record out and a record in for each call
    new = COUNT
    own = phases["calls over connections of their own"]["ssl"]
    for kind in ("signature", "key exchange", "key generation EC", "verification", "random"):
        assert total(own, kind) >= new, kind
    assert total(own, "kdf") >= 5 * new  # RFC 8446, section 7.1: the key schedule
    assert total(own, "cipher AES-") >= 4 * new
    assert kept["cryptography"] == {}  # it has no part in a call
    # A set of trusted certificates has a context of its own, to which the client's key is handed over sealed.
    sealing = {"cipher AES-256-CBC", "kdf PBKDF2", "random CTR-DRBG"}
    assert set(phases["calls over connections of their own"]["cryptography"]) <= sealing

    opened = phases["opening a sealed password"]["cryptography"]
    assert total(opened, "asymmetric decryption RSA") >= 1
    assert total(opened, "cipher AES-256-GCM") >= 1
    loaded = phases["loading a profile"]
    assert total(loaded["cryptography"], "kdf PBKDF2") + total(loaded["ssl"], "mac HMAC", "kdf PBKDF2") >= 2
    assert total(loaded["cryptography"], "cipher AES-256-CCM") >= 1
    assert total(phases["own key"]["ssl"], "random") >= 1

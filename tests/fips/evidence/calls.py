"""A process of its own: the MID Server's code, enforced, with the counting provider in each libcrypto.

    python calls.py STAGED AGENT KEYSTORE PASSWORD CA PORT COUNT

Prints, for each phase and each libcrypto, how often each operation was asked of the provider.
"""
# ruff: noqa: E402 - the order of imports is the point

from __future__ import annotations

import asyncio
import ctypes
import json
import sys
from collections import Counter
from pathlib import Path

from openmid.fips import activation

staged, agent, path, password, ca, port, count = sys.argv[1:]
activation.enter(Path(staged))

from openmid.midserver import agent_key
from openmid.midserver.config import Config
from openmid.midserver.egress import Egress
from openmid.midserver.http import Host, RestRunner
from openmid.midserver.protocol_registry import OpenedProfile, ProtocolRegistry
from openmid.wire.probes import RestProbe
from openmid.wire.sealing import SealedFor, seal

# OpenSSL, core_dispatch.h: the functions of each operation in which its work is done.
WORK = {
    (1, 4): "digest", (1, 5): "digest", (2, 4): "cipher", (2, 6): "cipher", (3, 6): "mac", (4, 5): "kdf",
    (5, 5): "random", (10, 6): "key generation", (11, 3): "key exchange",
    (12, 3): "signature", (12, 10): "signature", (12, 11): "signature",
    (12, 5): "verification", (12, 14): "verification", (12, 15): "verification",
    (13, 3): "asymmetric encryption", (13, 5): "asymmetric decryption",
}  # fmt: skip
BOUND = SealedFor("mid", "mid_protocol_profile", "record", "password")
modules = {name: ctypes.CDLL(str(Path(staged) / name / "fips.so")) for name in ("ssl", "cryptography")}


def counted() -> dict[str, Counter[str]]:
    found = {}
    for name, module in modules.items():
        module.openmid_counts.restype = ctypes.c_char_p
        counts: Counter[str] = Counter()
        for row in module.openmid_counts().decode().splitlines():
            operation, rest = row.split(" ", 1)
            names, function, number = rest.rsplit(" ", 2)
            assert names != "FULL"
            kind = WORK.get((int(operation), int(function)))
            if kind:
                counts[f"{kind} {names.split(':')[0]}"] += int(number)
        found[name] = counts
    return found


async def main() -> None:
    phases: dict[str, dict[str, Counter[str]]] = {}
    last = counted()

    def end_of(phase: str) -> None:
        nonlocal last
        now = counted()
        phases[phase] = {name: now[name] - last[name] for name in now}
        last = now

    config = Config.read(Path(agent))
    registry = ProtocolRegistry(config.agent, Egress.of(config), enforced=True)
    runner = RestRunner(registry, Host("mid-test", config.path, True))
    key = agent_key.load_or_create(Path(agent), "mid-test")
    sealed = seal(password, key.public_key, BOUND)
    end_of("own key")
    clear = key.open(sealed, BOUND)
    end_of("opening a sealed password")
    await registry.apply([OpenedProfile("p1", "mauth", path, 443, clear)])
    assert registry.statuses()[0].loaded, registry.statuses()
    end_of("loading a profile")
    trusted = Path(ca).read_text()
    for phase, trusts in (
        ("the first call", [trusted]),
        ("calls over one connection", [trusted] * int(count)),
        # Neither a connection nor a TLS session is shared between different sets of trusted certificates.
        ("calls over connections of their own", [f"{trusted}\n# {number}\n" for number in range(int(count))]),
    ):
        for pem in trusts:
            probe = RestProbe(f"mauth://localhost:{port}/", ca_certificates=pem)
            result = await runner.run(probe)
            assert result.status_code == 200, result.failure
        end_of(phase)
    await registry.close()
    sys.stdout.write("\n" + json.dumps(phases) + "\n")


asyncio.run(main())

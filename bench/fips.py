"""Calls over mutual TLS, FIPS Enforced Mode against none: `python bench/fips.py [--json] [--rounds N]`.

Two processes run the MID Server's own probe runner (profile, egress, connector, TLS, result) against one nginx that
demands a client certificate; they take turns in one run, so that whatever else the machine does hits both. A ratio is
calls per second enforced by calls per second not enforced, the median over the rounds; the aim is 0.9 or more over kept
connections. `new connections` is a full handshake for each call. `cpu` is the MID Server's process alone (user and
system). The instance has no part in it: with it, both sides do the same additional work, and the ratio nears 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

AIM = 0.9
CASES = {  # name: (calls of a round, calls at a time, a new connection for each)
    "kept connections, 16 at a time": (480, 16, False),
    "kept connection, one at a time": (240, 1, False),
    "new connections, 16 at a time": (48, 16, True),
}


def work(words: list[str]) -> None:
    """The other process: `STAGED|- AGENT KEYSTORE PASSWORD CA PORT`; rounds are asked for on stdin, line by line."""
    staged, agent, path, password, ca, port = words
    if staged != "-":
        from openmid.fips import activation
        from openmid.fips.proof import prove

        activation.enter(Path(staged))
        assert prove(Path(staged)).enforced
    import logging

    import structlog

    from openmid.midserver.config import Config
    from openmid.midserver.egress import Egress
    from openmid.midserver.http import Host, RestRunner
    from openmid.midserver.protocol_registry import OpenedProfile, ProtocolRegistry
    from openmid.wire.probes import RestProbe

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    async def serve() -> None:
        config = Config.read(Path(agent))
        registry = ProtocolRegistry(config.agent, Egress.of(config), enforced=staged != "-")
        await registry.apply([OpenedProfile("bench", "mauth", path, 443, password)])
        runner = RestRunner(registry, Host("bench", config.path, staged != "-"))
        pem = Path(ca).read_text()

        async def some(count: int, headers: list[tuple[str, str]]) -> None:
            for _ in range(count):
                probe = RestProbe(f"mauth://localhost:{port}/", headers=headers, ca_certificates=pem)
                result = await runner.run(probe)
                assert result.status_code == 200, result.failure

        while line := await asyncio.to_thread(sys.stdin.readline):
            calls, at_a_time, new = json.loads(line)
            headers = [("Connection", "close")] if new else []
            began, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(some(calls // at_a_time, headers) for _ in range(at_a_time)))
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu
            print(json.dumps([calls // at_a_time * at_a_time, wall, cpu]), flush=True)
        await registry.close()

    asyncio.run(serve())


class Side:
    """One of the two processes."""

    def __init__(self, *words: str | Path | int) -> None:
        command = [sys.executable, __file__, "--work", *map(str, words)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def round(self, calls: int, at_a_time: int, new: bool) -> tuple[float, float]:
        """Calls per second, and microseconds of CPU a call."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([calls, at_a_time, new]), file=self._process.stdin, flush=True)
        done, wall, cpu = json.loads(self._process.stdout.readline())
        return done / wall, cpu / done * 1e6

    def end(self) -> None:
        """Close its stdin, and wait."""
        self._process.communicate()


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Everything that both need, then the rounds in turn: enforced first, then last."""
    from openmid import keystore
    from openmid.demo import certificates, partner
    from openmid.fips.provider import find_provider, stage

    provider = find_provider()
    staged = stage(provider, folder / "fips").folder
    made = certificates.make(folder / "certificates", "a password of fourteen")
    entry = next(iter(keystore.load(made.client_p12, made.password).private_keys().values()))
    store = keystore.KeyStore()
    store.set_private_key("client", entry.private_key, entry.certificates)
    store.save(folder / "client.bcfks", made.password)
    (folder / "agent").mkdir()
    (folder / "agent/config.xml").write_text('<parameters><egress><allow host="127.0.0.1"/></egress></parameters>')
    port = partner.free_port()
    nginx = partner.start(folder / "partner", port, made)
    rest = (folder / "agent", folder / "client.bcfks", made.password, made.ca, port)
    sides = {"enforced": Side(staged, *rest), "not enforced": Side("-", *rest)}
    try:
        figures = {name: _in_turn(sides, case, rounds) for name, case in CASES.items()}
    finally:
        for side in sides.values():
            side.end()
        nginx.terminate()
        nginx.wait()
    load = os.getloadavg()[0]
    return {
        "provider": f"{provider.name} {provider.version}",
        "partner": partner.kind(),
        "load": load,
        "cases": figures,
    }


def _in_turn(sides: dict[str, Side], case: tuple[int, int, bool], rounds: int) -> dict[str, Any]:
    for side in sides.values():
        side.round(*case)  # warm
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 else reversed(sides):
            found[name].append(sides[name].round(*case))
    raw = {name: [round(calls, 1) for calls, _ in rows] for name, rows in found.items()}
    pairs = zip(raw["enforced"], raw["not enforced"], strict=True)
    return {
        "ratio": round(median(one / other for one, other in pairs), 3),
        "calls_per_second": {name: median(rows) for name, rows in raw.items()},
        "cpu_us_per_call": {name: round(median(cpu for _, cpu in rows)) for name, rows in found.items()},
        "rounds": raw,
    }


def main() -> int:
    """Exit status 1 when the ratio over kept connections is below the aim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=41)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="openmid-bench-") as name:
        found = measure(Path(name), given.rounds)
    kept = [case["ratio"] for name, case in found["cases"].items() if name.startswith("kept")]
    found["aim"], found["met"] = AIM, min(kept) >= AIM
    print(json.dumps(found, indent=2) if given.json else _table(found))
    return 0 if found["met"] else 1


def _table(found: dict[str, Any]) -> str:
    rows = [f"{found['provider']}, partner {found['partner']}, load {found['load']:.1f}"]
    for name, case in found["cases"].items():
        speed, cpu = case["calls_per_second"], case["cpu_us_per_call"]
        rows.append(
            f"{name:<32} {case['ratio']:.3f}x   {speed['enforced']:.0f} against {speed['not enforced']:.0f} calls/s,"
            f" {cpu['enforced']} against {cpu['not enforced']} us of CPU"
        )
        rows += [f"    {side:<13}{' '.join(f'{value:.0f}' for value in case['rounds'][side])}" for side in speed]
    return "\n".join([*rows, f"aim {found['aim']}: {'met' if found['met'] else 'not met'}"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2:])
    else:
        sys.exit(main())

"""keytool's two frequent commands, ours against Java's with Bouncy Castle: `python bench/keystore.py [--json] [ROUNDS]`.

Whole processes, interleaved in one run: the conversion of a PKCS12 file to BCFKS, and -list of the result. Wall time
and CPU time (user and system) are medians over the rounds; a ratio is Java's by ours. The floor is an interpreter
that does nothing but the key derivations that the command cannot do without, in as many threads, by hashlib: ours
derives by cryptography, whose newer OpenSSL is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

BCPROV = Path("/usr/share/java/bcprov.jar")
BOUNCY_CASTLE = ("-provider", "org.bouncycastle.jce.provider.BouncyCastleProvider", "-providerpath", str(BCPROV))
SOURCE = Path(__file__).parent.parent / "tests/vectors/keystores/p12-keytool-default.p12"
OURS = (
    sys.executable,
    "-P",
    "-c",
    "from openmid.keystore.keytool.__main__ import program; program()",
)  # agent/bin/keytool
FLOOR = (
    "import hashlib, threading\n"
    "jobs = {jobs}\n"
    "def run(mine):\n"
    "    for digest, count in mine: hashlib.pbkdf2_hmac(digest, b'p' * 48, b's' * 64, count, 32)\n"
    "threads = [threading.Thread(target=run, args=(jobs[n::4],)) for n in range(4)]\n"
    "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
)
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as installed
READ_PKCS12 = [("sha256", 10_000)] * 3  # the MAC's, the certificates', the key's
BCFKS = ("sha512", 51_200)


class Cost(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


class Case(NamedTuple):
    """One command, three ways."""

    name: str
    words: tuple[str, ...]
    derivations: list[tuple[str, int]]


def convert(folder: Path) -> Case:
    words: tuple[str, ...] = ("-importkeystore", "-noprompt", "-srckeystore", str(SOURCE), "-srcstoretype", "PKCS12")
    words += ("-srcstorepass", "changeit", "-destkeystore", str(folder / "client.bcfks"), "-deststoretype", "BCFKS")
    return Case("convert", (*words, "-deststorepass", "changeit"), [*READ_PKCS12, *[BCFKS] * 3])


def listing(folder: Path) -> Case:
    words = ("-list", "-keystore", str(folder / "listed.bcfks"), "-storetype", "BCFKS", "-storepass", "changeit")
    return Case("list", words, [BCFKS] * 2)


def measure(command: list[str], folder: Path) -> Cost:
    (folder / "client.bcfks").unlink(missing_ok=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=ENVIRONMENT)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout.decode()}{done.stderr.decode()}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def ways(case: Case, keytool: str) -> dict[str, list[str]]:
    return {
        "java": [keytool, *case.words, *BOUNCY_CASTLE],
        "ours": [*OURS, *case.words, *BOUNCY_CASTLE],
        "floor": [sys.executable, "-I", "-S", "-c", FLOOR.format(jobs=case.derivations)],
    }


def run(rounds: int, keytool: str) -> dict[str, dict[str, list[Cost]]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [convert(folder), listing(folder)]
        measure([*OURS, *cases[0].words], folder)  # also fills the caches of compiled modules
        shutil.copyfile(folder / "client.bcfks", folder / "listed.bcfks")
        costs: dict[str, dict[str, list[Cost]]] = {case.name: {"java": [], "ours": [], "floor": []} for case in cases}
        for _ in range(rounds):
            for case in cases:
                for way, command in ways(case, keytool).items():
                    costs[case.name][way].append(measure(command, folder))
    return costs


def report(costs: dict[str, dict[str, list[Cost]]]) -> dict[str, dict[str, float]]:
    figures = {
        f"{case}_{way}_{kind}": median(getattr(cost, kind) for cost in found)
        for case, ways_of_it in costs.items()
        for way, found in ways_of_it.items()
        for kind in Cost._fields
    }
    ratios = {
        f"{case}_{kind}": figures[f"{case}_java_{kind}"] / figures[f"{case}_ours_{kind}"]
        for case in costs
        for kind in Cost._fields
    }
    return {"ratios": ratios, "seconds": figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=11)
    parser.add_argument("--json", action="store_true", help="one object: ratios, and the raw medians in seconds")
    arguments = parser.parse_args()
    keytool = shutil.which("keytool")
    if keytool is None or not BCPROV.exists():
        sys.exit("Java's keytool and Bouncy Castle are needed (Debian: default-jre-headless, libbcprov-java)")
    found = report(run(arguments.rounds, keytool))
    if arguments.json:
        print(json.dumps({name: {key: round(value, 4) for key, value in part.items()} for name, part in found.items()}))
        return
    for case in ("convert", "list"):
        for kind in Cost._fields:
            java, ours, floor = (found["seconds"][f"{case}_{way}_{kind}"] * 1000 for way in ("java", "ours", "floor"))
            ratio = found["ratios"][f"{case}_{kind}"]
            print(f"{case:8}{kind:5} java {java:6.0f} ms   ours {ours:5.0f} ms   floor {floor:5.0f} ms   {ratio:5.1f}x")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {arguments.rounds} rounds")


if __name__ == "__main__":
    main()

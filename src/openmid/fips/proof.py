"""The proof of FIPS Enforced Mode, by what happens: approved operations succeed, unapproved ones are refused.

`_hashlib.get_fips_mode()` proves nothing: it says 1 with a tampered module, and OpenSSL runs without FIPS when the
configuration is missing. So every libcrypto of the process is tried, and the mapped modules are compared with what was
staged. `python -m openmid.fips.proof FOLDER` does it in a process of its own and prints the Proof as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """One operation that was tried. `expected` is `succeeds` or `refused`."""

    name: str
    expected: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class LibcryptoProof:
    """What one libcrypto of the process showed. `name` is `ssl` or `cryptography`."""

    name: str
    openssl_version: str
    module: str
    module_mac: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Library:
    """A cryptographic library that the process has mapped. `role` says for what the proof knows it; empty: it does not."""

    path: str
    version: str
    role: str


@dataclass(frozen=True)
class Proof:
    """The result: `enforced` only if every check passed, of each libcrypto and of the process as a whole; else `reason`
    is one sentence."""

    enforced: bool
    provider_name: str
    provider_version: str
    provider_build: str
    time: str  # ISO 8601, UTC
    libcryptos: tuple[LibcryptoProof, ...]
    reason: str = ""
    libraries: tuple[Library, ...] = ()
    checks: tuple[Check, ...] = ()


def prove(staged_folder: Path) -> Proof:
    """Try everything in this process, which `activation.enter` has brought under `staged_folder`.

    Never raises for a mode that is not in force: that is a Proof with `enforced` False and its reason. Raises
    StagingFailed when the folder does not say what was staged.
    """
    from openmid.fips import checks
    from openmid.fips.provider import Staged

    staged = Staged(staged_folder.resolve())
    record = staged.record()
    proofs = []
    for name, conf in (("ssl", staged.ssl_conf), ("cryptography", staged.cryptography_conf)):
        tried = checks.ssl_operations() if name == "ssl" else checks.cryptography_operations()
        made = (*checks.files(staged, record, conf), *tried)
        proofs.append(
            LibcryptoProof(name, checks.openssl_version(name), str(conf.with_name("fips.so")), record.mac, made)
        )
    found, process = checks.process(staged)
    failed = [(f"the libcrypto of {one.name}", check) for one in proofs for check in one.checks if not check.passed]
    failed += [("this process", check) for check in process if not check.passed]
    facts = (record.name, record.version, record.build, _now())
    return Proof(not failed, *facts, tuple(proofs), _reason(failed), found, process)


def look_again(staged_folder: Path) -> str:
    """Whether the files and the loaded libraries are still what they were: why not, as a sentence, or empty.

    Some milliseconds, so it can be done often; the operations are not tried again.
    """
    from openmid.fips import checks
    from openmid.fips.errors import FipsError
    from openmid.fips.provider import Staged

    staged = Staged(staged_folder.resolve())
    try:
        record = staged.record()
    except FipsError as error:
        return f"FIPS Enforced Mode is not in force: {error}"
    process = checks.process(staged)[1]  # first: a module that is replaced meanwhile is then told of by its own check
    failed = [
        (f"the libcrypto of {name}", check)
        for name, conf in (("ssl", staged.ssl_conf), ("cryptography", staged.cryptography_conf))
        for check in checks.files(staged, record, conf)
        if not check.passed
    ]
    failed += [("this process", check) for check in process if not check.passed]
    return _reason(failed)


def _reason(failed: list[tuple[str, Check]]) -> str:
    if not failed:
        return ""
    name, check = failed[0]
    outcome = "did not succeed" if check.expected == "succeeds" else "was not refused"
    more = f" ({len(failed) - 1} more checks failed)" if len(failed) > 1 else ""
    detail = f": {check.detail}" if check.detail else ""
    return f"FIPS Enforced Mode is not in force: in {name}, {check.name} {outcome}{detail}{more}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def not_entered(reason: str) -> Proof:
    """The Proof of a process that did not even come under the configuration."""
    return Proof(False, "", "", "", _now(), (), reason)


def prove_in_fresh_process(staged_folder: Path) -> Proof:
    """Run this module in a process of its own and read its answer. Never raises for a mode that is not in force."""
    import subprocess

    from openmid.fips import activation

    folder = staged_folder.resolve()
    done = subprocess.run(
        [sys.executable, "-m", "openmid.fips.proof", str(folder)],
        env=activation.environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return _from_json(json.loads(done.stdout))
    except (ValueError, TypeError, KeyError):
        rows = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return not_entered(f"FIPS Enforced Mode is not in force: the proof did not run to its end: {rows[-1]}")


def _from_json(fields: dict[str, object]) -> Proof:
    import msgspec

    return msgspec.convert(fields, Proof)


def main(words: list[str]) -> int:
    """`FOLDER`: exit status 0 and the Proof as JSON on stdout when the mode is in force, 1 and the same when not."""
    from openmid.fips import activation
    from openmid.fips.errors import FipsError

    if len(words) != 1:
        print("usage: python -m openmid.fips.proof STAGED_FOLDER", file=sys.stderr)  # noqa: T201
        return 2
    folder = Path(words[0])
    try:
        activation.enter(folder)
        proof = prove(folder)
    except FipsError as error:
        proof = not_entered(str(error))
    print(json.dumps(asdict(proof), indent=2))  # noqa: T201
    return 0 if proof.enforced else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""On what terms a store is opened: how much work it may ask for, whether old algorithms may be used, who signed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from openmid.keystore.conversion import conversion_command
from openmid.keystore.errors import NotApproved, OldAlgorithm, TooExpensive

if TYPE_CHECKING:
    from types import ModuleType

MAX_ITERATIONS = 5_000_000  # Bouncy Castle's org.bouncycastle.bcfks.max_it_count
_DERIVATIONS = 4  # that a store may need before any of its keys: an integrity code, two parts, one to spare
MAX_SCRYPT_MEMORY = 64 * 1024 * 1024  # bytes


class Terms(NamedTuple):
    """`max_iterations` bounds each key derivation; what opening the store itself needs may sum up to four times that.

    `old_algorithms` False keeps decrepit.py out of this process. `verify_with` is the certificate or public key (X.509,
    DER) that a signed BCFKS store must have been signed with.
    """

    max_iterations: int = MAX_ITERATIONS
    max_scrypt_memory: int = MAX_SCRYPT_MEMORY
    old_algorithms: bool = True
    verify_with: bytes | None = None


class Source:
    """What is being read: its name in messages, its type, and the terms."""

    def __init__(self, name: str, kind: str, terms: Terms = Terms()) -> None:  # noqa: B008  it is immutable
        self.name = name
        self.kind = kind
        self.terms = terms
        self.opening = True  # until the store is read: what is derived later, one key at a time, is not summed
        self._spent = 0

    def conversion(self) -> str:
        """The command that makes a BCFKS store of it."""
        from pathlib import Path

        suffix = ".pbkdf2.bcfks" if self.kind == "BCFKS" else ".bcfks"
        return conversion_command(self.name, self.kind, Path(self.name.replace("\0", "")).with_suffix(suffix))

    def spend(self, iterations: int) -> None:
        """Count a derivation that opening the store needs, before it is made. Raises TooExpensive."""
        self._spent += iterations if self.opening else 0
        if self._spent > _DERIVATIONS * self.terms.max_iterations:
            asked = f"{self._spent} iterations of key derivation to be opened"
            raise too_expensive(self.name, f"{asked} (at most {_DERIVATIONS * self.terms.max_iterations} are allowed)")

    def allow(self, iterations: int, where: str) -> None:
        """Raises TooExpensive."""
        if iterations > self.terms.max_iterations:
            most = self.terms.max_iterations
            raise too_expensive(where, f"{iterations} iterations of key derivation (at most {most} are allowed)")

    def allow_scrypt(self, n: int, r: int, p: int, where: str) -> None:
        """scrypt's memory (RFC 7914) and its work, which grows with memory times p. Raises TooExpensive."""
        most = self.terms.max_scrypt_memory
        if 128 * r * (n + p + 2) > most or n * r * p > most >> 3:
            raise too_expensive(where, f"scrypt with N={n}, r={r}, p={p} (at most {most >> 20} MB are allowed)")

    def decrepit(self, what: str, where: str) -> ModuleType:
        """The module of old algorithms, because `where` is protected with `what`. Raises NotApproved, OldAlgorithm."""
        from openmid.keystore.refusals import fips_enforced

        if fips_enforced():
            raise self.not_approved(what, where)
        if not self.terms.old_algorithms:
            raise OldAlgorithm(
                f"{where} is protected with {what}, which is too old for this process",
                f"convert it: {self.conversion()}",
            )
        from importlib import import_module

        return import_module("openmid.keystore.decrepit")  # the only way there is: see .importlinter

    def refuse_unless_approved(self, kdf: str, where: str) -> None:
        """In FIPS Enforced Mode: what `fips.policy` says of a key derivation. Raises NotApproved."""
        from openmid.keystore.refusals import fips_enforced

        if fips_enforced():
            from openmid.fips import policy

            if policy.approve_kdf(kdf):
                raise self.not_approved(kdf, where)

    def not_approved(self, what: str, where: str) -> NotApproved:
        from openmid.fips import policy

        return NotApproved(
            f"{where} is not opened, though the file is whole: {policy.refuse_protection(what)}",
            f"convert it: {self.conversion()}",
        )


def too_expensive(where: str, asked: str) -> TooExpensive:
    return TooExpensive(
        f"{where} asks for {asked}, which no writer of keystores does",
        "take the file from where it was made again; a file like this is made to exhaust the reader",
    )

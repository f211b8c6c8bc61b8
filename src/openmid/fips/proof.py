"""The proof of FIPS Enforced Mode, by what happens: approved operations succeed, unapproved ones are refused."""

from __future__ import annotations

from dataclasses import dataclass


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
class Proof:
    """The result: `enforced` only if every check of every libcrypto passed; else `reason` is one sentence."""

    enforced: bool
    provider_name: str
    provider_version: str
    provider_build: str
    time: str  # ISO 8601, UTC
    libcryptos: tuple[LibcryptoProof, ...]
    reason: str = ""

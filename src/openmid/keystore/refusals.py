"""How cryptography says no, and whether it is FIPS Enforced Mode that makes it say so."""

from __future__ import annotations


def refusals(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What its loaders raise for bad bytes, bad passwords and algorithms that this process's OpenSSL does not offer.

    InternalError is among them: an enforced OpenSSL answers some calls with an error that cryptography does not expect.
    """
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm

    return (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, InternalError, *more)


def fips_enforced() -> bool:
    """By behaviour: an enforced cryptography has no MD5."""
    from cryptography.hazmat.primitives.hashes import MD5, Hash

    try:
        Hash(MD5())  # noqa: S303  a question, not a digest
    except refusals():
        return True
    return False

"""The only key generator of the project.

cryptography's generators use OpenSSL's low-level ones, which bypass the FIPS provider; `openssl genpkey` under the
staged configuration does not. Keys travel over a pipe: never through a file, never on a command line.
"""

from __future__ import annotations

import os
from _ssl import RAND_bytes  # ssl.RAND_bytes, without the 10 ms that ssl itself takes to load
from typing import TYPE_CHECKING

from openmid.fips.errors import KeyGenerationFailed

if TYPE_CHECKING:
    from pathlib import Path

ALGORITHMS = {
    "RSA-2048": ("RSA", "rsa_keygen_bits:2048"),
    "RSA-3072": ("RSA", "rsa_keygen_bits:3072"),
    "RSA-4096": ("RSA", "rsa_keygen_bits:4096"),
    "P-256": ("EC", "ec_paramgen_curve:P-256"),
    "P-384": ("EC", "ec_paramgen_curve:P-384"),
    "P-521": ("EC", "ec_paramgen_curve:P-521"),
}


def generate(algorithm: str = "RSA-3072", conf: Path | None = None) -> bytes:
    """A new private key as PKCS#8 DER, clear. `conf` is the staged configuration of `ssl` in enforced mode; without it
    the configuration under which this process was started applies, if any. Raises KeyGenerationFailed."""
    import base64

    from openmid.fips import openssl

    if algorithm not in ALGORITHMS:
        raise KeyGenerationFailed(f"{algorithm} is not one of {', '.join(ALGORITHMS)}")
    kind, option = ALGORITHMS[algorithm]
    done = openssl.run("genpkey", "-algorithm", kind, "-pkeyopt", option, conf=conf)
    rows = done.stdout.split()
    if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN PRIVATE KEY-----"):
        raise KeyGenerationFailed(f"openssl genpkey did not make the {algorithm} key: {openssl.complaint(done)}")
    return base64.b64decode(b"".join(rows[3:-3]))  # between the words of the two PEM lines


def random_bytes(count: int) -> bytes:
    """From the DRBG of `ssl`'s libcrypto, which in enforced mode is the provider's."""
    return RAND_bytes(count)


def token() -> str:
    """256 random bits, as 43 letters, digits, hyphens and underscores."""
    import base64

    return base64.urlsafe_b64encode(random_bytes(32)).rstrip(b"=").decode()


_drawn: list[str] = []
DRAWN_AT_ONCE = 64
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drawn.clear)  # else both would use the same


def identifier() -> str:
    """128 random bits, as 32 hex digits. For names, not for secrets: they are drawn many at a time."""
    try:
        return _drawn.pop()
    except IndexError:
        digits = random_bytes(16 * DRAWN_AT_ONCE).hex()
        _drawn.extend(digits[at : at + 32] for at in range(32, len(digits), 32))
        return digits[:32]

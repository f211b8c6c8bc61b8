"""How programs turn a password's text into bytes. For letters beyond ASCII, and for no letters at all, they differ."""

from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """`bmp` goes into PKCS#12's own derivation (RFC 7292, B.1: UTF-16BE, terminated), `raw` into PBKDF2 and scrypt."""

    bmp: bytes
    raw: bytes


def readings(password: str | None) -> list[Reading]:
    """Every reading, the likeliest first; one for an ASCII password. A missing password is read like an empty one.

    1. Java, OpenSSL since 1.1.0: UTF-16; PBKDF2 takes UTF-8.
    2. OpenSSL before 1.1.0: each byte of UTF-8 became a character of its own.
    3. A program under a Latin-1 locale.
    4. NSS: PBKDF2 takes the same bytes as PKCS#12's derivation.

    An empty password is a terminator alone (Java, OpenSSL), or no bytes at all (Windows, OpenSSL without a password).
    """
    if not password:
        return [Reading(b"\0\0", b""), Reading(b"", b"")]
    bmp, raw = (password + "\0").encode("utf-16-be", "surrogatepass"), password.encode("utf-8", "surrogatepass")
    found = [Reading(bmp, raw)]
    if not password.isascii():
        found.append(Reading((raw.decode("latin-1") + "\0").encode("utf-16-be"), raw))
        if max(password) <= "\xff":
            found.append(Reading(bmp, password.encode("latin-1")))
    return found


def nss(reading: Reading) -> Reading:
    """Reading 4, for those that try it when all else failed."""
    return Reading(reading.bmp, reading.bmp)

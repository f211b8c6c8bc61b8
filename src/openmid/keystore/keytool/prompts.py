"""Questions on standard error, answers from the terminal (echo off for passwords) or, without one, from standard input."""

from __future__ import annotations

import sys

from openmid.keystore.keytool.options import KeytoolError

MIN_PASSWORD = 6
_ATTEMPTS = 3


def say(text: str, end: str = "\n") -> None:
    """To standard error, where keytool reports."""
    sys.stderr.write(text + end)
    sys.stderr.flush()


def ask(question: str, unanswered: str, hint: str) -> str:
    """One line. Raises KeytoolError with `unanswered` when there is nobody to answer."""
    say(question, end="")
    line = sys.stdin.readline()
    if not line:
        say("")
        raise KeytoolError(unanswered, hint)
    return line.strip()


def yes(question: str, unanswered: str, hint: str) -> bool:
    """keytool's yes/no question; an empty answer is no."""
    while True:
        answer = ask(question, unanswered, hint).lower()
        if answer in ("yes", "y"):
            return True
        if answer in ("no", "n", ""):
            return False
        say("Wrong answer, try again")


def password(question: str, flag: str) -> str:
    """A password, not echoed. Raises KeytoolError when there is nobody to type it."""
    if sys.stdin.isatty():
        from getpass import getpass

        try:
            return getpass(question, stream=sys.stderr)
        except EOFError:
            raise KeytoolError(f"no password was given for {flag}") from None
    say(question, end="")
    line = sys.stdin.readline()
    if not line:
        say("")
        raise KeytoolError(f"no password was given for {flag}", f"give it as {flag}:env VARIABLE or {flag}:file FILE")
    return line.rstrip("\r\n")


def new_password(question: str, flag: str) -> str:
    """A new store's password, typed twice. Raises KeytoolError."""
    for _ in range(_ATTEMPTS):
        first = password(question, flag)
        if len(first) < MIN_PASSWORD:
            say(f"Keystore password is too short - must be at least {MIN_PASSWORD} characters")
        elif password("Re-enter new password: ", flag) == first:
            return first
        else:
            say("They don't match. Try again")
    raise KeytoolError("Too many failures - try later")

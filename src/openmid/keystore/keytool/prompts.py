"""Questions on standard error, answers from the terminal (echo off for passwords) or, without one, from standard input."""

from __future__ import annotations

import sys

from openmid.keystore.errors import on_one_line
from openmid.keystore.keytool.options import PROVIDER_NOTE, KeytoolError, Request, safe

MIN_PASSWORD = 6
_ATTEMPTS = 3


def say(text: str, end: str = "\n") -> None:
    """To standard error, where keytool reports."""
    sys.stderr.write(safe(text) + end)
    sys.stderr.flush()


def note(text: str) -> None:
    """A line that keytool does not have."""
    say(f"note: {on_one_line(text)}")


def ask(question: str, unanswered: str, hint: str) -> str:
    """One line. Raises KeytoolError with `unanswered` when there is nobody to answer."""
    sys.stdout.flush()  # what the question is about may stand there
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
    typed = typed_password(question, flag)
    if typed is None:
        say("")
        raise KeytoolError(f"no password was given for {flag}", f"give it as {flag}:env VARIABLE or {flag}:file FILE")
    return typed


def typed_password(question: str, flag: str) -> str | None:
    """As `password`, with None when there is nobody to type it."""
    if sys.stdin.isatty():
        from getpass import getpass

        try:
            return getpass(safe(question), stream=sys.stderr)
        except EOFError:
            raise KeytoolError(f"no password was given for {flag}") from None
        except UnicodeDecodeError:
            raise KeytoolError("the terminal does not send UTF-8", f"give it as {flag}:file FILE") from None
    say(question, end="")
    line = sys.stdin.readline()
    return line.rstrip("\r\n") if line else None


def new_password(question: str, flag: str) -> str:
    """A new store's password, typed twice. Raises KeytoolError."""
    return _twice(question, "Re-enter new password: ", flag, "Keystore password", None)


def changed_password(what: str, old: str | None) -> str:
    """Another password for something that has one, typed twice. Raises KeytoolError."""
    return _twice(f"New {what}: ", f"Re-enter new {what}: ", "-new", "Password", old)


def _twice(question: str, again: str, flag: str, what: str, old: str | None) -> str:
    for _ in range(_ATTEMPTS):
        first = password(question, flag)
        if len(first) < MIN_PASSWORD:
            say(f"{what} is too short - must be at least {MIN_PASSWORD} characters")
        elif first == old:
            say("Passwords must differ")
        elif password(again, flag) == first:
            return first
        else:
            say("They don't match. Try again")
    raise KeytoolError("Too many failures - try later")


def explain_flags(request: Request) -> None:
    """Under -v: what was accepted without effect, and which passwords other users could read."""
    if request.ignored:
        note(f"{', '.join(request.ignored)}: accepted; {PROVIDER_NOTE}")
    if request.unused:
        note(f"{', '.join(request.unused)}: accepted; {request.command} does not use it")
    if request.exposed:
        first = request.exposed[0]
        note(f"{', '.join(request.exposed)}: other users of this machine can read a password on the command line; "
            f"{first}:env VARIABLE and {first}:file FILE keep it out of process lists")  # fmt: skip

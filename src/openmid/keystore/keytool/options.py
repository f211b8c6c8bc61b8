"""The reading of a command line.

Commands and flags are matched whatever their case, as Java's keytool does. A password flag has three forms:
`-storepass SECRET`, `-storepass:env VARIABLE`, `-storepass:file FILE` (the first line).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from openmid.keystore.errors import on_one_line
from openmid.keystore.keytool.flags import COMMANDS, FLAGS, HELP, NOT_OFFERED, OTHER_NAMES, WAYS_OUT, flags_of

PROVIDER_NOTE = "there is no JVM here and nothing to load: BCFKS is built in"
DEFAULT_ALIAS = "mykey"
# Control characters (C0, DEL, C1) but for tab, LF and CR.
_STEERING = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10, 13)}


def safe(text: str) -> str:
    """For a terminal: without what would steer it; ends of lines and tabs stay."""
    return text.translate(_STEERING)


class KeytoolError(Exception):
    """What goes to standard output after `keytool error: `. `hint` says what to do."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(on_one_line(sentence))
        self.hint = on_one_line(hint)


class UsageError(Exception):
    """A command line that is wrong: `command` is the one whose usage is shown, if any was named."""

    def __init__(self, sentence: str, command: str | None) -> None:
        super().__init__(on_one_line(sentence))
        self.command = command


class Request:
    """A command line that was read. `values` is by flag; switches are there with an empty text."""

    def __init__(self, command: str, wants_help: bool) -> None:
        self.command = command
        self.help = wants_help
        self.values: dict[str, str] = {}
        self.extensions: list[str] = []  # -ext, in order
        self.ignored: list[str] = []  # flags that were accepted without effect, as typed
        self.unused: list[str] = []  # flags of other commands, as typed
        self.exposed: list[str] = []  # password flags whose secret stood on the command line

    def get(self, flag: str) -> str | None:
        return self.values.get(flag)

    def has(self, flag: str) -> bool:
        return flag in self.values

    @property
    def alias(self) -> str:
        """-alias, or what keytool calls an entry that nobody named."""
        return self.values.get("-alias", DEFAULT_ALIAS)

    @property
    def verbose(self) -> bool:
        return "-v" in self.values


def parse(arguments: list[str]) -> Request:
    """Raises UsageError, KeytoolError."""
    command, wants_help = _command(arguments)
    request = Request(command or "", wants_help)
    if wants_help or command is None or command in NOT_OFFERED:
        return request
    own = set(flags_of(command))
    words = iter(arguments)
    for word in words:
        flag, form = _flag(word)
        if flag == command:
            continue
        if word.startswith("-J"):
            request.ignored.append(word)
        elif flag not in FLAGS:
            raise UsageError(f"Illegal option:  {word}", command)
        else:
            if flag not in own and FLAGS[flag][0] in ("", "switch", "password"):
                request.unused.append(word)
            _take(request, flag, word, form, words)
    return request


def _flag(word: str) -> tuple[str, str]:
    """(flag in its one spelling, what follows the colon)."""
    name, _, form = word.partition(":")
    return OTHER_NAMES.get(name.lower(), name.lower()), form


def _command(arguments: list[str]) -> tuple[str | None, bool]:
    """(the one command, whether help is asked for). A flag's argument is skipped: it may look like either."""
    commands: list[str] = []
    wants_help = False
    words = iter(arguments)
    for word in words:
        flag, _ = _flag(word)
        if flag in FLAGS and FLAGS[flag][1]:
            next(words, None)
        elif flag in COMMANDS or flag in NOT_OFFERED:
            commands.append(flag)
        elif flag in HELP:
            wants_help = True
    if len(commands) > 1:
        both = f"both {commands[0]} and {commands[1]} were specified."
        raise KeytoolError(f"Only one command is allowed: {both}")
    if not commands and arguments and not wants_help:
        raise UsageError(f"Illegal option:  {arguments[0]}", None)
    return (commands[0] if commands else None), wants_help


def _take(request: Request, flag: str, word: str, form: str, words: Iterator[str]) -> None:
    role, called, text = FLAGS[flag]
    if role.startswith("refused"):
        what = text.partition(":")[0]
        raise KeytoolError(f"{word} is not offered: {what}", WAYS_OUT.get(flag, "name a file with its password"))
    if not called:
        request.values[flag] = ""
        return
    argument = next(words, None)
    if argument is None:
        raise UsageError(f"Command option {word} needs an argument.", request.command)
    if role == "provider":
        request.ignored.append(word)
        return
    if role == "password":
        if not form:
            request.exposed.append(word)
        argument = _secret(argument, form, word, request.command)
    elif form:
        raise UsageError(f"Illegal option:  {word}", request.command)
    if flag == "-ext":
        request.extensions.append(argument)
    request.values[flag] = argument


def _secret(argument: str, form: str, word: str, command: str) -> str:
    if not form:
        return argument
    if form.lower() == "env":
        if argument not in os.environ:
            raise UsageError(f"Cannot find environment variable: {argument}", command)
        return os.environ[argument]
    if form.lower() == "file":
        return _first_line(argument, command)
    raise UsageError(f"Illegal option:  {word}", command)


def _first_line(path: str, command: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123  pathlib is not loaded for a start
            text = file.read()
    except FileNotFoundError:
        raise UsageError(f"Cannot find file: {path}", command) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"Cannot read file: {path} ({type(error).__name__})", command) from None
    return text.splitlines()[0] if text else ""

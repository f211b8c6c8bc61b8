"""Every command and flag, in one table, and the reading of a command line by it.

Commands and flags are matched whatever their case, as Java's keytool does. A password flag has three forms:
`-storepass SECRET`, `-storepass:env VARIABLE`, `-storepass:file FILE` (the first line).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class KeytoolError(Exception):
    """What goes to standard output after `keytool error: `. `hint` says what to do."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint


class UsageError(Exception):
    """A command line that is wrong: `command` is the one whose usage is shown, if any was named."""

    def __init__(self, sentence: str, command: str | None) -> None:
        super().__init__(sentence)
        self.command = command


class Option(NamedTuple):
    """A flag. `argument` is empty for a switch; `role` is "", "password", "provider" or "refused"."""

    name: str
    argument: str
    help: str
    role: str = ""


class Command(NamedTuple):
    """A command. Without options it is one that is known and not offered yet; then `instead` says what to do."""

    summary: str
    options: tuple[Option, ...] = ()
    instead: str = ""


PROVIDER_NOTE = "there is no JVM here and nothing to load: BCFKS is built in"
_REFUSED = "refused"
_PROVIDERS = (
    Option("-addprovider", "name", "accepted, without effect", "provider"),
    Option("-providerclass", "name", "accepted, without effect (also -provider)", "provider"),
    Option("-providerarg", "arg", "accepted, without effect", "provider"),
    Option("-providerpath", "list", "accepted, without effect", "provider"),
)

COMMANDS: dict[str, Command] = {
    "-importkeystore": Command(
        "Imports one or all entries from another keystore",
        (
            Option("-srckeystore", "keystore", "source keystore name"),
            Option("-destkeystore", "keystore", "destination keystore name"),
            Option(
                "-srcstoretype", "type", "source keystore type: BCFKS, PKCS12 or PEM (told by content if not given)"
            ),
            Option("-deststoretype", "type", "destination keystore type: BCFKS or PKCS12"),
            Option("-srcstorepass", "arg", "source keystore password", "password"),
            Option("-deststorepass", "arg", "destination keystore password", "password"),
            Option("-srcprotected", "", "source keystore on a token: not offered", _REFUSED),
            Option("-destprotected", "", "destination keystore on a token: not offered", _REFUSED),
            Option("-srcprovidername", "name", "accepted, without effect", "provider"),
            Option("-destprovidername", "name", "accepted, without effect", "provider"),
            Option("-srcalias", "alias", "source alias"),
            Option("-destalias", "alias", "destination alias"),
            Option("-srckeypass", "arg", "source key password", "password"),
            Option("-destkeypass", "arg", "destination key password", "password"),
            Option("-noprompt", "", "do not prompt"),
            *_PROVIDERS,
            Option("-v", "", "verbose output"),
        ),
    ),
    "-list": Command(
        "Lists entries in a keystore",
        (
            Option("-rfc", "", "output in RFC style"),
            Option("-alias", "alias", "alias name of the entry to process"),
            Option("-keystore", "keystore", "keystore name"),
            Option("-cacerts", "", "Java's own truststore: not offered", _REFUSED),
            Option("-storepass", "arg", "keystore password", "password"),
            Option("-storetype", "type", "keystore type: BCFKS, PKCS12 or PEM (told by content if not given)"),
            Option("-providername", "name", "accepted, without effect", "provider"),
            *_PROVIDERS,
            Option("-v", "", "verbose output"),
            Option("-protected", "", "keystore on a token: not offered", _REFUSED),
        ),
    ),
    "-certreq": Command("Generates a certificate request", instead="openssl req -new"),
    "-changealias": Command("Changes an entry's alias", instead="-importkeystore with -srcalias and -destalias"),
    "-delete": Command("Deletes an entry", instead="-importkeystore of the entries to keep into a new keystore"),
    "-exportcert": Command("Exports certificate", instead="-list -rfc -alias ALIAS"),
    "-gencert": Command("Generates certificate from a certificate request", instead="openssl x509 -req"),
    "-genkeypair": Command("Generates a key pair", instead="openssl genpkey, then -importkeystore -srcstoretype PEM"),
    "-genseckey": Command("Generates a secret key", instead="Java's keytool"),
    "-importcert": Command(
        "Imports a certificate or a certificate chain",
        instead="-importkeystore -srcstoretype PEM (key and chain in one file)",
    ),
    "-importpass": Command("Imports a password", instead="Java's keytool"),
    "-keypasswd": Command("Changes the key password of an entry", instead="-importkeystore with -destkeypass"),
    "-printcert": Command("Prints the content of a certificate", instead="openssl x509 -text"),
    "-printcertreq": Command("Prints the content of a certificate request", instead="openssl req -text"),
    "-printcrl": Command("Prints the content of a CRL file", instead="openssl crl -text"),
    "-storepasswd": Command("Changes the store password of a keystore", instead="-importkeystore into a new keystore"),
    "-showinfo": Command("Displays security-related information", instead="Java's keytool"),
}
_OTHER_NAMES = {
    "-export": "-exportcert",
    "-import": "-importcert",
    "-genkey": "-genkeypair",
    "-provider": "-providerclass",
}
_HELP = ("-help", "-h", "-?", "--help")


class Request(NamedTuple):
    """A command line that was read. `values` is by flag; switches are there with an empty text."""

    command: str
    values: dict[str, str]
    ignored: list[str]  # flags that were accepted without effect, as typed
    exposed: list[str]  # password flags whose secret stood on the command line
    help: bool

    def get(self, flag: str) -> str | None:
        return self.values.get(flag)

    def has(self, flag: str) -> bool:
        return flag in self.values


def parse(arguments: list[str]) -> Request:
    """Raises UsageError, KeytoolError."""
    command, wants_help = _command(arguments)
    request = Request(command or "", {}, [], [], wants_help)
    if wants_help or command is None or not COMMANDS[command].options:
        return request
    options = {option.name: option for option in COMMANDS[command].options}
    words = iter(arguments)
    for word in words:
        flag, form = _flag(word)
        if flag == command:
            continue
        if word.startswith("-J"):
            request.ignored.append(word)
        elif flag not in options:
            raise UsageError(f"Illegal option:  {word}", command)
        else:
            _take(request, options[flag], word, form, words)
    return request


def _flag(word: str) -> tuple[str, str]:
    """(flag in its one spelling, what follows the colon)."""
    name, _, form = word.partition(":")
    return _OTHER_NAMES.get(name.lower(), name.lower()), form


def _command(arguments: list[str]) -> tuple[str | None, bool]:
    """(the one command, whether help is asked for). A flag's argument is skipped: it may look like either."""
    with_argument = {option.name for command in COMMANDS.values() for option in command.options if option.argument}
    commands: list[str] = []
    wants_help = False
    words = iter(arguments)
    for word in words:
        flag, _ = _flag(word)
        if flag in with_argument:
            next(words, None)
        elif flag in COMMANDS:
            commands.append(flag)
        elif flag in _HELP:
            wants_help = True
    if len(commands) > 1:
        both = f"both {commands[0]} and {commands[1]} were specified."
        raise UsageError(f"Only one command is allowed: {both}", commands[0])
    if not commands and arguments and not wants_help:
        raise UsageError(f"Illegal option:  {arguments[0]}", None)
    return (commands[0] if commands else None), wants_help


def _take(request: Request, option: Option, word: str, form: str, words: object) -> None:
    if not option.argument:
        if option.role == _REFUSED:
            raise KeytoolError(
                f"{word} is not offered: {option.help.partition(':')[0]}", "name a file with its password"
            )
        request.values[option.name] = ""
        return
    argument = next(words, None)  # type: ignore[call-overload]
    if not isinstance(argument, str):
        raise UsageError(f"Command option {word} needs an argument.", request.command)
    if option.role == "provider":
        request.ignored.append(word)
        return
    if option.role == "password":
        if not form:
            request.exposed.append(word)
        argument = _secret(argument, form, word, request.command)
    elif form:
        raise UsageError(f"Illegal option:  {word}", request.command)
    request.values[option.name] = argument


def _secret(argument: str, form: str, word: str, command: str) -> str:
    if not form:
        return argument
    if form.lower() == "env":
        if argument not in os.environ:
            raise UsageError(f"Cannot find environment variable: {argument}", command)
        return os.environ[argument]
    if form.lower() == "file":
        try:
            text = Path(argument).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UsageError(f"Cannot find file: {argument}", command) from None
        except (OSError, ValueError) as error:
            raise UsageError(f"Cannot read file: {argument} ({type(error).__name__})", command) from None
        return text.splitlines()[0] if text else ""
    raise UsageError(f"Illegal option:  {word}", command)


def usage(command: str | None) -> str:
    """A command's options, or all commands."""
    if command is None:
        return _overview()
    options = COMMANDS[command].options
    left = {option: f"{option.name} <{option.argument}>" if option.argument else option.name for option in options}
    width = max((len(text) for text in left.values()), default=0)
    lines = [f"keytool {command} [OPTION]...", "", COMMANDS[command].summary, ""]
    if options:
        lines += ["Options:", "", *(f" {left[option]:<{width}}  {option.help}" for option in options), ""]
        lines += [
            "A password flag also has the forms FLAG:env VARIABLE and FLAG:file FILE, which keep it out of process lists."
        ]
    else:
        lines += [f"Not offered yet. Instead: {COMMANDS[command].instead}"]
    return "\n".join([*lines, *_EXAMPLES.get(command, [])])


_EXAMPLES = {
    "-importkeystore": [
        "",
        "A client certificate for a MID Server in FIPS Enforced Mode:",
        "",
        " keytool -importkeystore -v -srckeystore client.p12 -srcstoretype PKCS12 -srcstorepass:env SOURCE_PASSWORD \\",
        "   -destkeystore client.bcfks -deststoretype BCFKS -deststorepass:env STORE_PASSWORD",
        "",
        "The same from PEM (key and chain in one file): -srcstoretype PEM, with -srcstorepass if the key is encrypted.",
    ],
    "-list": ["", "What is in a keystore:", "", " keytool -list -keystore client.bcfks -storepass:env STORE_PASSWORD"],
}


def _overview() -> str:
    width = max(len(name) for name in COMMANDS)
    offered = [f" {name:<{width}}  {command.summary}" for name, command in COMMANDS.items() if command.options]
    known = [f" {name:<{width}}  {command.summary}" for name, command in COMMANDS.items() if not command.options]
    tail = 'Use "keytool -command_name --help" for usage of command_name.'
    return "\n".join(
        [
            "Key and Certificate Management Tool (openmid's own: there is no JVM)",
            "",
            "Commands:",
            "",
            *offered,
            "",
            "Known, not offered yet (each answers with what to do instead):",
            "",
            *known,
            *_EXAMPLES["-importkeystore"],
            "",
            tail,
        ]
    )

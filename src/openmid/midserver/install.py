"""`openmid mid install`: the folder of one MID Server, from the files in skeleton/."""

from __future__ import annotations

import re
import shlex
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from openmid import system
from openmid.midserver.config import Config, write_atomic
from openmid.midserver.errors import ConfigError, InstallError

SKELETON = Path(__file__).parent / "skeleton"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
FOLDERS = {
    "bin": 0o755,
    "bin/scripts": 0o755,
    "jre": 0o755,
    "jre/bin": 0o755,
    "lib": 0o755,
    "logs": 0o750,
    "security": 0o700,
    "work": 0o700,
}
TRUSTSTORE, TOKEN, CREDENTIAL = "security/truststore.pem", "security/enrolment.token", "security/credential"
KEYTOOL_LINK, KEYTOOL_TARGET = "jre/bin/keytool", "../../bin/keytool"


@dataclass(frozen=True)
class Wish:
    """What the command line asks for; `ca` and `token` are the files' content."""

    url: str
    name: str
    ca: str
    token: str


def wish(url: str, name: str, ca: Path, token: Path) -> Wish:
    """The wish, checked before anything is written.

    Raises:
        InstallError: not an https URL, not a name, not a PEM certificate, not a token.
    """
    parts = urlsplit(url)
    if parts.username is not None:
        raise InstallError(
            "the URL holds a user name", "a MID Server has a credential of its own: leave user:password@ out"
        )
    if parts.scheme != "https" or not parts.hostname:
        raise InstallError(f"{url} is not the URL of an instance", "it begins with https:// and a host name")
    if not NAME.fullmatch(name):
        raise InstallError(
            f'"{name}" is not a name for a MID Server', "letters, digits, _ . - and no more than 80 of them"
        )
    pem, secret = _text(ca), _text(token).strip()
    try:
        # No handshake, no key: a look at the file, before FIPS Enforced Mode can be a question.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise InstallError(f"{ca} holds no PEM certificate", "take tls/ca.pem of the instance's folder") from error
    if not secret or len(secret.split()) != 1:
        raise InstallError(
            f"{token} holds no enrolment token", f"make one: openmid instance mid token {name} --output FILE"
        )
    return Wish(url.rstrip("/"), name, pem, secret)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError as error:
        raise InstallError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InstallError(f"{path} is not a text file") from error


def install(folder: Path, wanted: Wish) -> tuple[Path, bool]:
    """The agent folder, and whether it is new. A second call renews scripts, and the token of one not enrolled yet.

    Raises:
        InstallError: another MID Server lives there, or it cannot be written.
    """
    agent = (folder / "agent").resolve()
    try:
        new = not _is_there(agent, wanted)
        _lay_out(agent)
        if new:
            write_atomic(agent / TRUSTSTORE, wanted.ca.encode(), 0o644)
        if not (agent / CREDENTIAL).exists():
            write_atomic(agent / TOKEN, wanted.token.encode())
        if new:  # last: a folder with a config.xml is complete
            write_atomic(agent / "config.xml", _config(wanted).encode())
    except OSError as error:
        raise InstallError(f"{error.filename or agent} cannot be written: {error.strerror}") from error
    return agent, new


def _is_there(agent: Path, wanted: Wish) -> bool:
    if not (agent / "config.xml").exists():
        if agent.exists() and not _ours(agent):
            raise InstallError(f"{agent} exists and is not a MID Server's folder", "choose an empty folder")
        return False
    try:
        found = Config.read(agent)
    except ConfigError as error:
        raise InstallError(
            f"{agent} holds a MID Server whose configuration cannot be read: {error}", error.hint
        ) from error
    name, url = found.parameter("name"), found.parameter("url").rstrip("/")
    if (name, url) != (wanted.name, wanted.url):
        raise InstallError(
            f"{agent} holds the MID Server {name} of {url} already", "choose another folder, or remove that one first"
        )
    return True


def _ours(agent: Path) -> bool:
    """Empty, or what an installation that was cut short left."""
    known = {Path(name).parts[0] for name in FOLDERS}
    return agent.is_dir() and all(entry.name in known or entry.name.startswith(".") for entry in agent.iterdir())


def _lay_out(agent: Path) -> None:
    # Parents that `mkdir` makes by itself have the umask's mode: each one that matters is made by name.
    for folder in (agent.parent, agent):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, mode in FOLDERS.items():
        (agent / name).mkdir(mode=mode, exist_ok=True)
    for source in sorted(path for path in SKELETON.rglob("*") if path.is_file() and path.name != "config.xml"):
        relative = source.relative_to(SKELETON)
        mode = 0o755 if relative.parts[0] == "bin" else 0o644
        write_atomic(agent / relative, _script(source).encode(), mode)
    for name in ("security", "work"):
        system.HERE.make_private(agent / name)
    _link_keytool(agent)


def _script(source: Path) -> str:
    """A script of the skeleton with this Python in it; those for Windows with Windows' quotes and line ends."""
    text = source.read_text("utf-8")
    if source.suffix != ".bat":
        return text.replace("@PYTHON@", shlex.quote(sys.executable))
    python = sys.executable.replace("%", "%%")
    return text.replace("@PYTHON@", f'"{python}"').replace("\n", "\r\n")


def _link_keytool(agent: Path) -> None:
    """jre/bin/keytool: a link, or on Windows, where links are not for everybody, a script that calls the other."""
    if system.HERE.windows:
        write_atomic(agent / f"{KEYTOOL_LINK}.bat", b'@"%~dp0..\\..\\bin\\keytool.bat" %*\r\n', 0o755)
    elif not (agent / KEYTOOL_LINK).is_symlink():
        (agent / KEYTOOL_LINK).symlink_to(KEYTOOL_TARGET)


def _config(wanted: Wish) -> str:
    text = (SKELETON / "config.xml").read_text("utf-8")
    for mark, value in (('"@URL@"', wanted.url), ('"@NAME@"', wanted.name)):
        text = text.replace(mark, quoteattr(value))
    return text

"""agent/config.xml: the product's `<parameters>` with `<parameter name= value=/>`, and the `<egress>` rules.

A value is changed in place, so that comments, order and formatting stay as the administrator left them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Self
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import quoteattr

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from openmid import system
from openmid.midserver.errors import ConfigError, remedy
from openmid.system import write_atomic as write_atomic

FILE = "config.xml"
FIPS_ENFORCED = "mid.fips.enforced"
ENCRYPTED = "encrypted:v1:"
"""What a value begins with that `secure_values` has encrypted in place."""

# A comment (skipped, never changed), or one <parameter> tag whatever its attributes and quotes.
_TAG = re.compile(r"<!--.*?-->|<parameter(?:\s+[\w.:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/?>", re.DOTALL)
_ATTRIBUTE = re.compile(r"([\w.:-]+)\s*=\s*(\"[^\"]*\"|'[^']*')")


def agent_folder(folder: Path) -> Path:
    """The agent folder for `--dir`, which may name it or the folder around it.

    Raises:
        ConfigError: there is no MID Server.
    """
    for candidate in (folder, folder / "agent"):
        if (candidate / FILE).is_file():
            return candidate.resolve()
    raise ConfigError(f"there is no MID Server in {folder}", "openmid mid install DIR lays one out")


def sync_folder(folder: Path) -> None:
    """Let what was renamed or removed in `folder` be on the disk."""
    system.HERE.sync_folder(folder)


class Config:
    """One agent/config.xml. Changes are in memory until `save`."""

    def __init__(self, agent: Path, text: str) -> None:
        self.agent = agent
        self._text = text
        self._root = _parse(agent / FILE, text)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The configuration of the MID Server in `folder` (DIR or DIR/agent).

        Raises:
            ConfigError: missing, unreadable, or not the XML that it should be.
        """
        agent = agent_folder(folder)
        try:
            return cls(agent, (agent / FILE).read_bytes().decode())  # line ends stay as they are
        except UnicodeDecodeError as error:
            raise ConfigError(f"{agent / FILE} is not written in UTF-8", "save it as UTF-8") from error
        except OSError as error:
            raise ConfigError(f"{agent / FILE} cannot be read: {_reason(error)}", remedy(error)) from error

    @property
    def path(self) -> Path:
        """The file."""
        return self.agent / FILE

    def parameter(self, name: str, default: str = "") -> str:
        """A parameter's value; `default` when it is absent or empty. The last one counts, as in the product.

        A value that was encrypted in place is opened, which imports cryptography.

        Raises:
            ConfigError: it is encrypted, and does not open with this MID Server's secret.key.
        """
        value = self.parameters().get(name, "")
        if value.startswith(ENCRYPTED):
            from openmid.midserver import secure_values

            value = secure_values.opened(self.agent, name, value)
        return value or default

    def parameters(self) -> dict[str, str]:
        """Every parameter as it stands in the file: encrypted values are encrypted."""
        return {one.get("name", ""): one.get("value", "") for one in self._root.iter("parameter")}

    def encrypt(self, seal: Callable[[str, str], str]) -> list[str]:
        """Put `seal(name, value)` in place of every clear value of a parameter with secure="true". Returns the names."""
        names: list[str] = []

        def change(tag: re.Match[str]) -> str:
            if tag[0].startswith("<!--"):
                return tag[0]
            found = fromstring(tag[0].rstrip("/>") + "/>")
            name, value = found.get("name", ""), found.get("value", "")
            if found.get("secure") != "true" or not value or value.startswith(ENCRYPTED):
                return tag[0]
            names.append(name)
            return _with_value(tag[0], seal(name, value))

        changed = _TAG.sub(change, self._text)
        self._root = _parse(self.path, changed)
        self._text = changed
        return names

    def required(self, name: str) -> str:
        """A parameter that there is no default for.

        Raises:
            ConfigError: absent or empty.
        """
        value = self.parameter(name)
        if not value:
            raise ConfigError(f'{self.path} has no value for the parameter "{name}"', "add it, or install anew")
        return value

    def number(self, name: str, default: int, smallest: int, largest: int) -> int:
        """A whole number.

        Raises:
            ConfigError: something else, or out of bounds.
        """
        value = self.parameter(name, str(default))
        if not value.isdecimal() or not smallest <= int(value) <= largest:
            sentence = f'the parameter "{name}" in {self.path} is "{value}"'
            raise ConfigError(sentence, f"a whole number from {smallest} to {largest} belongs there")
        return int(value)

    @property
    def fips_enforced(self) -> bool:
        """Whether this MID Server may only run in FIPS Enforced Mode."""
        value = self.parameter(FIPS_ENFORCED, "false")
        if value not in ("true", "false"):
            # A typing mistake must never switch the mode off.
            raise ConfigError(
                f'the parameter "{FIPS_ENFORCED}" in {self.path} is "{value}"', "true or false belongs there"
            )
        return value == "true"

    def elements(self, group: str) -> list[Element]:
        """The elements within `<group>`, in order."""
        return [element for found in self._root.iter(group) for element in found]

    def set_parameter(self, name: str, value: str) -> None:
        """Change a parameter where it stands, or add it at the end of `<parameters>`."""
        changed, count = self._replaced(name, value)
        if not count:
            head, _, tail = self._text.rpartition("</parameters>")
            changed = (
                f"{head.rstrip()}\n  <parameter name={quoteattr(name)} value={quoteattr(value)}/>\n</parameters>{tail}"
            )
        self._root = _parse(self.path, changed)
        self._text = changed
        if self.parameters().get(name) != value:
            raise ConfigError(f'the parameter "{name}" cannot be written to {self.path}', "set it by hand")

    def _replaced(self, name: str, value: str) -> tuple[str, int]:
        count = 0

        def change(tag: re.Match[str]) -> str:
            nonlocal count
            attributes = dict(_ATTRIBUTE.findall(tag[0])) if not tag[0].startswith("<!--") else {}
            if attributes.get("name", "")[1:-1] != name:
                return tag[0]
            count += 1
            if "value" not in attributes:
                return tag[0].replace("<parameter", f"<parameter value={quoteattr(value)}", 1)
            return _with_value(tag[0], value)

        return _TAG.sub(change, self._text), count

    @property
    def content(self) -> bytes:
        """What `save` writes."""
        return self._text.encode()

    def save(self) -> None:
        """Write the file, whole or not at all, with the permissions that it has.

        Raises:
            ConfigError: it cannot be written.
        """
        try:
            target = self.path.resolve()  # a link stays a link
            write_atomic(target, self.content, target.stat().st_mode & 0o777)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {_reason(error)}", remedy(error)) from error


def _with_value(tag: str, value: str) -> str:
    return re.sub(r"(\svalue\s*=\s*)(\"[^\"]*\"|'[^']*')", lambda m: m[1] + quoteattr(value), tag, count=1)


def _parse(path: Path, text: str) -> Element:
    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ConfigError(f"{path} holds a document type declaration", "take it out: no entity is read") from error
    except ParseError as error:
        raise ConfigError(f"{path} is not well-formed XML: {error}", "mend it, or restore a backup") from error
    if root.tag != "parameters":
        raise ConfigError(f"{path} begins with <{root.tag}>, not with <parameters>", "mend it, or restore a backup")
    return root


def _reason(error: OSError) -> str:
    """An operating system's words, without the path that the sentence has already."""
    return error.strerror or str(error)

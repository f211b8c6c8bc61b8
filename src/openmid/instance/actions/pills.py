"""Data pills: places in a step's text that an execution fills in. No code is evaluated.

    {{inputs.NAME}}                   an input of the action
    {{steps.STEP.outputs.NAME}}       an output of an earlier step
    {{steps.STEP.status_code}}        its Status Code
    {{steps.STEP.headers.NAME}}       a header of its answer, the first of that name
    {{steps.STEP.body}}               its body as text
    {{steps.STEP.attachment}}         the sys_id of the attachment that it saved

What stands in a pill is a value, never syntax: it is escaped for the place it stands in (`path`, `json`, `xml`).
Other double braces are text.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from openmid.instance.errors import InstanceError

_PILL = re.compile(r"\{\{\s*((?:inputs|steps)\.[^{}]{1,300}?)\s*\}\}")
_OF_A_STEP = re.compile(r"(.+)\.(?:(status_code|body|attachment)|(outputs|headers)\.([^.]+))", re.DOTALL)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML 1.0, section 2.2
_XML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;"}  # a bare one becomes \n
_CDATA = re.compile(r"<!--.*?-->|<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
Field = Literal["input", "outputs", "headers", "status_code", "body", "attachment"]


class PillError(InstanceError):
    """Raised where a pill means nothing, or its value cannot stand where it should."""


@dataclass(frozen=True)
class Pill:
    """What a pill means: an input's `name`, or a `field` of the step `step`, with the output's or header's `name`."""

    text: str
    field: Field
    name: str = ""
    step: str = ""

    def value(self, values: Mapping[str, Any]) -> Any:
        """What it stands for: `values` has `inputs` and, by name, `steps`; None where there is nothing."""
        if self.field == "input":
            return values.get("inputs", {}).get(self.name)
        of_step = values.get("steps", {}).get(self.step, {})
        if self.field == "headers":
            return of_step.get("headers", {}).get(self.name.lower())
        return of_step.get("outputs", {}).get(self.name) if self.field == "outputs" else of_step.get(self.field)


def parse(text: str) -> Pill:
    """What stands between the braces.

    Raises:
        PillError: it is no pill.
    """
    kind, _, rest = text.partition(".")
    if kind == "inputs":
        return Pill(text, "input", rest)
    found = _OF_A_STEP.fullmatch(rest)
    if found is None:
        raise PillError(
            f"{{{{{text}}}}} is not a data pill",
            "write {{steps.STEP.outputs.NAME}}, .headers.NAME, .status_code, .body or .attachment",
        )
    step, plain, named, name = found.groups()
    return Pill(text, plain or named, name or "", step)  # type: ignore[arg-type]  # the pattern has only these


def pills(text: str) -> Iterator[Pill]:
    """The pills of a text, in order.

    Raises:
        PillError.
    """
    return (parse(found[1]) for found in _PILL.finditer(text))


def has_pills(text: str) -> bool:
    """Whether there is anything to fill in."""
    return _PILL.search(text) is not None


def renamed(text: str, old: str, new: str) -> str:
    """The text with the step `old` called `new`."""
    return re.sub(
        r"(\{\{\s*steps\.)" + re.escape(old) + r"(?=\.(?:outputs|headers|status_code|body|attachment))",
        lambda found: found[1] + new,
        text,
    )


def plain(text: str, values: Mapping[str, Any]) -> str:
    """Filled in as it is: a header's value, a query parameter, a text."""
    return _filled(text, lambda pill: as_text(pill.value(values)))


def path(text: str, values: Mapping[str, Any]) -> str:
    """Filled in with every character but the unreserved ones escaped (RFC 3986, section 2.3).

    Raises:
        PillError: a value makes a segment `.` or `..`, which leads elsewhere.
    """
    filled = _filled(text, lambda pill: urllib.parse.quote(as_text(pill.value(values)), safe=""))
    if has_pills(text) and any(segment in (".", "..") for segment in filled.split("/")):
        raise PillError(f"the resource path {text} becomes {filled}, which leads elsewhere", "look at the value given")
    return filled


def xml(text: str, values: Mapping[str, Any]) -> str:
    """Filled in as character data; in a CDATA section, where nothing is escaped, as it is.

    Raises:
        PillError: a value has a character that XML cannot hold.
    """

    def checked(pill: Pill) -> str:
        value = as_text(pill.value(values))
        if _NOT_XML.search(value):
            raise PillError(f"{{{{{pill.text}}}}} has a character that XML cannot hold", "look at the value given")
        return value

    def escaped(pill: Pill) -> str:
        return "".join(_XML.get(each, each) for each in checked(pill))

    out, at = [], 0
    for section in _CDATA.finditer(text):
        if section[1] is not None:  # no comment
            inside = _filled(section[1], checked).replace("]]>", "]]]]><![CDATA[>")
            out += [_filled(text[at : section.start(1)], escaped), inside]
            at = section.end(1)
    return "".join([*out, _filled(text[at:], escaped)])


def json_text(text: str, values: Mapping[str, Any]) -> str:
    """Filled in as JSON: within a string its characters, elsewhere a value of its own type."""
    out, at, quoted = [], 0, False
    for found in _PILL.finditer(text):
        between = text[at : found.start()]
        quoted = _in_string(between, quoted)
        value = parse(found[1]).value(values)
        out += [between, json.dumps(as_text(value))[1:-1] if quoted else json.dumps(value)]
        at = found.end()
    return "".join([*out, text[at:]])


def whole(text: str, values: Mapping[str, Any]) -> Any:
    """The value of a text that is one pill, in its own type; else the filled text."""
    found = _PILL.fullmatch(text.strip())
    return parse(found[1]).value(values) if found else plain(text, values)


def as_text(value: Any) -> str:
    """A value as people write it; nothing for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _filled(text: str, fill: Callable[[Pill], str]) -> str:
    return _PILL.sub(lambda found: fill(parse(found[1])), text)


def _in_string(text: str, quoted: bool) -> bool:
    """Whether a JSON string is open after `text`."""
    for each in re.finditer(r"\\.|\"", text, re.DOTALL):
        quoted ^= each[0] == '"'
    return quoted

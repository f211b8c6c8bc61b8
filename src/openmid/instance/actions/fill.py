"""A step's request with its data pills filled in: from what was planned to the probe that a MID Server gets."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring
from django.core.exceptions import ValidationError

from openmid.instance.actions import pills
from openmid.instance.connections import header_fields
from openmid.instance.errors import InstanceError
from openmid.instance.records import header_secrets
from openmid.wire.probes import Attachment, HttpProbe, Part

BodyKind = Literal["text", "json", "form", "multipart", "binary"]
MAX_TEXT = 5 * 1024 * 1024
Pairs = list[tuple[str, str]]
Lookup = Callable[[str], Attachment]
"""The attachment of a sys_id; raises FillError where there is none."""


class FillError(InstanceError):
    """Raised when a step's request cannot be made of the values at hand."""


class PartTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One part of a multipart body: a text `value`, or the sys_id of an `attachment`."""

    name: str
    value: str = ""
    attachment: str = ""
    file_name: str = ""
    content_type: str = ""


class Template(msgspec.Struct, frozen=True):
    """A request with data pills. `content` is "xml" for a SOAP envelope, whose pills are character data."""

    base_url: str
    path: str
    headers: Pairs
    query: Pairs
    body_kind: BodyKind = "text"
    content: Literal["text", "xml"] = "text"
    body: str = ""
    form: Pairs = []
    parts: list[PartTemplate] = []
    attachment: str = ""

    def texts(self) -> list[str]:
        """Every text that may hold pills."""
        pairs = [*self.headers, *self.query, *self.form]
        return [self.path, self.body, self.attachment, *(value for _, value in pairs), *_texts(self.parts)]

    def needs(self) -> bool:
        """Whether it has pills, or attachments to look up."""
        return any(map(pills.has_pills, self.texts())) or any([self.attachment, *(p.attachment for p in self.parts)])


def _texts(parts: list[PartTemplate]) -> list[str]:
    return [text for part in parts for text in (part.value, part.attachment, part.file_name)]


def join(base_url: str, resource_path: str) -> str:
    """The base URL with the resource path after it, and one slash between them."""
    if not resource_path:
        return base_url
    return f"{base_url.rstrip('/')}/{resource_path.lstrip('/')}"


def shown(template: Template, probe: HttpProbe) -> HttpProbe:
    """The probe as it stands before anything is filled in, for people to read."""
    body = template.body or (_form(template.form) if template.form else "")
    url = join(template.base_url, template.path)
    return msgspec.structs.replace(probe, url=url, headers=template.headers, query=template.query, body=body)


def filled(template: Template, probe: HttpProbe, values: Mapping[str, Any], lookup: Lookup) -> HttpProbe:
    """The probe to run.

    Raises:
        FillError, PillError: a value cannot stand where it should, or an attachment is not there.
    """
    headers = _headers(template, values)
    body = _body(template, values)
    if len(body) > MAX_TEXT:
        raise FillError("the request body is larger than 5 MB", "send it as an attachment")
    return msgspec.structs.replace(
        probe,
        url=join(template.base_url, pills.path(template.path, values)),
        headers=headers,
        query=[(name, pills.plain(value, values)) for name, value in template.query],
        body=body,
        attachment=_attachment(template.attachment, values, lookup) if template.body_kind == "binary" else None,
        parts=[_part(each, values, lookup) for each in template.parts],
    )


def _headers(template: Template, values: Mapping[str, Any]) -> Pairs:
    """The headers, each filled in unless it is sealed, and secret ones sealed."""
    filled = [
        value if header_secrets.is_sealed(value) else _header(name, value, values) for name, value in template.headers
    ]
    found = header_secrets.sealed([(name, value) for (name, _), value in zip(template.headers, filled, strict=True)])
    kind = {"json": "application/json", "form": "application/x-www-form-urlencoded"}.get(template.body_kind)
    named = {name.lower() for name, _ in found}
    return found if kind is None or "content-type" in named else [*found, ("Content-Type", kind)]


def _header(name: str, value: str, values: Mapping[str, Any]) -> str:
    found = pills.plain(value, values)
    try:
        header_fields.headers([(name, found)])
    except ValidationError as error:
        raise FillError(" ".join(error.messages), "look at the value given") from None
    return found


def _body(template: Template, values: Mapping[str, Any]) -> str:
    if template.body_kind == "form":
        return _form([(name, pills.plain(value, values)) for name, value in template.form])
    if template.body_kind == "json":
        return pills.json_text(template.body, values)
    if template.body_kind in ("multipart", "binary"):
        return ""
    return (pills.xml if template.content == "xml" else pills.plain)(template.body, values)


def _form(pairs: Pairs) -> str:
    return urllib.parse.urlencode(pairs)


def _attachment(text: str, values: Mapping[str, Any], lookup: Lookup) -> Attachment:
    return lookup(pills.plain(text, values).strip())


def _part(part: PartTemplate, values: Mapping[str, Any], lookup: Lookup) -> Part:
    file_name = pills.plain(part.file_name, values)
    if not part.attachment:
        return Part(part.name, pills.plain(part.value, values), None, file_name, part.content_type)
    found = _attachment(part.attachment, values, lookup)
    return Part(part.name, "", found, file_name or found.file_name, part.content_type or found.content_type)


def json_problem(text: str) -> str | None:
    """What is wrong with a JSON body, its pills left out; None: nothing."""
    try:
        json.loads(pills.json_text(text, {}))
    except ValueError as error:
        return f"The body is not JSON: {error}."
    except RecursionError:
        return "The body is nested too deeply."
    return None


def xml_problem(text: str) -> str | None:
    """What is wrong with an envelope, its pills left out; None: nothing."""
    if not text.strip():
        return "A SOAP step needs an envelope."
    try:
        fromstring(pills.xml(text, {}).encode(), forbid_dtd=True)
    except ParseError as error:
        return f"The envelope is not XML: {error}."
    except DefusedXmlException:
        return "The envelope has a DOCTYPE, which SOAP forbids (SOAP 1.2 part 1, section 5)."
    return None

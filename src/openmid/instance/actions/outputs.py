"""What a step reads from its partner's answer: JSON path (RFC 9535), XPath 1.0, headers.

outputs  [{"name", "source", "expression", "type"}]
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import msgspec
from jsonpath_rfc9535 import JSONPathError
from lxml import etree

from openmid.instance.actions import xpaths
from openmid.instance.actions.inputs import Input, InputError, fitting, keepable
from openmid.instance.actions.json_paths import compiled
from openmid.instance.actions.looks import TooManyLooks, allow
from openmid.instance.errors import InstanceError
from openmid.instance.records import header_secrets
from openmid.wire import charsets, related

Source = Literal["json_path", "xpath", "header", "status", "body"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
MOST = 100
MOST_CHARACTERS = 64 * 1024
EXAMPLES = {"json_path": "$.order.id", "xpath": "//*[local-name()='id']", "header": "Location"}
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})")
LOOKS, LOOKS_A_CHARACTER = 100_000, 2
"""So many values of an answer, and elements, the outputs of a step look at together: some seconds for the longest answer.
An honest expression looks once at each, and a value has two characters at least."""
MOST_JSON = 5 * 1024 * 1024
"""Characters of the outputs of a step that are JSON, together: as much as an answer."""


class OutputError(InstanceError):
    """Raised when an output cannot be read from an answer."""


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One output: where it is read, and in which type."""

    name: str
    source: Source
    expression: str = ""
    type: Literal["string", "integer", "number", "boolean", "json"] = "string"


def declared(value: Any) -> list[Output]:
    """The outputs as they are declared.

    Raises:
        ValueError: one sentence.
    """
    try:
        found = msgspec.convert(value, list[Output])
    except msgspec.ValidationError as error:
        example = '[{"name": "id", "source": "json_path", "expression": "$.id"}]'
        raise ValueError(f"{error}: outputs are a list such as {example}.") from None
    names = [each.name for each in found]
    for each in found:
        if not _NAME.fullmatch(each.name):
            raise ValueError(f"“{each.name}” cannot be a name: letters, digits and underscore, no digit first.")
        if names.count(each.name) > 1:
            raise ValueError(f"There are two outputs of the name {each.name}.")
        check(each)
    if len(found) > MOST:
        raise ValueError(f"A step has at most {MOST} outputs.")
    return found


def check(output: Output) -> None:
    """Whether an output's expression can be understood.

    Raises:
        ValueError: one sentence.
    """
    if output.source not in ("json_path", "xpath", "header"):
        return
    if not output.expression.strip():
        raise ValueError(f"Output {output.name} needs an expression, such as {EXAMPLES[output.source]}.")
    if output.source == "header" and header_secrets.is_secret(output.expression):
        raise ValueError(f"Output {output.name}: {_kept_secret(output)}.")
    if output.source in _COSTLY:
        _cheap(output)
    try:
        if output.source == "json_path":
            compiled(output.expression)
        elif output.source == "xpath":
            etree.XPath(output.expression)
    except (JSONPathError, etree.XPathError) as error:
        raise ValueError(f"Output {output.name}: {output.expression} is not understood: {error}.") from None


_DESCENT = {"json_path": "..", "xpath": "//"}
_COSTLY = {
    "json_path": re.compile(r"\[\s*\?.*(?:\.\.|\$)", re.DOTALL),
    "xpath": re.compile(r"\[.*(?://|\.\.)|\b(?!child|attribute|self)[a-z-]+\s*::|\|", re.DOTALL),
}


def _cheap(output: Output) -> None:
    """One look at each node of an answer, not one for each pair of nodes: the queue's writer waits meanwhile.

    Raises:
        ValueError: a second search of descendants, one in a condition, another axis, a union.
    """
    text = xpaths.QUOTED.sub("''", output.expression)
    mark = _DESCENT[output.source]
    if text.count(mark) > 1 or _COSTLY[output.source].search(text):
        raise ValueError(
            f"Output {output.name}: {output.expression} may take very long: it has one {mark} at most, none in a "
            "condition, and goes to children and attributes only."
        )


def evaluate(outputs: Sequence[Output], status_code: int, headers: list[tuple[str, str]], body: str) -> dict[str, Any]:
    """The outputs by name; None for what the answer does not have.

    Raises:
        OutputError: the body is not JSON or XML where an output needs it, a value is not of the output's type, or they
            would look at more of the answer than they may.
    """
    answer = _Answer(status_code, headers, body)
    allow(LOOKS + LOOKS_A_CHARACTER * len(body))
    found = {}
    try:
        for each in outputs:
            found[each.name] = _typed(each, _READ[each.source](answer, each), answer)
    except TooManyLooks:
        raise OutputError(
            f"output {each.name}: {each.expression[:200]}: the outputs of the step look at too much of the answer",
            "name the members on the way instead of .., * and conditions, or read fewer outputs",
        ) from None
    return found


class _Answer:
    """An answer, parsed once."""

    def __init__(self, status_code: int, headers: list[tuple[str, str]], body: str) -> None:
        self.status_code, self.headers, self.body = status_code, headers, body
        self.room = MOST_JSON

    @cached_property
    def json(self) -> Any:
        try:
            return json.loads(self.body.removeprefix("\ufeff"))  # RFC 8259, 8.1: not an error
        except (ValueError, RecursionError) as error:
            raise OutputError(f"the body is not JSON ({error})", "look at the body in the step's output") from None

    @property
    def _document(self) -> str:
        """The body; of an MTOM answer the envelope in it."""
        kind = charsets.content_type(self.headers)
        if not related.is_related(kind):
            return self.body
        return related.root(kind, self.body.encode()).decode(errors="replace")

    @cached_property
    def xml(self) -> xpaths.Document:
        try:
            return xpaths.Document(self._document)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise OutputError(f"the body is not XML ({error})", "look at the body in the step's output") from None


def _by_json_path(answer: _Answer, output: Output) -> Any:
    try:
        path = compiled(output.expression)
        found = path.values(answer.json)
        several = output.type == "json" and not path.singular
        value = _several(output, found, answer) if several else next(found, None)
        keepable(value)
    except (JSONPathError, RecursionError):
        raise OutputError(
            f"output {output.name}: {output.expression}: the body is nested too deeply", "read less of it"
        ) from None
    except UnicodeEncodeError:
        raise OutputError(
            f"output {output.name} has half of a surrogate pair in it, which is no text", "look at the step's output"
        ) from None
    return value


SEVERAL = 10


def _several(output: Output, found: Iterator[Any], answer: _Answer) -> list[Any]:
    """All of them. What stands within many others is said with each: the sum is asked for before there is too much."""
    values = list(islice(found, SEVERAL))
    said = 0
    while len(values) % SEVERAL == 0 and (more := list(islice(found, SEVERAL))):
        said += len(json.dumps(values[-SEVERAL:]))
        if said > answer.room:
            raise _too_long(output)
        values += more
    return values


def _by_xpath(answer: _Answer, output: Output) -> Any:
    try:
        found = answer.xml.find(output.expression)
    except etree.XPathError as error:
        raise OutputError(f"output {output.name}: {output.expression}: {error}", "look at its expression") from None
    if not isinstance(found, Iterator):
        return found
    return list(found) if output.type == "json" else next(found, None)


def _by_header(answer: _Answer, output: Output) -> str | None:
    name = output.expression.strip().lower()
    value = next((value for key, value in answer.headers if key.lower() == name), None)
    if value is not None and header_secrets.is_sealed(value):
        raise OutputError(f"output {output.name}: {_kept_secret(output)}", "change the action")
    return value


def _kept_secret(output: Output) -> str:
    """An output is kept, and shown, as it is."""
    name = output.expression.strip()
    return f"the value of the header {name} is kept secret; the data pill {{{{steps.STEP.headers.{name}}}}} has it"


_READ: dict[str, Callable[[_Answer, Output], Any]] = {
    "json_path": _by_json_path,
    "xpath": _by_xpath,
    "header": _by_header,
    "status": lambda answer, _: answer.status_code,
    "body": lambda answer, _: answer.body,
}


def _typed(output: Output, value: Any, answer: _Answer) -> Any:
    if output.type == "json":
        return _sayable(output, value, answer)
    if value is None:
        return value
    if output.type == "string":
        value = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(value) > MOST_CHARACTERS:
            raise OutputError(f"output {output.name} is longer than {MOST_CHARACTERS:,} characters", "read less of it")
        return value
    try:
        return fitting(Input(output.name, type=output.type), _plain(output, value) if isinstance(value, str) else value)
    except InputError:
        raise OutputError(
            f"output {output.name} is {str(value)[:60]!r}, which is not of type {output.type}", "look at its type"
        ) from None


def _plain(output: Output, text: str) -> str:
    """A text as inputs are written. XML writes truth also as 1 and 0, and numbers as +5, 007.50 and .5 (XML Schema part 2,
    3.2.2 and 3.2.3)."""
    text = text.strip()
    if output.source != "xpath":
        return text
    if output.type == "boolean":
        return {"1": "true", "0": "false"}.get(text, text)
    if not _DECIMAL.fullmatch(text):
        return text
    return str(float(text)) if "." in text else str(int(text))


def _sayable(output: Output, value: Any, answer: _Answer) -> Any:
    """Python reads NaN, Infinity and 1e999, and writes them; JSON has none of them (RFC 8259, 6)."""
    try:
        answer.room -= len(json.dumps(value, allow_nan=False))
    except ValueError:
        raise OutputError(
            f"output {output.name} has a number in it that JSON cannot say", "look at the body in the step's output"
        ) from None
    if answer.room < 0:
        raise _too_long(output)
    return value


def _too_long(output: Output) -> OutputError:
    sentence = f"output {output.name}: the outputs of the step are longer than {MOST_JSON:,} characters"
    return OutputError(sentence, "read less of it")

"""What a step reads from its partner's answer: JSON path (RFC 9535), XPath 1.0, headers.

outputs  [{"name", "source", "expression", "type"}]
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, Literal

import msgspec
from jsonpath_rfc9535 import JSONPathError
from lxml import etree

from openmid.instance.actions.inputs import Input, InputError, fitting, keepable
from openmid.instance.actions.json_paths import TooManyLooks, allow, compiled, spend
from openmid.instance.errors import InstanceError
from openmid.instance.records import header_secrets
from openmid.wire import related

Source = Literal["json_path", "xpath", "header", "status", "body"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
MOST = 100
MOST_CHARACTERS = 64 * 1024
EXAMPLES = {"json_path": "$.order.id", "xpath": "//*[local-name()='id']", "header": "Location"}
_DECLARATION = re.compile(r"\A\ufeff?\s*<\?xml\s[^>]*\?>")
_STRING = etree.XPath("string()", smart_strings=False)
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
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


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
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
    text = _QUOTED.sub("''", output.expression)
    mark = _DESCENT[output.source]
    if text.count(mark) > 1 or _COSTLY[output.source].search(text):
        raise ValueError(
            f"Output {output.name}: {output.expression} may take very long: it has one {mark} at most, none in a "
            "condition, and goes to children and attributes only."
        )


_NODE_TEST = re.compile(r"\b(text|node|comment)\s*\(\s*\)")
_COMPARED = re.compile(r"!=|<=|>=|=|<|>")
_ONE = r"(?:''|-?[\d.]+|\.|@[\w:.-]+)"
_CALL = r"\b(?!(?:or|and|div|mod|id)\s*\()[a-z-]+\("
_WITH_ONE = re.compile(
    rf"(?:(?<![\w/.*:-]){_ONE}|{_CALL}[^()]*\))\s*(?:!=|<=|>=|=|<|>)|(?:!=|<=|>=|=|<|>)\s*(?:{_ONE}(?![\w/*:(.])|{_CALL})"
)
_FROM_THE_ROOT = re.compile(r"[\[(,=<>+|\s-]/|[\w\])'.]\s*\*\s*/|\bid\s*\(")


@lru_cache(maxsize=256)
def _looks(expression: str) -> tuple[int, int]:
    """What an XPath costs: looks, times the number of elements to the power of the second: 1, and one more where sets of
    elements are compared with each other, and for each path from the root in a condition."""
    text = _NODE_TEST.sub(r"\1", _QUOTED.sub("''", expression))
    sets = len(_COMPARED.findall(text)) > len(_WITH_ONE.findall(text))
    return 1 + len(text) // 16, 1 + sets + len(_FROM_THE_ROOT.findall(_conditions(text)))


def _conditions(text: str) -> str:
    """What stands in square brackets."""
    found, depth = [], 0
    for each in text:
        depth += each == "["
        found += [each] if depth else []
        depth -= each == "]"
    return "".join(found)


def _cost(expression: str, elements: int) -> int:
    looks, power = _looks(expression)
    return int(looks * elements**power)


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
        kind = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        if not related.is_related(kind):
            return self.body
        return related.root(kind, self.body.encode()).decode(errors="replace")

    @cached_property
    def xml(self) -> Any:
        try:
            return lxml_fromstring(_DECLARATION.sub("", self._document).encode())  # it is text already
        except (etree.XMLSyntaxError, ValueError) as error:
            raise OutputError(f"the body is not XML ({error})", "look at the body in the step's output") from None

    @cached_property
    def names(self) -> tuple[int, dict[str, str]]:
        """How many elements there are, and their namespaces by prefix."""
        count, known = 0, dict[str, str]()
        for each in self.xml.iter():
            count += 1
            for prefix, uri in each.nsmap.items():
                if prefix:
                    known[prefix] = uri
        return count, known


def lxml_fromstring(raw: bytes) -> Any:
    """A document's root: no entity is expanded, nothing fetched.

    Raises:
        etree.XMLSyntaxError, ValueError: no XML, or one with a DOCTYPE.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    root = etree.fromstring(raw, parser)
    if root.getroottree().docinfo.doctype:
        raise ValueError("it has a DOCTYPE")
    return root


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
    count, known = answer.names
    spend(_cost(output.expression, count))
    try:
        evaluator = etree.XPathEvaluator(answer.xml.getroottree(), namespaces=known, regexp=False, smart_strings=False)
        found = evaluator(output.expression)
    except etree.XPathError as error:
        raise OutputError(f"output {output.name}: {output.expression}: {error}", "look at its expression") from None
    if isinstance(found, float) and found.is_integer():
        return int(found)  # its numbers are all floats, and one without decimals is written so (XPath 1.0, 4.2)
    if not isinstance(found, list):
        return found
    texts = (each if isinstance(each, str) else _string_value(each) for each in found)
    return list(texts) if output.type == "json" else next(texts, None)


def _string_value(node: Any) -> str | None:
    """XPath 1.0, 5: of an element all text in it; a comment's and a processing instruction's own. An element that is nil
    (XML Schema part 1, 2.6.2) has no value."""
    is_element = isinstance(node.tag, str)
    if is_element and node.get(_NIL, "").strip() in ("true", "1"):
        return None
    text: str = _STRING(node) if is_element else node.text or ""  # lxml evaluates at elements only
    spend(1 + len(text) // 16)  # what stands within many elements is copied for each
    return text


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

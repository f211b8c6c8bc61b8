"""Data pills, inputs, outputs: pure functions."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmid.instance.actions import fill, inputs, outputs, pills, xpaths
from openmid.instance.records import header_secrets
from openmid.wire.probes import Attachment, RestProbe

VALUES: dict[str, Any] = {
    "inputs": {"id": 42, "name": 'O"Neil & <Co>', "list": [1, None], "gone": None, "yes": True, "dots": ".."},
    "steps": {
        "Get v1.2": {
            "status_code": 201,
            "body": "text",
            "headers": {"location": "/x/1"},
            "outputs": {"token": "t0k"},
            "attachment": "a" * 32,
        }
    },
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("no pill {{ nor {{other.x}}", "no pill {{ nor {{other.x}}"),
        ("{{inputs.id}}/{{ inputs.gone }}/{{inputs.unknown}}", "42//"),
        ("{{inputs.list}} {{inputs.yes}}", "[1, null] true"),
        ("{{steps.Get v1.2.outputs.token}} {{steps.Get v1.2.status_code}}", "t0k 201"),
        ("{{steps.Get v1.2.headers.Location}} {{steps.Get v1.2.body}}", "/x/1 text"),
        ("{{steps.Get v1.2.attachment}}", "a" * 32),
        ("{{steps.Nobody.body}}", ""),
    ],
)
def test_plain(text: str, filled: str) -> None:
    assert pills.plain(text, VALUES) == filled


def test_a_value_is_never_syntax() -> None:
    body = '{"id": {{inputs.id}}, "name": "Mr {{inputs.name}}", "raw": {{inputs.name}}, "gone": {{inputs.gone}}}'
    assert json.loads(pills.json_text(body, VALUES)) == {
        "id": 42,
        "name": 'Mr O"Neil & <Co>',
        "raw": 'O"Neil & <Co>',
        "gone": None,
    }
    document = ElementTree.fromstring(pills.xml("<a b='{{inputs.name}}'>{{inputs.name}}</a>", VALUES))
    assert (document.text, document.get("b")) == ('O"Neil & <Co>', 'O"Neil & <Co>')
    assert pills.path("/a/{{inputs.name}}", VALUES) == "/a/O%22Neil%20%26%20%3CCo%3E"
    with pytest.raises(pills.PillError, match="leads elsewhere"):
        pills.path("/a/{{inputs.dots}}/b", VALUES)
    with pytest.raises(pills.PillError, match="XML cannot hold"):
        pills.xml("<a>{{inputs.x}}</a>", {"inputs": {"x": "\x00"}})


@given(st.text(alphabet="]>&<! a\r-["), st.text(alphabet="]>&<[ a"))
def test_a_value_is_the_same_in_a_cdata_section_and_out_of_it(value: str, other: str) -> None:
    values = {"inputs": {"x": value, "y": other}}
    template = "<a><!-- <![CDATA[ {{inputs.y}} --><b>{{inputs.x}}</b><c><![CDATA[<{{inputs.x}}>{{inputs.y}}]]></c></a>"
    document = ElementTree.fromstring(pills.xml(template, values))
    assert (document.findtext("b") or "") == value
    assert document.findtext("c") == f"<{value}>{other}".replace("\r", "\n")  # of which a section holds none


@given(st.text(), st.text(alphabet='ab"\\ {}:,'))
def test_json_stays_json(value: str, around: str) -> None:
    values = {"inputs": {"x": value}}
    body = json.dumps({"a": around}).replace('"a"', '"{{inputs.x}}"', 1) + " "
    filled = json.loads(pills.json_text(body, values))
    assert filled == {value: around}


def test_pills_that_mean_nothing() -> None:
    for text in ("steps.x", "steps.x.status", "steps..body"):
        with pytest.raises(pills.PillError, match="is not a data pill"):
            pills.parse(text)
    assert pills.renamed("{{steps.A.body}} {{ steps.A.outputs.x }} {{steps.AB.body}}", "A", "B") == (
        "{{steps.B.body}} {{ steps.B.outputs.x }} {{steps.AB.body}}"
    )


def test_a_pill_alone_keeps_its_type() -> None:
    assert pills.whole(" {{inputs.list}} ", VALUES) == [1, None]
    assert pills.whole("n {{inputs.id}}", VALUES) == "n 42"


def test_a_whole_request() -> None:
    template = fill.Template(
        base_url="mauth://host/base/",
        path="/orders/{{inputs.id}}",
        headers=[("X-Name", "{{inputs.id}}")],
        query=[("q", "{{inputs.name}}")],
        body_kind="form",
        form=[("a", "{{inputs.name}}"), ("a", "2")],
    )
    probe = fill.filled(template, RestProbe(url="", method="POST"), VALUES, _lookup)
    assert probe.url == "mauth://host/base/orders/42"
    assert probe.headers == [("X-Name", "42"), ("Content-Type", "application/x-www-form-urlencoded")]
    assert (probe.query, probe.body) == ([("q", 'O"Neil & <Co>')], "a=O%22Neil+%26+%3CCo%3E&a=2")


def test_attachments_are_looked_up() -> None:
    template = fill.Template(
        base_url="https://h",
        path="",
        headers=[],
        query=[],
        body_kind="multipart",
        parts=[
            fill.PartTemplate("file", attachment="{{steps.Get v1.2.attachment}}"),
            fill.PartTemplate("note", value="{{inputs.id}}"),
        ],
    )
    file, note = fill.filled(template, RestProbe(url="", method="POST"), VALUES, _lookup).parts
    assert file.attachment is not None
    assert (file.attachment.sys_id, file.file_name, note.value) == ("a" * 32, "f.bin", "42")


def test_a_value_that_no_header_can_hold() -> None:
    template = fill.Template("https://h", "", [("X-A", "{{inputs.x}}")], [])
    with pytest.raises(fill.FillError, match="line break"):
        fill.filled(template, RestProbe(url=""), {"inputs": {"x": "a\r\nHost: evil"}}, _lookup)


def test_a_body_that_grew_too_large() -> None:
    template = fill.Template("https://h", "", [], [], body="{{inputs.x}}" * 6)
    with pytest.raises(fill.FillError, match="larger than 5 MB"):
        fill.filled(template, RestProbe(url=""), {"inputs": {"x": "x" * 1024 * 1024}}, _lookup)


def _lookup(sys_id: str) -> Attachment:
    return Attachment(sys_id, 5, "text/plain", "f.bin")


DECLARED = [
    {"name": "s", "mandatory": True},
    {"name": "i", "type": "integer", "default": 7},
    {"name": "n", "type": "number"},
    {"name": "b", "type": "boolean"},
    {"name": "j", "type": "json"},
    {"name": "a", "type": "attachment"},
]


def test_inputs_as_forms_and_scripts_send_them() -> None:
    declared = inputs.declared(DECLARED)
    found = inputs.read(declared, {"s": "x", "n": "1.5", "b": "true", "j": '{"a": 1}', "a": "b" * 32})
    assert found == {"s": "x", "i": 7, "n": 1.5, "b": True, "j": {"a": 1}, "a": "b" * 32}
    assert inputs.read(declared, {"s": "x", "i": 0, "b": False, "j": [1]})["i"] == 0


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "input s is missing"),
        ({"s": "x", "zz": 1}, "no input zz"),
        ({"s": 5}, "s is not of type string"),
        ({"s": "\ud800"}, "s is not of type string"),
        ({"s": "x", "i": "1.5"}, "i is not of type integer"),
        ({"s": "x", "i": True}, "i is not of type integer"),
        ({"s": "x", "n": "NaN"}, "n is not of type number"),
        ({"s": "x", "b": "maybe"}, "b is not of type boolean"),
        ({"s": "x", "b": 1}, "b is not of type boolean"),
        ({"s": "x", "j": "{"}, "j is not of type json"),
        ({"s": "x", "a": "../etc"}, "a is not of type attachment"),
    ],
)
def test_inputs_that_do_not_fit(sent: dict[str, Any], said: str) -> None:
    with pytest.raises(inputs.InputError, match=said):
        inputs.read(inputs.declared(DECLARED), sent)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("x", "inputs are a list"),
        ([{"name": "1a"}], "cannot be a name"),
        ([{"name": "a"}, {"name": "a"}], "two of the name"),
        ([{"name": "a", "type": "date"}], "inputs are a list"),
        ([{"name": "a", "type": "integer", "default": "x"}], "The default of input a"),
        ([{"name": f"a{n}"} for n in range(101)], "at most 100"),
    ],
)
def test_declarations_that_cannot_be(declared: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        inputs.declared(declared)


def outputs_of(body: str, *declared: dict[str, str]) -> dict[str, Any]:
    return outputs.evaluate(outputs.declared(list(declared)), 201, [("Location", "/a"), ("location", "/b")], body)


def test_outputs_of_json() -> None:
    body = '{"order": {"id": 42, "lines": [{"sku": "a"}, {"sku": "b"}], "paid": true}}'
    found = outputs_of(
        body,
        {"name": "id", "source": "json_path", "expression": "$.order.id", "type": "integer"},
        {"name": "text", "source": "json_path", "expression": "$.order.id"},
        {"name": "first", "source": "json_path", "expression": "$..sku"},
        {"name": "all", "source": "json_path", "expression": "$..sku", "type": "json"},
        {"name": "order", "source": "json_path", "expression": "$.order.lines[0]", "type": "json"},
        {"name": "paid", "source": "json_path", "expression": "$.order.paid", "type": "boolean"},
        {"name": "gone", "source": "json_path", "expression": "$.nobody"},
        {"name": "where", "source": "header", "expression": "LOCATION"},
        {"name": "status", "source": "status", "type": "integer"},
        {"name": "raw", "source": "body"},
    )
    assert found == {
        "id": 42,
        "text": "42",
        "first": "a",
        "all": ["a", "b"],
        "order": {"sku": "a"},
        "paid": True,
        "gone": None,
        "where": "/a",
        "status": 201,
        "raw": body,
    }


def test_outputs_of_xml() -> None:
    body = '<s:E xmlns:s="urn:s"><s:B><p:id xmlns:p="urn:p" n="1"> 7 </p:id><p:id xmlns:p="urn:p">8</p:id></s:B></s:E>'
    found = outputs_of(
        body,
        {"name": "id", "source": "xpath", "expression": "//p:id", "type": "integer"},
        {"name": "all", "source": "xpath", "expression": "//p:id/text()", "type": "json"},
        {"name": "attribute", "source": "xpath", "expression": "//*[local-name()='id']/@n"},
        {"name": "count", "source": "xpath", "expression": "count(//p:id)", "type": "number"},
        {"name": "gone", "source": "xpath", "expression": "/s:E/s:X"},
        {"name": "whole", "source": "xpath", "expression": "count(//p:id)", "type": "integer"},
        {"name": "text", "source": "xpath", "expression": "sum(//p:id)"},
        {"name": "half", "source": "xpath", "expression": "count(//p:id) div 4", "type": "number"},
    )
    assert found == {
        "id": 7,
        "all": [" 7 ", "8"],
        "attribute": "1",
        "count": 2,
        "gone": None,
        "whole": 2,
        "text": "15",
        "half": 0.5,
    }


def test_a_byte_order_mark_before_json_is_no_error() -> None:
    assert outputs_of('\ufeff{"a": 1}', {"name": "x", "source": "json_path", "expression": "$.a"}) == {"x": "1"}


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_what_is_no_number_of_json_is_not_passed_on(number: str) -> None:
    body = f'{{"a": [{number}], "b": 1}}'
    assert outputs_of(body, {"name": "x", "source": "json_path", "expression": "$.b"}) == {"x": "1"}
    with pytest.raises(outputs.OutputError, match="JSON cannot say"):
        outputs_of(body, {"name": "x", "source": "json_path", "expression": "$.a", "type": "json"})


def test_a_secret_header_is_no_output() -> None:
    secret = outputs.Output("token", "header", "X-Subject-Token")
    said = r"kept secret; the data pill {{steps.STEP.headers.X-Subject-Token}} has it"
    with pytest.raises(ValueError, match=said):
        outputs.declared([{"name": "token", "source": "header", "expression": "X-Subject-Token"}])
    kept = header_secrets.sealed_answer([("X-Subject-Token", "s3cret")])  # an action that was made before this was said
    with pytest.raises(outputs.OutputError, match=said):
        outputs.evaluate([secret], 200, kept, "")


@pytest.mark.parametrize(
    ("body", "output", "said"),
    [
        ("<a/>", {"name": "x", "source": "json_path", "expression": "$.a"}, "is not JSON"),
        ("[" * 100_000, {"name": "x", "source": "json_path", "expression": "$.a"}, "is not JSON"),
        ("{}", {"name": "x", "source": "xpath", "expression": "/a"}, "is not XML"),
        (
            '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
            {"name": "x", "source": "xpath", "expression": "/a"},
            "is not XML",
        ),
        ("<a/>", {"name": "x", "source": "xpath", "expression": "//p:a"}, "prefix"),
        (
            '{"a": "z"}',
            {"name": "x", "source": "json_path", "expression": "$.a", "type": "integer"},
            "not of type integer",
        ),
        ("[" * 200 + "]" * 200, {"name": "x", "source": "json_path", "expression": "$..a"}, "too deeply"),
        (json.dumps({"a": "\ud800"}), {"name": "x", "source": "json_path", "expression": "$.a"}, "surrogate"),
        (
            json.dumps([{"\ud800": 1}]),
            {"name": "x", "source": "json_path", "expression": "$", "type": "json"},
            "surrogate",
        ),
        (
            json.dumps({"a": "z" * 70_000}),
            {"name": "x", "source": "json_path", "expression": "$.a"},
            "longer than 65,536",
        ),
    ],
)
def test_answers_that_do_not_fit(body: str, output: dict[str, str], said: str) -> None:
    with pytest.raises(outputs.OutputError, match=said):
        outputs_of(body, output)


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16"])
def test_what_an_xml_declaration_said_of_bytes_does_not_count_for_text(encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><a>\u00e9</a>'
    assert outputs_of(body, {"name": "x", "source": "xpath", "expression": "/a"}) == {"x": "\u00e9"}


@pytest.mark.parametrize(
    ("source", "expression"),
    [
        ("xpath", "//*//*"),
        ("xpath", "count(//b/following::b)"),
        ("xpath", "//a[.//b]"),
        ("xpath", "//a[../b]"),
        ("xpath", "//a | //b"),
        ("json_path", "$..*..*"),
        ("json_path", "$[?@..a]"),
        ("json_path", "$[?$[*].a == @.b]"),
    ],
)
def test_what_may_take_very_long_is_refused(source: str, expression: str) -> None:
    with pytest.raises(ValueError, match="may take very long"):
        outputs.declared([{"name": "x", "source": source, "expression": expression}])


WIDE = "[" + ",".join(['{"a": 1}'] * 2_000) + "]"
NESTED, ELEMENTS = "[" * 60 + "]" * 60, "<r>" + "<a>1</a><b>2</b>" * 2_000 + "</r>"


@pytest.mark.parametrize(
    ("source", "expression", "body"),
    [
        ("json_path", "$" + "[0,0]" * 40, NESTED),
        ("json_path", "$..[" + ",".join(["'a'"] * 2_000) + "]", NESTED),
        ("json_path", "$[?@[" + ",".join(["*"] * 80) + "]]", WIDE),
        ("json_path", "$[?" + " || ".join(["@.b == 1"] * 90) + "]", WIDE),
        ("json_path", "$[" + ",".join(["?@.a"] * 90) + "]", WIDE),
        ("xpath", "count(/r[a = b])", ELEMENTS),
        ("xpath", "count(/r[text() = a or(a) != b])", ELEMENTS),
        ("xpath", "count(/r/a[. = /r/b[. = /r/a]])", ELEMENTS),
        ("xpath", "count(/r/a[id(.)])", ELEMENTS),
    ],
    ids=["paths", "selectors", "children", "operators", "conditions", "sets", "or", "root", "id"],
)
def test_an_expression_looks_at_so_much_of_an_answer_and_no_more(source: str, expression: str, body: str) -> None:
    (declared,) = outputs.declared([{"name": "x", "source": source, "expression": expression, "type": "json"}])
    with pytest.raises(outputs.OutputError, match=r"output x: .*look at too much of the answer"):
        outputs.evaluate([declared], 200, [], body)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$", {"a": [{"b": [1, 2]}, {"b": None}], "c": "x"}),
        ("$.a[0].b[-1]", 2),
        ("$['a'][-2].b", [1, 2]),
        ("$.a[7].b", None),
        ("$.a[-7]", None),
        ("$.c[0]", None),
        ("$.c.d", None),
        ("$[0]", None),
        ("$.a[1].b.d", None),
        ("$..b", [[1, 2], None]),
        ("$..[0]", [{"b": [1, 2]}, 1]),
        ("$.a[*].b[0,1]", [1, 2]),
        ("$.a[?@.b == null || @.b[?@ == 2]]", [{"b": [1, 2]}, {"b": None}]),
    ],
)
def test_where_a_json_path_leads(expression: str, found: object) -> None:
    body = '{"a": [{"b": [1, 2]}, {"b": null}], "c": "x"}'
    declared = {"name": "x", "source": "json_path", "expression": expression, "type": "json"}
    assert outputs_of(body, declared) == {"x": found}


def test_so_do_all_the_outputs_of_a_step_together() -> None:
    some = [outputs.Output(f"o{each}", "json_path", "$..a", "json") for each in range(40)]
    assert len(outputs.evaluate(some[:2], 200, [], WIDE)["o1"]) == 2_000
    with pytest.raises(outputs.OutputError, match="look at too much"):
        outputs.evaluate(some, 200, [], WIDE)


def test_outputs_that_are_json_are_together_no_longer_than_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "MOST_JSON", len(NESTED))
    whole = [outputs.Output(name, "json_path", "$", "json") for name in "ab"]
    assert outputs.evaluate(whole[:1], 200, [], NESTED)
    with pytest.raises(outputs.OutputError, match="output b: the outputs of the step are longer than"):
        outputs.evaluate(whole, 200, [], NESTED)


def test_what_stands_within_many_others_is_not_said_with_each_before_it_is_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = "[" + ",".join([NESTED] * 100) + "]"
    every, inner = (outputs.Output("x", "json_path", path, "json") for path in ("$..*", "$[*]..[0]"))
    (kept,) = outputs.evaluate([inner], 200, [], body).values()
    assert len(kept) == 59 * 100
    monkeypatch.setattr(outputs, "MOST_JSON", len(body))
    monkeypatch.setattr(outputs, "_sayable", None)
    with pytest.raises(outputs.OutputError, match="output x: the outputs of the step are longer than"):
        outputs.evaluate([every], 200, [], body)


@pytest.mark.parametrize(
    "expression",
    [
        "//a[position() = last()]",
        "//a[. = '1' and not(@n = @m)]/text()",
        "//*[count(*) > 3]/b[string-length(normalize-space(.)) < 9]",
        "concat(/r/a[1], /r/b[2])",
        "count(/r/a[text() = 1]/following::*) + 1",
        "/r/*[name() != 'a'][*/@n = 3]",
    ],
)
def test_honest_conditions_are_free_on_any_answer(expression: str) -> None:
    assert xpaths.price(expression)[1] == 1


@pytest.mark.parametrize(
    ("source", "expression"),
    [
        ("xpath", "//*[local-name()='a//b']/@n"),
        ("xpath", "/s:E/child::s:B/self::node()"),
        ("json_path", "$.a[?@.b == '..$']"),
    ],
)
def test_what_looks_like_it_and_is_not(source: str, expression: str) -> None:
    outputs.declared([{"name": "x", "source": source, "expression": expression}])


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"name": "x", "source": "json_path", "expression": "order"}, "is not understood"),
        ({"name": "x", "source": "json_path", "expression": "$[?match(@.a, '(a+)+')]"}, "is not understood"),
        ({"name": "x", "source": "json_path"}, "needs an expression"),
        ({"name": "x", "source": "xpath", "expression": "//["}, "is not understood"),
        ({"name": "x y", "source": "body"}, "cannot be a name"),
        ({"name": "x", "source": "nothing"}, "outputs are a list"),
    ],
)
def test_outputs_that_cannot_be(output: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        outputs.declared([output])

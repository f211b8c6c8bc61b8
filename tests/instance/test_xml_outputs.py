"""Outputs that are read from XML: what the answers of SOAP services say in its own ways."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from openmid.instance.actions import outputs, values
from openmid.wire.probes import ProbeResult


def outputs_of(body: str, *declared: dict[str, str]) -> dict[str, Any]:
    return outputs.evaluate(outputs.declared(list(declared)), 200, [], body)


def test_every_kind_of_node_has_a_text() -> None:
    declared = {"source": "xpath", "expression": "/a/node()", "type": "json"}
    found = outputs_of("<a x='1'>1<!--c--><?pi d?><b>2<!--e-->3</b></a>", {"name": "x", **declared})
    assert found == {"x": ["1", "c", "d", "23"]}


@pytest.mark.parametrize(
    ("element", "type_", "value"),
    [
        ("<a> 1 </a>", "boolean", True),
        ("<a>0</a>", "boolean", False),
        ("<a>+5</a>", "integer", 5),
        ("<a>-007</a>", "integer", -7),
        ("<a>+007.50</a>", "number", 7.5),
        ("<a>.5</a>", "number", 0.5),
        ("<a>1.5e3</a>", "number", 1500),
        ('<a i:nil="true"/>', "integer", None),
        ('<a i:nil=" 1 "/>', "string", None),
        ('<a i:nil="false">3</a>', "integer", 3),
        ('<a i:nil="true"/>', "json", [None]),
    ],
)
def test_values_as_xml_schema_writes_them(element: str, type_: str, value: object) -> None:
    body = f'<r xmlns:i="http://www.w3.org/2001/XMLSchema-instance">{element}</r>'
    assert outputs_of(body, {"name": "x", "source": "xpath", "expression": "//a", "type": type_}) == {"x": value}


def test_outputs_of_an_mtom_answer_are_those_of_its_envelope() -> None:
    photo = b"--b\r\nContent-Type: image/png\r\nContent-ID: <photo>\r\n\r\n\xff\xd8<id>9</id>\r\n"
    envelope = (
        b'--b\r\nContent-Type: application/xop+xml; charset=utf-8; type="text/xml"\r\nContent-ID: <root>\r\n\r\n'
        b'<?xml version="1.0" encoding="utf-8"?>\r\n<E><id>\xc3\xa9</id></E>\r\n'
    )
    declared = outputs.declared([{"name": "id", "source": "xpath", "expression": "/E/id"}])
    for start, body in (('; start="<root>"', photo + envelope), ("", envelope + photo)):
        headers = [("content-type", f'multipart/related; type="application/xop+xml"{start}; boundary=b')]
        answer = ProbeResult(0, 200, headers, base64.b64encode(body + b"--b--").decode(), body_is_base64=True)
        assert outputs.evaluate(declared, 200, headers, values.body(answer)) == {"id": "\u00e9"}

"""WSDL documents: their operations and envelopes; what is not there is not fetched; hostile ones."""

from __future__ import annotations

import pytest
from lxml import etree

from openmid.instance.actions import fill, wsdl

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:types" xmlns="urn:types"
  elementFormDefault="qualified">
  <xs:complexType name="Line"><xs:sequence>
    <xs:element name="sku" type="xs:string"/><xs:element name="count" type="xs:int" minOccurs="0"/>
    <xs:element name="parts" type="Line" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence><xs:attribute name="unit" type="xs:string"/></xs:complexType>
  <xs:complexType name="Price"><xs:simpleContent><xs:extension base="xs:decimal">
    <xs:attribute name="currency" type="xs:string"/></xs:extension></xs:simpleContent></xs:complexType>
  <xs:complexType name="Special"><xs:complexContent><xs:extension base="Line"><xs:sequence>
    <xs:choice><xs:element name="card" type="xs:string"/><xs:element name="iban" type="xs:string"/></xs:choice>
    <xs:element name="price" type="Price"/><xs:any minOccurs="0"/>
  </xs:sequence></xs:extension></xs:complexContent></xs:complexType>
  <xs:element name="Order"><xs:complexType><xs:sequence>
    <xs:element name="line" type="Special" maxOccurs="unbounded"/>
    <xs:element name="kind"><xs:simpleType><xs:restriction base="xs:string"><xs:enumeration value="a"/></xs:restriction>
    </xs:simpleType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="Session" type="xs:string"/>
  <xs:element name="Ordered" type="xs:string"/>
</xs:schema>"""


def document(types: str, style: str = "document", soap: str = "http://schemas.xmlsoap.org/wsdl/soap/") -> bytes:
    part = 'element="t:Order"' if style == "document" else 'type="xs:string"'
    namespace = "" if style == "document" else ' namespace="urn:rpc"'
    return f"""<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="{soap}" xmlns:t="urn:types" xmlns:w="urn:w"
  xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:w">
  <types>{types}</types>
  <message name="In"><part name="body" {part}/></message>
  <message name="Head"><part name="head" element="t:Session"/></message>
  <message name="Out"><part name="body" element="t:Ordered"/></message>
  <portType name="P"><operation name="order"><documentation>Orders  things.</documentation>
    <input message="w:In"/><output message="w:Out"/></operation></portType>
  <binding name="B" type="w:P"><s:binding style="{style}" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="order"><s:operation soapAction="urn:order"/>
      <input><s:body use="literal"{namespace}/><s:header message="w:Head" part="head" use="literal"/></input>
      <output><s:body use="literal"{namespace}/></output></operation></binding>
  <service name="Shop"><port name="Port" binding="w:B"><s:address location="https://shop.example/ws"/></port></service>
</definitions>""".encode()


def test_a_document_style_operation() -> None:
    (found,) = wsdl.operations({"shop.wsdl": document(XSD)})
    assert (found.service, found.port, found.name, found.version) == ("Shop", "Port", "order", "1.1")
    assert (found.action, found.address) == ("urn:order", "https://shop.example/ws")
    root = etree.fromstring(found.envelope.encode())
    assert root.tag == "{http://schemas.xmlsoap.org/soap/envelope/}Envelope"
    names = [etree.QName(each).localname for each in root.iter(etree.Element)]
    assert names == [
        *("Envelope", "Header", "Session", "Body", "Order", "line", "sku", "count", "parts", "sku", "count"),
        *("card", "price", "kind"),
    ]
    line = root.find(".//{urn:types}line")
    price = root.find(".//{urn:types}price")
    assert line is not None and price is not None
    assert (line.get("unit"), price.text, price.get("currency")) == ("?", "?", "?")
    for comment in ("One or more:", "Optional:", "parts again", "One of: card, iban", "any element"):
        assert f"<!--{comment}-->" in found.envelope, found.envelope
    assert fill.xml_problem(found.envelope) is None


def test_rpc_style_and_soap_1_2() -> None:
    (found,) = wsdl.operations({"a": document(XSD, "rpc", "http://schemas.xmlsoap.org/wsdl/soap12/")})
    assert found.version == "1.2"
    root = etree.fromstring(found.envelope.encode())
    assert root.tag == "{http://www.w3.org/2003/05/soap-envelope}Envelope"
    assert root.find(".//{urn:rpc}order/body") is not None


def test_imports_are_found_by_name_and_never_fetched() -> None:
    types = """<xs:schema><xs:import namespace="urn:types" schemaLocation="http://nowhere.example/x/types.xsd"/></xs:schema>"""
    whole = document(types)
    assert len(wsdl.operations({"shop.wsdl": whole, "types.xsd": XSD.encode()})) == 1
    with pytest.raises(wsdl.WsdlError, match=r"imports types\.xsd, which is not there"):
        wsdl.operations({"shop.wsdl": whole})
    local = whole.replace(b"http://nowhere.example/x/types.xsd", b"/etc/passwd")
    with pytest.raises(wsdl.WsdlError, match="imports passwd, which is not there"):
        wsdl.operations({"shop.wsdl": local})


def test_documents_of_one_name_are_told_apart_by_their_place() -> None:
    other = '<xs:schema><xs:import namespace="urn:other" schemaLocation="b/types.xsd"/></xs:schema>'
    whole = document(other + other.replace("urn:other", "urn:types").replace("b/", "a/"))
    empty = b'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:other"/>'
    both = {"https://h/x/a/types.xsd": XSD.encode(), "https://h/x/b/types.xsd": empty}
    for documents in (both, dict(reversed(both.items()))):
        assert len(wsdl.operations({"https://h/x/shop?wsdl": whole, **documents})) == 1
    with pytest.raises(wsdl.WsdlError, match=r"imports types\.xsd, and several documents are called so") as told:
        wsdl.operations({"https://h/y/shop?wsdl": whole, **both})
    assert "by its address" in told.value.hint


def test_files_of_one_name_are_refused() -> None:
    assert wsdl.chosen([("a.wsdl", b"1"), ("b.xsd", b"2")]) == {"a.wsdl": b"1", "b.xsd": b"2"}
    with pytest.raises(wsdl.WsdlError, match=r"two of the files are called b\.xsd"):
        wsdl.chosen([("a.wsdl", b"1"), ("b.xsd", b"2"), ("b.xsd", b"3")])


LAUGHS = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><definitions>&c;</definitions>'


@pytest.mark.filterwarnings("ignore::UserWarning")  # zeep's own, of what it leaves out
@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ({}, "there is no WSDL"),
        ({"a": b""}, "cannot be read"),
        ({"a": b"\x00\xff"}, "cannot be read"),
        ({"a": b"<html/>"}, "no SOAP operations|cannot be read"),
        ({"a": LAUGHS}, "DOCTYPE|cannot be read"),
        ({"a": b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><definitions/>'}, "DOCTYPE"),
        ({"a": b"<a>" * 100_000}, "cannot be read"),
        ({"a": b" " * (wsdl.MAX_BYTES + 1)}, "a is larger than 5 MB"),
        ({str(n): b"" for n in range(51)}, "more than 50 documents"),
        ({"a": document(XSD).replace(b"t:Order", b"t:Nobody")}, "no SOAP operations|cannot be read"),
        ({"a": document(XSD)[:1500]}, "cannot be read"),
    ],
)
def test_documents_that_cannot_be_read(documents: dict[str, bytes], said: str) -> None:
    with pytest.raises(wsdl.WsdlError, match=said):
        wsdl.operations(documents)


def test_a_schema_that_never_ends_is_bounded() -> None:
    many = "".join(
        f'<xs:complexType name="T{n}"><xs:sequence><xs:element name="a" type="T{n + 1}"/>'
        f'<xs:element name="b" type="T{n + 1}"/></xs:sequence></xs:complexType>'
        for n in range(30)
    )
    last = (
        '<xs:complexType name="T30"><xs:sequence><xs:element name="z" type="xs:string"/></xs:sequence></xs:complexType>'
    )
    schema = XSD.replace(
        '<xs:element name="Order">', f'{many}{last}<xs:element name="Big" type="T0"/><xs:element name="Order">'
    )
    (found,) = wsdl.operations({"a": document(schema).replace(b't:Order"', b't:Big"')})
    assert len(found.envelope) < 1_000_000


def test_groups_of_groups_are_bounded() -> None:
    groups = "".join(
        f'<xs:group name="G{n}"><xs:sequence><xs:group ref="G{n + 1}"/><xs:group ref="G{n + 1}"/></xs:sequence></xs:group>'
        for n in range(16)
    )
    inside = '<xs:complexType><xs:sequence><xs:group ref="G0"/></xs:sequence></xs:complexType>'
    big = f'<xs:element name="Big">{inside}</xs:element>'
    last = '<xs:group name="G16"><xs:sequence/></xs:group>'
    schema = XSD.replace('<xs:element name="Order">', f'{groups}{last}{big}<xs:element name="Order">')
    with pytest.raises(wsdl.WsdlError, match="too large to be shown"):
        wsdl.operations({"a": document(schema).replace(b't:Order"', b't:Big"')})

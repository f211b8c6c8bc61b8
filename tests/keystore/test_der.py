"""The DER codec against asn1crypto, and against what DER forbids."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asn1crypto import core  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from openmid.keystore import der
from openmid.keystore.der import DerError, Reader

ARCS = st.lists(st.integers(0, 2**64), max_size=8)


@given(st.integers(0, 2**63 - 1))
def test_integers(value: int) -> None:
    assert core.Integer.load(der.integer(value), strict=True).native == value
    assert Reader(core.Integer(value).dump()).integer("it") == value


@given(st.binary(max_size=70_000))
def test_octet_strings(value: bytes) -> None:
    assert core.OctetString.load(der.octets(value), strict=True).native == value
    assert Reader(core.OctetString(value).dump()).octets("it") == value


@given(st.integers(0, 2), st.integers(0, 39), ARCS)
def test_object_identifiers(first: int, second: int, rest: list[int]) -> None:
    dotted = ".".join(map(str, [first, second, *rest]))
    assert core.ObjectIdentifier.load(der.oid(dotted), strict=True).dotted == dotted
    assert Reader(core.ObjectIdentifier(dotted).dump()).oid("it") == dotted


@given(st.text())
def test_utf8(value: str) -> None:
    assert core.UTF8String.load(der.utf8(value), strict=True).native == value
    assert Reader(core.UTF8String(value).dump()).utf8("it") == value


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))
def test_times(value: datetime) -> None:
    whole = value.replace(microsecond=0)
    assert Reader(der.time(value)).time("it") == whole
    assert len(der.time(value)) == 17


@pytest.mark.parametrize(("data", "part"), [
    ("", "is missing"),
    ("02", "is cut short"),
    ("0201", "is cut short"),
    ("0280", "a length that DER does not allow"),
    ("02850000000001", "a length that DER does not allow"),
    ("028101 05", "a length that is not minimal"),
    ("02820001 05", "a length that is not minimal"),
    ("0284ffffffff 05", "is cut short"),
    ("0200", "not a minimal integer"),
    ("02020005", "not a minimal integer"),
    ("0201ff", "negative or absurdly large"),
    ("0209010000000000000000", "negative or absurdly large"),
    ("040105", "has tag 0x04, not 0x02"),
])  # fmt: skip
def test_integers_that_der_forbids(data: str, part: str) -> None:
    with pytest.raises(DerError, match=part):
        Reader(bytes.fromhex(data)).integer("it")


@pytest.mark.parametrize("data", ["0600", "060180", "06022a80", "0603558001", "06172a" + "ff" * 21 + "01"])
def test_object_identifiers_that_der_forbids(data: str) -> None:
    with pytest.raises(DerError, match="not an object identifier"):
        Reader(bytes.fromhex(data)).oid("it")


@pytest.mark.parametrize(
    "text",
    [
        "20260101000000",
        "20261301000000Z",
        "2026010100000Z",
        "20260101000000.Z",
        "２0260101000000Z",
        "20260101000000+0100",
    ],
)
def test_times_that_der_forbids(text: str) -> None:
    with pytest.raises(DerError, match="is not a time"):
        Reader(der.tlv(der.GENERALIZED_TIME, text.encode())).time("it")


def test_a_fraction_of_a_second_is_read() -> None:
    moment = Reader(der.tlv(der.GENERALIZED_TIME, b"20260102030405.678Z")).time("it")
    assert moment == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_text_must_be_utf8() -> None:
    with pytest.raises(DerError, match="is not UTF-8"):
        Reader(der.tlv(der.UTF8_STRING, b"\xff")).utf8("it")


def test_high_tag_numbers_are_refused() -> None:
    with pytest.raises(DerError, match="a tag that no keystore uses"):
        Reader(bytes.fromhex("1f8101 00")).any("it")


@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_element_or_a_der_error(data: bytes) -> None:
    reader = Reader(data)
    try:
        while reader.peek() >= 0:
            assert data.find(reader.any("it")) >= 0
    except DerError:
        pass

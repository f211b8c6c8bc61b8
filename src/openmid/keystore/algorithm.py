"""AlgorithmIdentifier ::= SEQUENCE { OBJECT IDENTIFIER, parameters ANY OPTIONAL } (RFC 5280, 4.1.1.2)."""

from __future__ import annotations

from typing import NamedTuple

from openmid.keystore import der
from openmid.keystore.der import Reader


class Algorithm(NamedTuple):
    """`parameters` is raw DER, empty where absent; `raw` is the whole, as read."""

    oid: str
    parameters: bytes
    raw: bytes


def read_algorithm(reader: Reader, what: str) -> Algorithm:
    """Raises DerError."""
    raw = reader.any(what)
    inner = Reader(raw).sequence(what)
    oid = inner.oid(what)
    found = inner.any(what) if inner.peek() >= 0 else b""
    inner.done(what)
    return Algorithm(oid, found, raw)


def parameters(found: Algorithm, what: str) -> Reader:
    """The content of the parameters, a SEQUENCE. Raises DerError."""
    outer = Reader(found.parameters)
    inner = outer.sequence(what)
    outer.done(what)
    return inner


def algorithm(oid: str, parameters: bytes = b"\x05\x00") -> bytes:
    """An AlgorithmIdentifier's DER; parameters default to NULL."""
    return der.sequence(der.oid(oid), parameters)

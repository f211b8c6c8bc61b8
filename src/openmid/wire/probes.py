"""Probes: what a MID Server is asked to run, and what it answers. Times are microseconds, UTC since 1970 or durations."""

from __future__ import annotations

from typing import Annotated

import msgspec

Microseconds = Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
"""A time or a duration that every clock and database can hold; -1: none."""

MAX_BODY_BYTES = 5 * 1024 * 1024
"""A larger response that is not saved as an attachment is an error."""


class RestProbe(msgspec.Struct, frozen=True, tag="RESTProbe", tag_field="topic"):
    """One HTTP request. `url` has the scheme of a registered protocol (`mauth://host:8443/path`) or `https`."""

    url: str
    method: str = "GET"
    headers: list[tuple[str, str]] = []
    query: list[tuple[str, str]] = []
    body: str = ""
    timeout_ms: int = 30_000
    ca_certificates: str = ""  # PEM; empty: the system's certification authorities
    require_fips: bool = False
    max_body_bytes: int = MAX_BODY_BYTES


class TlsFacts(msgspec.Struct, frozen=True):
    """What the TLS session of a call was. Names are RFC 4514 strings, serial numbers upper-case hex."""

    version: str = ""
    cipher: str = ""
    server_subject: str = ""
    server_issuer: str = ""
    server_not_after: str = ""  # ISO 8601, UTC
    client_subject: str = ""  # empty: no client certificate was at hand
    client_serial: str = ""
    peer: str = ""  # the address and port connected to


class Timing(msgspec.Struct, frozen=True):
    """Where a call's time went, in microseconds; -1 where a phase did not happen (a reused connection)."""

    connect: Microseconds = -1
    tls: Microseconds = -1
    first_byte: Microseconds = -1
    total: Microseconds = -1


class Failure(msgspec.Struct, frozen=True):
    """Why a call has no answer: a cause of `openmid.diagnosis`, in its words."""

    code: str
    message: str
    remedy: str = ""


class ProbeResult(msgspec.Struct, frozen=True):
    """The outcome of one probe: an answer of the partner (`status_code`) or a failure, never both."""

    started: Microseconds
    status_code: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    headers: list[tuple[str, str]] = []
    body: str = ""
    body_is_base64: bool = False
    failure: Failure | None = None
    tls: TlsFacts = TlsFacts()
    timing: Timing = Timing()
    fips_enforced: bool = False

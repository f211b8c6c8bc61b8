"""Probes: what a MID Server is asked to run, and what it answers. Times are microseconds, UTC since 1970 or durations."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Microseconds = Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
"""A time or a duration that every clock and database can hold; -1: none."""

MAX_BODY_BYTES = 5 * 1024 * 1024
"""A larger response that is not saved as an attachment is an error."""

MAX_ATTACHMENT_BYTES = 1024 * 1024 * 1024
"""A response that is saved as an attachment has at most so many bytes, unless its probe says less."""


class Attachment(msgspec.Struct, frozen=True):
    """A body that is too large, or too binary, for a message: the MID Server streams it by its `sys_id`."""

    sys_id: str
    size_bytes: int
    content_type: str = "application/octet-stream"
    file_name: str = ""


class Part(msgspec.Struct, frozen=True):
    """One part of a multipart/form-data body (RFC 7578): a text `value`, or an attachment."""

    name: str
    value: str = ""
    attachment: Attachment | None = None
    file_name: str = ""
    content_type: str = ""


class RetryPolicy(msgspec.Struct, frozen=True):
    """When a call is made again, by the MID Server that makes it. `count` 0: never.

    Without `any_method` only idempotent methods are repeated once the request may have been sent (RFC 9110, 9.2.2).
    `statuses` and `failures` (codes of `openmid.diagnosis`; empty: those that pass by themselves) are what it answers to.
    """

    kind: Literal["exponential", "fixed", "retry_after"] = "exponential"
    count: int = 0
    interval_ms: int = 1_000
    max_elapsed_ms: int = 60_000
    statuses: tuple[int, ...] = (429, 502, 503, 504)
    failures: list[str] = []
    any_method: bool = False


class Timeouts(msgspec.Struct, frozen=True):
    """Limits for the phases of each attempt, in milliseconds; 0: only the probe's `timeout_ms` counts."""

    connect_ms: int = 0
    tls_ms: int = 0
    first_byte_ms: int = 0


class HttpProbe(msgspec.Struct, frozen=True):
    """One HTTP request. `url` has the scheme of a registered protocol (`mauth://host:8443/path`) or `https`.

    At most one of `body`, `attachment` and `parts` is there. `body_is_base64` marks a binary `body`.
    `timeout_ms` is for one attempt from its begin to its last byte. `credential` is the sys_id of a `messages.Credential`.
    `save_as` is a file name: the response's body becomes an attachment of the instance.
    """

    url: str
    method: str = "GET"
    headers: list[tuple[str, str]] = []
    query: list[tuple[str, str]] = []
    body: str = ""
    body_is_base64: bool = False
    attachment: Attachment | None = None
    parts: list[Part] = []
    timeout_ms: int = 30_000
    timeouts: Timeouts = Timeouts()
    ca_certificates: str = ""  # PEM; empty: the system's certification authorities
    require_fips: bool = False
    max_body_bytes: int = MAX_BODY_BYTES
    max_redirects: int = 0
    retry: RetryPolicy = RetryPolicy()
    credential: str = ""
    save_as: str = ""
    traceparent: str = ""  # W3C Trace Context, sent to the partner and written to the logs


class RestProbe(HttpProbe, frozen=True, tag="RESTProbe", tag_field="topic"):
    """The call of a REST step, or of an ad hoc request."""


class SoapProbe(HttpProbe, frozen=True, tag="SOAPProbe", tag_field="topic"):
    """The call of a SOAP step: `body` is the envelope. The MID Server adds what `version` asks for: the content type and
    SOAPAction (SOAP 1.1, section 6.1.1; SOAP 1.2 part 2, section 6.5.3), and sends `parts` as MTOM attachments when there
    are any (each part's `name` is its Content-ID)."""

    version: Literal["1.1", "1.2"] = "1.1"
    action: str = ""


Probe = RestProbe | SoapProbe


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
    client_expired_at: str = ""  # ISO 8601, UTC; empty: it had not expired


class Timing(msgspec.Struct, frozen=True):
    """Where a call's time went, in microseconds; -1 where a phase did not happen (a reused connection).

    `first_byte` is from the request's begin to the answer's headers, `transfer` from there to the last byte.
    """

    dns: Microseconds = -1
    connect: Microseconds = -1
    tls: Microseconds = -1
    first_byte: Microseconds = -1
    transfer: Microseconds = -1
    total: Microseconds = -1


class Failure(msgspec.Struct, frozen=True):
    """Why a call has no answer: a cause of `openmid.diagnosis`, in its words."""

    code: str
    message: str
    remedy: str = ""


class SoapFault(msgspec.Struct, frozen=True):
    """The partner's SOAP fault: `code` and `subcode` as qualified names without their prefix, `detail` as XML."""

    code: str
    reason: str
    subcode: str = ""
    detail: str = ""


class EarlierAttempt(msgspec.Struct, frozen=True):
    """An attempt before the last: its answer's status or its failure's code, and how long was waited after it."""

    started: Microseconds
    status_code: int | None = None
    failure: Failure | None = None
    waited_ms: int = 0


class ProbeResult(msgspec.Struct, frozen=True):
    """The outcome of one probe: an answer of the partner (`status_code`) or a failure, never both.

    `attachment` holds the body where the probe asked to save it. `redirects` are the URLs that were followed, in order.
    """

    started: Microseconds
    status_code: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    headers: list[tuple[str, str]] = []
    body: str = ""
    body_is_base64: bool = False
    attachment: Attachment | None = None
    failure: Failure | None = None
    fault: SoapFault | None = None
    tls: TlsFacts = TlsFacts()
    timing: Timing = Timing()
    fips_enforced: bool = False
    attempts: list[EarlierAttempt] = []
    redirects: list[str] = []

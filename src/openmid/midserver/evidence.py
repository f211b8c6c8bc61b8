"""From an exception and what its attempt has recorded to evidence."""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Iterator
from dataclasses import replace

import aiohttp
from aiohttp.http_exceptions import (
    BadHttpMessage,
    ContentLengthError,
    HttpProcessingError,
    LineTooLong,
    TransferEncodingError,
)

from openmid.diagnosis import Evidence
from openmid.midserver.call_error import CallError
from openmid.midserver.certificate import describe
from openmid.midserver.connector import Attempt, EgressDenied, PhaseTimeout

_QUERY = re.compile(r"(https?://[^\s?#]+)[?#]\S*")
_ANSWERED = (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, HttpProcessingError)


def gather(error: BaseException, attempt: Attempt, base: Evidence) -> Evidence:
    """`base` (host, port, where trust comes from, …) with everything that the failure shows."""
    server = describe(attempt.server_certificate)
    evidence = replace(
        base,
        phase=_phase(error, attempt),
        peer=attempt.peer,
        denied=", ".join(attempt.denied),
        denied_by=attempt.denied_by,
        timed_out=isinstance(error, TimeoutError),
        # A connection that has served before was not refused for its certificate.
        certificate_requested=attempt.certificate_requested and attempt.fresh,
        bytes_received=attempt.head > 0 or isinstance(error, _ANSWERED),
        client_subject=attempt.client.subject,
        client_not_after=attempt.client.not_after,
        client_expired=attempt.client.expired,
        server_subject=server.subject,
        server_names=server.names,
        server_issuer=server.issuer,
        server_not_before=server.not_before,
        server_not_after=server.not_after,
        detail=_words(error),
        denied_port=attempt.denied_port,
        proxy=attempt.proxy,
        tunnelled=attempt.tunnelled,
        uploading=attempt.uploading,
    )
    evidence = _known(error, evidence)
    return evidence if evidence.code else _system(error, _tls(error, attempt, evidence))


def _known(error: BaseException, evidence: Evidence) -> Evidence:
    """What the exceptions themselves say."""
    for one in _chain(error):
        match one:
            case CallError():
                return replace(evidence, code=one.code, detail=str(one), profile_remedy=one.remedy)
            case PhaseTimeout():
                return replace(evidence, timeout_ms=one.limit_ms)
            case aiohttp.ClientHttpProxyError():
                return replace(evidence, proxy_status=one.status)
            case LineTooLong():
                return replace(evidence, header_too_large=True, detail=_words(one))
            case BadHttpMessage() if "Too many" in one.message:
                return replace(evidence, header_too_large=True, detail=_words(one))
    return evidence


def _phase(error: BaseException, attempt: Attempt) -> str:
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        return "request"
    if isinstance(error, aiohttp.InvalidURL):
        return "request"
    if any(isinstance(one, EgressDenied) for one in _chain(error)):
        return "egress"
    return attempt.phase


def _tls(error: BaseException, attempt: Attempt, evidence: Evidence) -> Evidence:
    # aiohttp's own classes inherit from ssl's, without what those carry.
    for one in (each for each in _chain(error) if not isinstance(each, aiohttp.ClientError)):
        if isinstance(one, ssl.SSLCertVerificationError):
            return replace(
                evidence, verify_code=one.verify_code, detail=one.verify_message, ssl_reason=one.reason or ""
            )
        if isinstance(one, ssl.SSLError):
            reason = f"ALERT_{attempt.alert}" if attempt.alert else one.reason
            return replace(evidence, ssl_reason=reason or "TLS_FAILED", detail=_words(one))
    # The alert was read, and the connection's end was faster than its exception.
    return replace(evidence, ssl_reason=f"ALERT_{attempt.alert}") if attempt.alert else evidence


def _system(error: BaseException, evidence: Evidence) -> Evidence:
    for one in _chain(error):
        if isinstance(
            one, ContentLengthError | TransferEncodingError | aiohttp.ServerDisconnectedError | ConnectionResetError
        ):
            return replace(evidence, errno=errno.ECONNRESET)
        if isinstance(one, OSError) and one.errno and not isinstance(one, ssl.SSLError):
            return replace(evidence, errno=one.errno)
    return evidence


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _words(error: BaseException) -> str:
    """The exception's own words on one line, without the URL of an answer and without any query: people put keys there."""
    words = error.message if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError) else str(error)
    return _QUERY.sub(r"\1", " ".join((words or type(error).__name__).split()))[:300]

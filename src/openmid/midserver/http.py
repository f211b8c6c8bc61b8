"""Run a RestProbe: one HTTP request over (mutual) TLS, answered with a result in every case."""

from __future__ import annotations

import base64
import codecs
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import aiohttp
from yarl import URL

from openmid.diagnosis import Evidence, diagnose
from openmid.midserver.client_identity import ProfileError
from openmid.midserver.connector import CURRENT, Attempt
from openmid.midserver.evidence import gather
from openmid.midserver.protocol_registry import NotRegistered, ProtocolRegistry
from openmid.midserver.tls_client import TlsClient
from openmid.wire.probes import Failure, Probe, ProbeResult, Timing, TlsFacts

# RFC 3986: what may stand in a path or a query as it is. A percent sign stays: it is taken for an escape.
_PATH = "/%:@!$&'()*+,;=~-._"
_QUERY = _PATH + "?"
# Python calls these encodings too; of long bodies some take minutes.
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class TooLarge(Exception):
    """Raised when an answer exceeds the probe's limit."""


@dataclass(frozen=True)
class Host:
    """Who runs the probe, for the words of a failure."""

    mid: str
    config: Path
    enforced: bool


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    charset: str | None
    head: int
    """`time.monotonic_ns()` when the headers had come."""


class RestRunner:
    """Runs probes through the registry's clients."""

    def __init__(self, registry: ProtocolRegistry, host: Host) -> None:
        self._registry = registry
        self._host = host

    async def run(self, probe: Probe) -> ProbeResult:
        """The partner's answer, or why there is none. Raises nothing that a user can cause."""
        started, began = time.time_ns() // 1000, time.monotonic_ns()
        attempt, base = Attempt(""), self._base(probe)
        try:
            parts = _split(probe.url)
            await self._registry.ready(parts.scheme)
            client, default_port = self._prepare(probe, parts)
            attempt = Attempt(parts.hostname or "", client.facts)
            base = self._base(probe, parts.hostname or "", parts.port or default_port)
            if client.trusted_by and not probe.ca_certificates:
                base = replace(base, trust="truststore", truststore=client.trusted_by)
            answer = await self._call(probe, client, _target(parts, default_port, probe.query), attempt)
        except (
            aiohttp.ClientError,
            OSError,
            ValueError,
            NotRegistered,
            ProfileError,
            TooLarge,
            _FipsRequired,
        ) as error:
            return self._failed(error, attempt, base, started, began)
        return self._answered(answer, attempt, started, began)

    def _base(self, probe: Probe, host: str = "", port: int = 0) -> Evidence:
        return Evidence(
            phase="request",
            host=host,
            port=port,
            timeout_ms=probe.timeout_ms,
            trust="connection" if probe.ca_certificates else "system",
            config_path=str(self._host.config),
            mid=self._host.mid,
            protocol=probe.url.partition(":")[0],
            registered=self._registry.names(),
        )

    def _prepare(self, probe: Probe, parts: SplitResult) -> tuple[TlsClient, int]:
        if probe.require_fips and not self._host.enforced:
            raise _FipsRequired
        _check(probe)
        return self._registry.client(parts.scheme)

    async def _call(self, probe: Probe, client: TlsClient, url: URL, attempt: Attempt) -> _Answer:
        context = client.context(probe.ca_certificates)
        session = client.acquire()
        token = CURRENT.set(attempt)
        try:
            async with session.request(
                probe.method,
                url,
                headers=probe.headers,
                data=probe.body.encode() if probe.body else None,
                ssl=context,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=probe.timeout_ms / 1000),
            ) as response:
                head = time.monotonic_ns()
                body = await _read(response, probe.max_body_bytes)
                headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
                return _Answer(response.status, headers, body, response.charset, head)
        finally:
            CURRENT.reset(token)
            await client.release()

    def _answered(self, answer: _Answer, attempt: Attempt, started: int, began: int) -> ProbeResult:
        text = _text(answer)
        return ProbeResult(
            started=started,
            status_code=answer.status,
            headers=answer.headers,
            body=base64.b64encode(answer.body).decode() if text is None else text,
            body_is_base64=text is None,
            tls=attempt.tls,
            timing=_timing(attempt, began, answer.head),
            fips_enforced=self._host.enforced,
        )

    def _failed(self, error: Exception, attempt: Attempt, base: Evidence, started: int, began: int) -> ProbeResult:
        cause = diagnose(_evidence(error, attempt, base))
        return ProbeResult(
            started=started,
            failure=Failure(cause.code, cause.message, cause.remedy),
            tls=attempt.tls if attempt.tls.peer else TlsFacts(peer=attempt.peer, client_subject=attempt.client.subject),
            timing=_timing(attempt, began, 0),
            fips_enforced=self._host.enforced,
        )


class _FipsRequired(Exception):
    """Raised when the probe asks for FIPS Enforced Mode and this MID Server is not in it."""


def _evidence(error: Exception, attempt: Attempt, base: Evidence) -> Evidence:
    match error:
        case _FipsRequired():
            return replace(base, fips_required=True)
        case NotRegistered():
            return replace(base, phase="registry")
        case ProfileError():
            return replace(
                base, phase="registry", profile_code=error.code, profile_message=str(error), profile_remedy=error.remedy
            )
        case TooLarge():
            return replace(base, phase="answer", limit=error.args[0])
    return gather(error, attempt, base)


def _check(probe: Probe) -> None:
    """Nothing that would end a line early goes into a request (RFC 9110, 5.5 and 9.1)."""
    if not _TOKEN.fullmatch(probe.method):
        raise ValueError("the method is not an HTTP method")
    for name, value in probe.headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
        if any(character in value for character in "\r\n\0"):
            raise ValueError(f"the header {name} holds a line break or a zero byte")


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        raise ValueError(f'"{url}" is not a URL with a protocol and a host')
    if parts.username is not None:
        raise ValueError("the URL holds a user name; a credential belongs in the connection")
    _ = parts.port  # raises ValueError for what is no port
    return parts


def _target(parts: SplitResult, default_port: int, query: list[tuple[str, str]]) -> URL:
    """The URL on the wire: the user's own escapes stay as they are, and the query's order and duplicates too."""
    base = URL.build(scheme="https", host=parts.hostname or "", port=parts.port or default_port)
    own = quote(parts.query, safe=_QUERY)
    added = urlencode(query, quote_via=quote)
    path = quote(parts.path, safe=_PATH) or "/"
    both = "&".join(filter(None, [own, added]))
    return URL(f"{base.origin()}{path}{'?' if both else ''}{both}", encoded=True)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, or TooLarge as soon as it is."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()
            raise TooLarge(limit)
    return bytes(body)


def _text(answer: _Answer) -> str | None:
    """The body as text: in the charset that the partner names, else UTF-8; None for what is neither.

    Half of a surrogate pair (utf-7 can say one) is no text: no message can carry it.
    """
    try:
        if codecs.lookup(answer.charset or "utf-8").name in _NO_CHARSETS:
            return None
        text = answer.body.decode(answer.charset or "utf-8")
        text.encode()
    except (ValueError, LookupError):
        return None
    return text


def _timing(attempt: Attempt, began: int, head: int) -> Timing:
    def span(first: int, last: int) -> int:
        return (last - first) // 1000 if first and last else -1

    ready = attempt.secured or began
    return Timing(
        connect=span(attempt.began, attempt.connected),
        tls=span(attempt.connected, attempt.secured),
        first_byte=span(ready, head),
        total=span(began, time.monotonic_ns()),
    )

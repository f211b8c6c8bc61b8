"""From a probe to the request that goes on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import SplitResult, quote, unquote_plus, urlencode, urlsplit

from yarl import URL

from openmid.midserver import bodies, soap
from openmid.midserver.bodies import Header, Streamed
from openmid.midserver.credentials import Shown
from openmid.wire.probes import HttpProbe, SoapProbe

# RFC 3986: what may stand in a path or a query as it is. A percent sign stays: it is taken for an escape.
_PATH = "/%:@!$&'()*+,;=~-._"
IN_QUERY = _PATH + "?"
REMEMBERED = 1024
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAK = re.compile(r"[\r\n\0]")
# How the message is framed, and the way to the next hop (RFC 9110, 7.6.1; RFC 9112, 6), is not the user's to say.
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",  # a partner that does not know it would be waited for
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes on the wire. `protocol` is a profile's name or https; `target` is an https URL.

    `authorised`: it goes where the call was meant to go, so that the credential goes with it.
    """

    method: str
    protocol: str
    target: URL
    headers: list[Header]
    body: bytes | Streamed | None
    authorised: bool = True


def of(probe: HttpProbe, parts: SplitResult, default_port: int) -> Request:
    """The first request of a call.

    Raises:
        ValueError: it cannot be sent; says why.
    """
    method = probe.method.upper()
    if isinstance(probe, SoapProbe):
        method = "POST"
        body, own = soap.of(probe)
    elif probe.attachment is not None or probe.parts:
        body, own = bodies.of(probe)
    else:
        body, own = bodies.inline(probe), []
    headers = _headers(probe, own)
    target = _target(parts, default_port)
    return Request(method, parts.scheme, _asking(target, probe.query) if probe.query else target, headers, body)


@lru_cache(maxsize=REMEMBERED)
def split(url: str) -> SplitResult:
    """The URL of a probe.

    Raises:
        ValueError: it is none, or holds a user name.
    """
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        raise ValueError(f'"{url}" is not a URL with a protocol and a host')
    if parts.username is not None:
        raise ValueError("the URL holds a user name; a credential belongs in the connection")
    _ = parts.port  # raises ValueError for what is no port
    return parts


def carrying(request: Request, shown: Shown) -> Request:
    """The request with its credential, in place of what says the same."""
    if shown.header is not None:
        name = shown.header[0].lower()
        others = [header for header in request.headers if header[0].lower() != name]
        return replace(request, headers=[*others, shown.header])
    if shown.query is None:
        return request
    return replace(request, target=_asking(_without(request.target, shown.query[0]), [shown.query]))


def _headers(probe: HttpProbe, own: list[Header]) -> list[Header]:
    """The user's, less what is ours to say, and what belongs to the body. Nothing in them ends a line early (RFC 9110, 5.5
    and 9.1)."""
    if not _TOKEN.fullmatch(probe.method):
        raise ValueError("the method is not an HTTP method")
    found: list[Header] = []
    names: set[str] = set()
    for header in probe.headers:
        name, value = header
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
        if _BREAK.search(value):
            raise ValueError(f"the header {name} holds a line break or a zero byte")
        lower = name.lower()
        if lower == "host" and lower in names:  # there is one (RFC 9112, 3.2): the last one counts
            found = [each for each in found if each[0].lower() != lower]
        if lower not in _OURS:
            names.add(lower)
            found.append(header)
    for name, value in own:
        if _replaces(name, value, names):
            found = [header for header in found if header[0].lower() != name.lower()]
        if _replaces(name, value, names) or name.lower() not in names:
            found.append((name, value))
    if probe.traceparent and "traceparent" not in names:
        found.append(("traceparent", probe.traceparent))
    return found


def _replaces(name: str, value: str, names: set[str]) -> bool:
    """The boundary of a multipart body is ours to say; any other content type is the user's."""
    return name.lower() in names and value.startswith("multipart/")


@lru_cache(maxsize=REMEMBERED)
def _target(parts: SplitResult, default_port: int) -> URL:
    """The URL on the wire: the user's own escapes stay as they are. The same object for the same URL: yarl keeps in
    it what it has derived."""
    base = URL.build(scheme="https", host=parts.hostname or "", port=parts.port or default_port)
    query = quote(parts.query, safe=IN_QUERY)
    path = quote(parts.path, safe=_PATH) or "/"
    return URL(f"{base.origin()}{path}{'?' if query else ''}{query}", encoded=True)


def _without(target: URL, name: str) -> URL:
    """The URL without what its query says under this name; a redirect often brings it back."""
    own = target.raw_query_string
    kept = "&".join(each for each in own.split("&") if unquote_plus(each.partition("=")[0]) != name)
    return target if kept == own else URL(f"{str(target).partition('?')[0]}{'?' if kept else ''}{kept}", encoded=True)


def _asking(target: URL, query: list[tuple[str, str]]) -> URL:
    """The URL with more in its query, in order and with duplicates."""
    head, _, own = str(target).partition("?")
    both = "&".join(filter(None, [own, urlencode(query, quote_via=quote)]))
    return URL(f"{head}?{both}", encoded=True)

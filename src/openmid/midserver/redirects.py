"""Redirects (RFC 9110, 15.4), followed by our own code.

An origin is what a connection is to: host and port, and the profile by whose certificate we are known there. To another
origin a call goes without profile, client certificate, credential and cookies, and with no header but those that say what
is wanted. A partner never chooses a profile: it names https URLs, or none is followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from yarl import URL

from openmid.midserver.call_error import CallError
from openmid.midserver.outgoing import IN_QUERY, Request

HTTPS = "https"
STATUSES = frozenset({301, 302, 303, 307, 308})

_STRAY = re.compile("%(?![0-9A-Fa-f]{2})")

# Of the user's headers only these go to another origin: a key may stand in any other.
_HARMLESS = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "content-encoding",
        "content-language",
        "content-type",
        "soapaction",
        "traceparent",
        "user-agent",
    }
)


def follows(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer sends the call on."""
    return status in STATUSES and "Location" in headers


def onward(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for.

    Raises:
        CallError: redirect_refused: it leads to what is not https, or to no URL.
    """
    target = _target(request.target, location)
    if (target.host, target.port) != (request.target.host, request.target.port):
        headers = [(name, value) for name, value in request.headers if name.lower() in _HARMLESS]
        request = replace(request, protocol=HTTPS, headers=headers, authorised=False)
    request = replace(request, target=target)
    return _as_get(request) if _becomes_get(request.method, status) else request


def _target(base: URL, location: str) -> URL:
    scheme, _, rest = location.partition(":")
    if rest.startswith("//") and scheme.isalnum() and scheme.lower() != HTTPS:
        raise CallError("redirect_refused", f"it leads to {scheme[:20]}://, and only https:// is followed")
    try:
        location.encode()  # bytes that are no UTF-8 would be dropped, and lead elsewhere
        found = URL(location)
        target = base.join(found).with_fragment(None)
        named = (
            bool(found.host or not found.scheme)
            and target.scheme == HTTPS
            and target.user is None
            and target.password is None
        )
    except ValueError:
        named = False
    if not named:
        raise CallError("redirect_refused", "its Location is not a URL that can be called")
    return _as_written(base, location, target)


def _as_written(base: URL, location: str, target: URL) -> URL:
    """The target with path and query as the Location has them: an escape of a reserved character is another URL than the
    character (RFC 3986, 2.2), and a signature over the one is none over the other."""
    written = base.join(URL(quote(_STRAY.sub("%25", location), safe=f"{IN_QUERY}#[]"), encoded=True))
    query = f"?{written.raw_query_string}" if written.raw_query_string else ""
    return URL(f"{target.origin()}{written.raw_path or '/'}{query}", encoded=True)


def _becomes_get(method: str, status: int) -> bool:
    if status == 303:
        return method not in ("GET", "HEAD")
    return status in (301, 302) and method == "POST"


def _as_get(request: Request) -> Request:
    headers = [
        (name, value) for name, value in request.headers if not name.lower().startswith(("content-", "soapaction"))
    ]
    return replace(request, method="GET", headers=headers, body=None)

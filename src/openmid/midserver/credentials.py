"""Credentials as calls use them: basic, API key, OAuth client credentials (RFC 6749, section 4.4).

The link opens what the instance has sealed and puts it here with `replace`. A credential goes only where its connection
points; every form that it takes on the wire is learnt, so that no log, failure or evidence shows it.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, quote_plus

import msgspec
from yarl import URL

from openmid.midserver import redact
from openmid.midserver.call_error import CallError
from openmid.wire.codec import WireError, decode
from openmid.wire.probes import HttpProbe, ProbeResult, RestProbe

UNSAID_SECONDS = 300
"""How long a token is used whose answer says nothing of it; RFC 6749, 5.1 leaves it open."""
EARLY_SECONDS = 30

_ESCAPE = re.compile("%[0-9A-F]{2}")

Call = Callable[[HttpProbe], Awaitable[ProbeResult]]


@dataclass(frozen=True)
class OpenedCredential:
    """A `messages.Credential` with its secret in clear. `problem` says why it did not open, if it did not."""

    sys_id: str
    kind: Literal["basic", "api_key", "oauth"]
    secret: str = field(repr=False)
    user_name: str = ""
    place: Literal["header", "query"] = "header"
    name: str = ""
    token_url: str = ""
    scope: str = ""
    ca_certificates: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Shown:
    """What a request says of itself: a header, or a query parameter; neither shows in a repr. `fresh`: a token that was
    fetched just now, so that fetching it again changes nothing."""

    header: tuple[str, str] | None = field(default=None, repr=False)
    query: tuple[str, str] | None = field(default=None, repr=False)
    fresh: bool = False


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105  the name of a scheme
    expires_in: float | str | None = None


class _TokenError(msgspec.Struct, frozen=True):
    error: str = ""
    error_description: str = ""


@dataclass
class _Cached:
    opened: OpenedCredential
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str = field(default="", repr=False)
    until: float = 0.0


class Credentials:
    """Every credential that this MID Server may use, by sys_id."""

    def __init__(self) -> None:
        self._by_sys_id: dict[str, _Cached] = {}

    def replace(self, opened: Iterable[OpenedCredential]) -> None:
        """These and no others from now on. The token of one that stays the same is kept."""
        before = self._by_sys_id
        self._by_sys_id = {
            one.sys_id: kept if (kept := before.get(one.sys_id)) and kept.opened == one else _Cached(one)
            for one in opened
        }
        for one in self._by_sys_id.values():
            redact.learn(one.opened.secret)

    async def show(self, sys_id: str, call: Call, seconds: float) -> Shown:
        """What a request with this credential carries. `call` makes the request for a token; another call's is waited for
        no longer than `seconds`.

        Raises:
            CallError: credential_unknown, credential_unusable, oauth_token_refused, oauth_token_failed.
        """
        cached = self._by_sys_id.get(sys_id)
        if cached is None:
            raise CallError("credential_unknown")
        opened = cached.opened
        if opened.problem:
            raise CallError("credential_unusable", opened.problem)
        match opened.kind:
            case "basic":
                return Shown(("Authorization", f"Basic {_basic(opened.user_name, opened.secret)}"))
            case "api_key":
                return _key(opened)
        return await _bearer(cached, call, seconds)

    def refuse(self, sys_id: str, shown: Shown) -> bool:
        """The partner answered 401: forget that token. Whether another one may help."""
        cached = self._by_sys_id.get(sys_id)
        if cached is None or cached.opened.kind != "oauth" or shown.fresh or shown.header is None:
            return False
        if shown.header[1] == f"Bearer {cached.token}":
            cached.token = ""
        return True


def _basic(user: str, secret: str) -> str:
    """RFC 7617, in UTF-8."""
    return redact.learn(base64.b64encode(f"{user}:{secret}".encode()).decode())


def _key(opened: OpenedCredential) -> Shown:
    if not opened.name:
        raise CallError("credential_unusable", "it does not say in which header or query parameter the key goes")
    if any(character in opened.secret for character in "\r\n\0"):
        raise CallError("credential_unusable", "the key holds a line break or a zero byte")
    if opened.place == "header":
        return Shown(header=(opened.name, opened.secret))
    for written in _in_a_query(opened.secret):
        redact.learn(written)
    return Shown(query=(opened.name, opened.secret))


def _in_a_query(secret: str) -> set[str]:
    """As it is sent; and as it comes back in a redirect, where partners and yarl escape less."""
    sent = quote(secret, safe="")
    found = {sent, quote(secret), quote_plus(secret), URL(f"https://a/?{sent}").raw_query_string}
    return found | {_ESCAPE.sub(lambda escape: escape[0].lower(), each) for each in found}  # as .NET writes escapes


async def _bearer(cached: _Cached, call: Call, seconds: float) -> Shown:
    await _alone(cached.lock, seconds)  # one fetches, the others wait for it
    try:
        if cached.token and time.monotonic() < cached.until:
            return Shown(("Authorization", f"Bearer {cached.token}"))
        token = await _fetched(cached.opened, call)
        cached.token = redact.learn(token.access_token, passing=True)
        cached.until = time.monotonic() + _seconds(token)
        return Shown(("Authorization", f"Bearer {cached.token}"), fresh=True)
    finally:
        cached.lock.release()


async def _alone(lock: asyncio.Lock, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await lock.acquire()
    except TimeoutError as error:
        words = "another call asked for it, and had no answer while this call had time"
        raise CallError("oauth_token_failed", words, "look at the service that gives out the tokens") from error


async def _fetched(opened: OpenedCredential, call: Call) -> _Token:
    result = await call(_token_probe(opened))
    if result.failure is not None:
        raise CallError("oauth_token_failed", result.failure.message, result.failure.remedy)
    body = result.body.encode()
    try:
        if result.status_code is not None and (result.status_code == 429 or result.status_code >= 500):
            raise _busy(opened, _why(result.status_code, body))
        if result.status_code != 200:
            raise _refused(opened, _why(result.status_code, body))
        token = decode(body, _Token)
    except WireError as error:
        raise _refused(opened, "its answer holds no access_token") from error
    plain = token.access_token.isascii() and token.access_token.isprintable() and " " not in token.access_token
    if token.token_type.lower() != "bearer" or not token.access_token or not plain:
        raise _refused(opened, f'what it calls one is of the type "{token.token_type[:40]}", or none')
    return token


def _refused(opened: OpenedCredential, why: str) -> CallError:
    return CallError("oauth_token_refused", f"{opened.token_url.partition('?')[0]} gives no token: {why}")


def _busy(opened: OpenedCredential, why: str) -> CallError:
    """No refusal (RFC 6749, 5.2): it may pass, and a retry policy counts it so."""
    words = f"{opened.token_url.partition('?')[0]} answered {why}"
    return CallError("oauth_token_failed", words, "look at the service that gives out the tokens")


def _token_probe(opened: OpenedCredential) -> RestProbe:
    """Client ID and secret by Basic authentication, which every server has to know (RFC 6749, 2.3.1)."""
    user, secret = quote_plus(opened.user_name), redact.learn(quote_plus(opened.secret))
    body = "grant_type=client_credentials" + (f"&scope={quote_plus(opened.scope)}" if opened.scope else "")
    return RestProbe(
        opened.token_url,
        method="POST",
        headers=[
            ("Authorization", f"Basic {_basic(user, secret)}"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
        ],
        body=body,
        ca_certificates=opened.ca_certificates,
        max_body_bytes=256 * 1024,
    )


def _why(status: int | None, body: bytes) -> str:
    try:
        said = decode(body, _TokenError)
    except WireError:
        said = _TokenError()
    words = ": ".join(filter(None, [said.error, " ".join(said.error_description.split())]))
    return f"{status} {words}".strip()[:300]


def _seconds(token: _Token) -> float:
    """How long to use it, with some seconds to spare for the way."""
    try:
        says = float(token.expires_in) if token.expires_in is not None else UNSAID_SECONDS
    except ValueError:
        says = UNSAID_SECONDS
    return max(0.0, says - min(EARLY_SECONDS, says / 10))

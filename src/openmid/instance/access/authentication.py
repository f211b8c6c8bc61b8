"""How a request shows whose it is: `Authorization: Bearer omt_…` (an API token) or HTTP Basic (RFC 7617).

A Basic password that was right is remembered for five minutes, as a keyed digest bound to the stored hash and to the address
that it came from: the hash is slow on purpose, and a client sends it with every request. A changed password is asked for
at once; and who may not try now learns nothing from what somebody else has sent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.hashers import check_password, make_password

from openmid.fips import keys
from openmid.instance.access.models import PREFIX, ApiToken
from openmid.instance.access.roles import ADMIN, FOLLOWERS, RUNNERS
from openmid.instance.access.throttle import throttle
from openmid.instance.audit.models import Event
from openmid.instance.audit.trail import note
from openmid.instance.errors import InstanceError
from openmid.instance.records import clock
from openmid.instance.records.actor import acting_as
from openmid.instance.records.database import reader
from openmid.instance.records.secrets import digest
from openmid.instance.records.statements import statements

SQL = statements("openmid.instance.access", "access.sql")
REMEMBER_S = 300.0
_key = keys.random_bytes(32)
_right: dict[bytes, float] = {}


@dataclass(frozen=True)
class Caller:
    """A user who was recognised, his roles, and the scope of the token that he showed."""

    username: str
    roles: frozenset[str]
    scope: str = ApiToken.Scope.FULL

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return ADMIN in self.roles and self.scope == ApiToken.Scope.FULL

    @property
    def may_run(self) -> bool:
        """Whether he may start and cancel executions."""
        return bool(self.roles & RUNNERS) and self.scope != ApiToken.Scope.READ

    @property
    def may_follow(self) -> bool:
        """Whether he may see executions."""
        return bool(self.roles & FOLLOWERS)


class TokenNeededError(InstanceError):
    """Raised where a password would go around a second factor."""


def is_token(authorization: str) -> bool:
    """Whether `identify` will be quick: a token needs no slow hash."""
    return authorization[:7].lower() == "bearer "


def identify(authorization: str, address: str = "") -> Caller | None:
    """The user whom the header names, or None. Takes a few hundred milliseconds for a password not seen lately.

    Raises:
        TooManyAttempts: too many passwords from `address` were wrong.
        TokenNeededError: the password is right, and the user has a second factor.
    """
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer" and value.startswith(PREFIX):
        rows = reader().run(SQL["by_token"], token_hash=digest(value.strip()), now=clock.now())
        return _caller(rows[0], {row["role"] for row in rows} - {None}) if rows else None
    if scheme.lower() == "basic":
        return _basic(value, address)
    return None


def _caller(row: Any, roles: set[str]) -> Caller:
    return Caller(row["username"], frozenset(roles | ({ADMIN} if row["is_superuser"] else set())), row["scope"])


def _basic(value: str, address: str) -> Caller | None:
    try:
        username, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    row = reader().first(SQL["by_name"], username=username) if colon else None
    if row is None:
        throttle.check(username, address)
        make_password(password)  # as long as for a user who exists
        _wrong(username, address)
        return None
    if not _is_right(password, row, address):
        return None
    if row["second_factor"]:
        raise TokenNeededError(f"{username} has two-factor sign-in: a password alone is not enough", "use an API token")
    return _caller(row, {each["name"] for each in reader().run(SQL["roles"], user=row["id"])})


def _wrong(username: str, address: str) -> None:
    throttle.failed(username, address)
    with acting_as("guest", address):
        note(Event.SIGN_IN_FAILED, user=username, detail="HTTP Basic")


def _is_right(password: str, row: Any, address: str) -> bool:
    username, stored = row["username"], row["password"]
    seen = hmac.digest(_key, f"{stored}\n{address}\n{password}".encode(), hashlib.sha256)
    now = time.monotonic()
    known = _right.get(seen, 0.0) > now
    throttle.check(username, address, known=known)
    if known:
        return True
    if not check_password(password, stored):
        _wrong(username, address)
        return False
    if not row["second_factor"]:  # there it is half of a sign-in: wrong codes go on counting
        throttle.passed(username, address)
    for old in [each for each, until in _right.items() if until <= now]:
        del _right[old]
    _right[seen] = now + REMEMBER_S
    return True

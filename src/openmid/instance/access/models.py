"""API tokens: what scripts sign in with. Only the hash of a token is kept; it has a scope, and may have an end."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models

from openmid.fips import keys
from openmid.instance.records import clock
from openmid.instance.records.base import Record
from openmid.instance.records.secrets import EncryptedField, digest

PREFIX = "omt_"


DAY_US = 24 * 3600 * 1_000_000


class ApiToken(Record):
    """A token of a user, sent as `Authorization: Bearer omt_…`; it may do what the user may, within its scope."""

    class Scope(models.TextChoices):
        FULL = "full", "Everything that the user may"
        RUN = "run", "Start, follow and cancel executions"
        READ = "read", "Read"

    name = models.CharField("Name", max_length=80, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    scope = models.CharField("Scope", max_length=8, choices=Scope.choices, default=Scope.FULL)
    expires = models.BigIntegerField("Expires (µs)", null=True, blank=True)  # None: never
    token_hash = models.CharField(max_length=64, unique=True, editable=False)

    class Meta:
        db_table = "api_token"
        verbose_name = "API token"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def issue(cls, name: str, user: User, scope: str = Scope.FULL, days: int | None = None) -> str:
        """A new token of `user`, good for `days` (None: until it is deleted); the token itself is shown once.

        Raises:
            ValidationError: the name is taken.
        """
        clear = PREFIX + keys.token()
        expires = clock.now() + days * DAY_US if days else None
        token = cls(name=name, user=user, scope=scope, expires=expires, token_hash=digest(clear))
        token.full_clean()
        token.save()
        return clear


class TotpDevice(Record):
    """A user's second factor (`access.totp`). `last_step` is the time step whose code was used last: none counts twice."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    secret = EncryptedField("Secret")  # base32
    recovery = EncryptedField("Recovery codes", default="[]")  # JSON: their hashes
    confirmed = models.BooleanField("Confirmed", default=False)
    last_step = models.BigIntegerField("Last step", default=0)
    spent = models.PositiveIntegerField("Recovery codes spent", default=0)

    class Meta:
        db_table = "totp_device"
        verbose_name = "second factor"
        constraints = (models.UniqueConstraint(fields=("user", "confirmed"), name="one_second_factor"),)

    def __str__(self) -> str:
        return f"second factor of {self.user}"

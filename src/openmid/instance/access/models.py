"""API tokens: what scripts sign in with. Only the hash of a token is kept."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models

from openmid.fips import keys
from openmid.instance.records.base import Record
from openmid.instance.records.secrets import digest

PREFIX = "omt_"


class ApiToken(Record):
    """A token of a user, sent as `Authorization: Bearer omt_…`; it may do what the user may."""

    name = models.CharField("Name", max_length=80, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)

    class Meta:
        db_table = "api_token"
        verbose_name = "API token"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def issue(cls, name: str, user: User) -> str:
        """A new token of `user`; the token itself is shown once.

        Raises:
            ValidationError: the name is taken.
        """
        clear = PREFIX + keys.token()
        token = cls(name=name, user=user, token_hash=digest(clear))
        token.full_clean()
        token.save()
        return clear

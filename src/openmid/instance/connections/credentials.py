"""Credentials (`discovery_credentials`): what a call says of itself besides its client certificate."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from openmid.instance.connections import header_fields, validation
from openmid.instance.records.base import Record
from openmid.instance.records.secrets import EncryptedField

STORED = "It is stored encrypted, sealed to each MID Server that may need it, and never shown."


class Credential(Record):
    """The base table; each kind has a table of its own with its columns."""

    class Type(models.TextChoices):
        BASIC = "basic", "Basic"
        API_KEY = "api_key", "API key"
        OAUTH = "oauth", "OAuth 2.0 client credentials"

    name = models.CharField(
        "Name",
        max_length=80,
        unique=True,
        error_messages={"unique": "A credential with this name exists already."},
    )
    type = models.CharField("Type", max_length=20, choices=Type.choices, editable=False)
    active = models.BooleanField("Active", default=True, help_text="An inactive one is given to no MID Server.")
    external_credential_store = models.BooleanField(
        "External Credential Store",
        default=False,
        help_text="The secret lies in the MID Server's external store; the field of the secret has its id there.",
    )

    class Meta:
        db_table = "discovery_credentials"
        verbose_name = "Credential"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def sys_class_name(self) -> str:
        """The table of its kind."""
        return TABLES.get(self.type, self._meta.db_table)


class OfOneKind(Credential):
    """What the three kinds share: their type, and that there is a secret."""

    TYPE: Credential.Type
    SECRET: str

    class Meta(Credential.Meta):
        abstract = True

    def save(self, **options: Any) -> None:
        self.type = self.TYPE
        super().save(**options)


class BasicAuthCredential(OfOneKind):
    """User name and password (RFC 7617)."""

    TYPE, SECRET = Credential.Type.BASIC, "password"
    user_name = models.CharField("User name", max_length=255, validators=[validation.one_line])
    password = EncryptedField("Password", help_text=STORED)

    class Meta(Credential.Meta):
        db_table = "basic_auth_credentials"
        verbose_name = "Basic Auth credential"

    def clean(self) -> None:
        if ":" in self.user_name:
            raise ValidationError({"user_name": "A user name of Basic authentication has no colon (RFC 7617)."})


class ApiKeyCredential(OfOneKind):
    """A key in a header or a query parameter."""

    class Place(models.TextChoices):
        HEADER = "header", "Header"
        QUERY = "query", "Query parameter"

    TYPE, SECRET = Credential.Type.API_KEY, "api_key"
    api_key = EncryptedField("API key", help_text=STORED)
    place = models.CharField("Sent in", max_length=8, choices=Place.choices, default=Place.HEADER)
    parameter = models.CharField("Name of header or parameter", max_length=120, default="X-API-Key")

    class Meta(Credential.Meta):
        db_table = "api_key_credentials"
        verbose_name = "API key credential"

    def clean(self) -> None:
        if self.place == self.Place.HEADER and self.parameter:
            try:
                header_fields.header_name(self.parameter)
            except ValidationError as error:
                raise ValidationError({"parameter": error.messages}) from None


class OAuthCredential(OfOneKind):
    """OAuth 2.0 client credentials (RFC 6749, section 4.4): the MID Server fetches the token."""

    TYPE, SECRET = Credential.Type.OAUTH, "client_secret"
    client_id = models.CharField("Client ID", max_length=255, validators=[validation.one_line])
    client_secret = EncryptedField("Client secret", help_text=STORED)
    token_url = models.CharField(
        "Token URL",
        max_length=2048,
        help_text="https://…, or mauth://… where the token is fetched with a MID Protocol Profile's certificate.",
    )
    scope = models.CharField("Scope", max_length=1024, blank=True, default="", validators=[validation.one_line])
    ca_certificates = models.TextField(
        "CA certificates",
        blank=True,
        default="",
        validators=[validation.certificates],
        help_text="For the token URL; PEM. Empty: those that the MID Server's system trusts.",
    )

    class Meta(Credential.Meta):
        db_table = "oauth_2_0_credentials"
        verbose_name = "OAuth 2.0 credential"

    def clean(self) -> None:
        from openmid.instance.connections.models import MidProtocolProfile

        if not self.token_url:
            return  # it is required, and that is said
        known = frozenset({"https", *MidProtocolProfile.objects.values_list("protocol", flat=True)})
        try:
            validation.base_url(self.token_url, known)
        except ValidationError as error:
            raise ValidationError({"token_url": error.messages}) from None


KINDS: tuple[type[OfOneKind], ...] = (BasicAuthCredential, ApiKeyCredential, OAuthCredential)
TABLES = {kind.TYPE.value: kind._meta.db_table for kind in KINDS}

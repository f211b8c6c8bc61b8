"""The records of the walk: alias, HTTP(s) connection, MID Protocol Profile."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from openmid.instance.connections import validation
from openmid.instance.mid.models import MidServer
from openmid.instance.records.base import Record
from openmid.instance.records.secrets import EncryptedField

PORT = [MinValueValidator(1, "A port is 1 to 65535."), MaxValueValidator(65535, "A port is 1 to 65535.")]


class ConnectionAlias(Record):
    """What actions name instead of a host: its active connection can change without them."""

    class Type(models.TextChoices):
        CONNECTION = "connection", "Connection and Credential"

    class ConnectionType(models.TextChoices):
        HTTP = "http_connection", "HTTP"

    name = models.CharField(
        "Name",
        max_length=80,
        unique=True,
        validators=[validation.alias_name],
        help_text="Letters, digits and underscores.",
        error_messages={"unique": "An alias with this name exists already."},
    )
    type = models.CharField("Type", max_length=20, choices=Type.choices, default=Type.CONNECTION)
    connection_type = models.CharField(
        "Connection type", max_length=40, choices=ConnectionType.choices, default=ConnectionType.HTTP
    )

    class Meta:
        db_table = "sys_alias"
        verbose_name = "Connection & Credential Alias"
        verbose_name_plural = "Connection & Credential Aliases"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def active_connection(self) -> HttpConnection | None:
        """The one connection that calls through this alias use."""
        return self.connections.filter(active=True).first()


class MidProtocolProfile(Record):
    """A URL scheme that is HTTPS with one client certificate, which lies in a keystore on the MID Server."""

    class AppliesTo(models.TextChoices):
        ALL = "all", "All MID Servers"
        SPECIFIC = "specific", "Specific MID Servers"

    protocol = models.CharField(
        "Protocol",
        max_length=40,
        unique=True,
        validators=[validation.protocol_name],
        help_text="Lower-case letters and digits, for example mauth. It becomes the scheme of the connection's URL.",
        error_messages={"unique": "This protocol is taken. Every MID Protocol Profile has a name of its own."},
    )
    keystore_path = models.CharField(
        "Keystore path",
        max_length=1024,
        validators=[validation.keystore_path],
        help_text="On the MID Server's host: absolute, or relative to the agent folder.",
    )
    password = EncryptedField(
        "Password", blank=True, default="", help_text="The keystore's password. It is stored encrypted and never shown."
    )
    applies_to = models.CharField("Applies to", max_length=20, choices=AppliesTo.choices, default=AppliesTo.ALL)
    mid_list: models.ManyToManyField[MidServer, models.Model] = models.ManyToManyField(
        MidServer, verbose_name="MID Servers", blank=True, related_name="specific_profiles"
    )
    default_port = models.PositiveIntegerField("Default port", default=443, validators=PORT)

    class Meta:
        db_table = "mid_protocol_profile"
        verbose_name = "MID Protocol Profile"
        ordering = ("protocol",)

    def __str__(self) -> str:
        return self.protocol

    def applies_to_mid(self, mid: MidServer) -> bool:
        """Whether `mid` gets this profile."""
        return self.applies_to == self.AppliesTo.ALL or self.mid_list.filter(pk=mid.pk).exists()

    def save(self, **options: Any) -> None:
        """Save, and write the URLs of the connections that use this profile anew."""
        super().save(**options)
        for connection in self.connections.filter(url_builder=True):
            connection.save()


class HttpConnection(Record):
    """An HTTP(s) Connection: where an alias leads, with which certificate, through which MID Server."""

    class MidSelection(models.TextChoices):
        AUTO = "auto_select", "Auto-select MID Server"
        SPECIFIC = "specific_mid_server", "Specific MID Server"

    name = models.CharField("Name", max_length=80)
    connection_alias = models.ForeignKey(
        ConnectionAlias, verbose_name="Connection alias", related_name="connections", on_delete=models.CASCADE
    )
    active = models.BooleanField("Active", default=True, help_text="An alias has one active connection.")
    url_builder = models.BooleanField(
        "URL builder", default=True, help_text="Make the connection URL from host, port and base path."
    )
    mutual_auth = models.BooleanField("Mutual authentication", default=False)
    use_mid = models.BooleanField("Use MID server", default=True)
    require_fips = models.BooleanField(
        "Require FIPS", default=False, help_text="Only a MID Server in FIPS Enforced Mode makes this call."
    )
    mid_protocol_profile = models.ForeignKey(
        MidProtocolProfile,
        verbose_name="MID protocol profile",
        null=True,
        blank=True,
        related_name="connections",
        on_delete=models.PROTECT,
    )
    host = models.CharField("Host", max_length=255, blank=True, default="", validators=[validation.host])
    port = models.PositiveIntegerField("Port", null=True, blank=True, validators=PORT)
    base_path = models.CharField("Base path", max_length=1024, blank=True, default="", validators=[validation.url_path])
    connection_url = models.CharField(
        "Connection URL", max_length=2048, blank=True, default="", help_text="Filled in when the connection is saved."
    )
    mid_selection = models.CharField(
        "MID selection", max_length=40, choices=MidSelection.choices, default=MidSelection.AUTO
    )
    mid_server = models.ForeignKey(
        MidServer, verbose_name="MID Server", null=True, blank=True, on_delete=models.PROTECT
    )
    connection_timeout = models.PositiveIntegerField(
        "Connection timeout (ms)",
        default=30_000,
        validators=[MinValueValidator(1, "At least 1 ms."), MaxValueValidator(600_000, "At most 600,000 ms.")],
    )
    ca_certificates = models.TextField(
        "CA certificates",
        blank=True,
        default="",
        validators=[validation.certificates],
        help_text="PEM. Empty: the certification authorities that the MID Server's system trusts.",
    )

    class Meta:
        db_table = "http_connection"
        verbose_name = "HTTP(s) Connection"
        ordering = ("name",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection_alias"], condition=Q(active=True), name="http_connection_one_active"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def build_url(self) -> str:
        """`mauth://host[:port][/base_path]`, or `https://…` without mutual authentication."""
        profile = self.mid_protocol_profile if self.mutual_auth else None
        default = profile.default_port if profile else 443
        bare = self.host.removeprefix("[").removesuffix("]")
        host = f"[{bare}]" if ":" in bare else bare
        port = f":{self.port}" if self.port and self.port != default else ""
        path = f"/{self.base_path.strip('/')}" if self.base_path.strip("/") else ""
        return f"{profile.protocol if profile else 'https'}://{host}{port}{path}"

    def clean(self) -> None:
        """The rules that need more than one field.

        Raises:
            ValidationError: by field.
        """
        problems = {**self._mid_problems(), **self._profile_problems(), **self._url_problems()}
        if self.active and self._other_active():
            problems["active"] = (
                "This alias has an active connection already: “"
                f"{self._other_active()}”. An alias has one active connection; deactivate the other one first."
            )
        if problems:
            raise ValidationError(problems)

    def save(self, **options: Any) -> None:
        """Save, with the connection URL filled in."""
        if self.url_builder:
            self.connection_url = self.build_url()
            if options.get("update_fields") is not None:
                options["update_fields"] = {*options["update_fields"], "connection_url"}
        super().save(**options)

    def _other_active(self) -> HttpConnection | None:
        if not self.connection_alias_id:
            return None
        others = HttpConnection.objects.filter(connection_alias_id=self.connection_alias_id, active=True)
        return others.exclude(pk=self.pk).first()

    def _mid_problems(self) -> dict[str, str]:
        if not self.use_mid:
            return {"use_mid": "openmid calls partners through a MID Server: select Use MID server."}
        if self.mid_selection == self.MidSelection.SPECIFIC and not self.mid_server_id:
            return {"mid_server": "Choose the MID Server, or set MID selection to Auto-select MID Server."}
        if self.mid_selection == self.MidSelection.AUTO and self.mid_server_id:
            return {"mid_server": "Set MID selection to Specific MID Server, or leave MID Server empty."}
        return {}

    def _profile_problems(self) -> dict[str, str]:
        profile = self.mid_protocol_profile
        if self.mutual_auth and profile is None:
            return {"mid_protocol_profile": "Mutual authentication needs a MID protocol profile: it has the keystore."}
        if profile is None:
            return {}
        if not self.mutual_auth:
            return {"mid_protocol_profile": "Select Mutual authentication, or leave MID protocol profile empty."}
        if self.mid_server is not None and not profile.applies_to_mid(self.mid_server):
            return {
                "mid_server": f"MID Protocol Profile {profile} does not apply to MID Server {self.mid_server}: "
                "add it to the profile's MID Servers, or choose another one."
            }
        return {}

    def _url_problems(self) -> dict[str, Any]:
        if self.url_builder:
            return {} if self.host else {"host": "URL builder needs a host."}
        if not self.connection_url:
            return {"connection_url": "Enter the connection URL, or select URL builder and enter a host."}
        profile = self.mid_protocol_profile if self.mutual_auth else None
        try:
            validation.base_url(self.connection_url, frozenset({profile.protocol if profile else "https"}))
        except ValidationError as error:
            return {"connection_url": error.messages}
        return {}

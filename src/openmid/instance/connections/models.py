"""The records of the walk: alias, HTTP(s) connection, MID Protocol Profile."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from openmid.instance.connections import header_fields, validation
from openmid.instance.connections.credentials import Credential
from openmid.instance.mid.models import MidApplication, MidCapability, MidCluster, MidServer
from openmid.instance.records.base import Record
from openmid.instance.records.header_secrets import HeadersField
from openmid.instance.records.secrets import EncryptedField

PORT = [MinValueValidator(1, "A port is 1 to 65535."), MaxValueValidator(65535, "A port is 1 to 65535.")]
AT_MOST = [MaxValueValidator(600_000, "At most 600,000 ms.")]
PHASE: dict[str, Any] = {"default": 0, "validators": AT_MOST, "help_text": "0: only the whole call has a limit."}


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
        blank=True,
        default="",
        validators=[validation.keystore_path],
        help_text="On the MID Server's host: absolute, or relative to the agent folder. Empty, with the password: "
        "config.xml on the MID Server has both.",
    )
    password = EncryptedField(
        "Password",
        blank=True,
        default="",
        help_text="The keystore's password; with an external credential store, the secret's id there. "
        "It is stored encrypted and never shown.",
    )
    alias = models.CharField(
        "Key alias",
        max_length=255,
        blank=True,
        default="",
        help_text="Of the keystore's entry. Empty: the private key whose certificate is valid longest.",
    )
    applies_to = models.CharField("Applies to", max_length=20, choices=AppliesTo.choices, default=AppliesTo.ALL)
    mid_list: models.ManyToManyField[MidServer, models.Model] = models.ManyToManyField(
        MidServer, verbose_name="MID Servers", blank=True, related_name="specific_profiles"
    )
    default_port = models.PositiveIntegerField("Default port", default=443, validators=PORT)
    external_credential_store = models.BooleanField(
        "External Credential Store",
        default=False,
        help_text="The password lies in the MID Server's external store; Password has its id there.",
    )

    class Meta:
        db_table = "mid_protocol_profile"
        verbose_name = "MID Protocol Profile"
        ordering = ("protocol",)

    def __str__(self) -> str:
        return self.protocol

    def applies_to_mid(self, mid: MidServer) -> bool:
        """Whether `mid` gets this profile."""
        return self.applies_to == self.AppliesTo.ALL or self.mid_list.filter(pk=mid.pk).exists()

    def clean(self) -> None:
        """The rules that need more than one field.

        Raises:
            ValidationError: by field.
        """
        if self.external_credential_store and not self.password:
            raise ValidationError({"password": "Enter the id that the password has in the external credential store."})
        if self.password and not self.keystore_path:
            raise ValidationError(
                {
                    "keystore_path": "A password needs a keystore path. Leave both empty where config.xml on the MID "
                    "Server has them (mid.httpclient.protocol.NAME.path and .password)."
                }
            )

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
        CLUSTER = "specific_mid_cluster", "Specific MID Cluster"

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
    mid_cluster = models.ForeignKey(
        MidCluster, verbose_name="MID Cluster", null=True, blank=True, on_delete=models.PROTECT
    )
    application = models.ForeignKey(
        MidApplication,
        verbose_name="Application",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        help_text="Only a MID Server that is there for it, or for ALL.",
    )
    capabilities: models.ManyToManyField[MidCapability, models.Model] = models.ManyToManyField(
        MidCapability,
        verbose_name="Capabilities",
        blank=True,
        help_text="Only a MID Server that has every one of them, or ALL.",
    )
    connection_timeout = models.PositiveIntegerField(
        "Connection timeout (ms)",
        default=30_000,
        validators=[MinValueValidator(1, "At least 1 ms."), *AT_MOST],
        help_text="For a call as a whole, to the last byte of the answer.",
    )
    connect_timeout = models.PositiveIntegerField("Connect timeout (ms)", **PHASE)
    tls_timeout = models.PositiveIntegerField("TLS timeout (ms)", **PHASE)
    first_byte_timeout = models.PositiveIntegerField("First byte timeout (ms)", **PHASE)
    credential = models.ForeignKey(
        Credential,
        verbose_name="Credential",
        null=True,
        blank=True,
        related_name="connections",
        on_delete=models.PROTECT,
        help_text="What a call says of itself besides the client certificate.",
    )
    additional_http_headers = HeadersField(
        "Additional HTTP headers",
        default=list,
        blank=True,
        validators=[header_fields.stored],
        help_text="Sent with every call of this connection, unless a step sets the same header.",
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
        problems = {}
        if self.mid_selection == self.MidSelection.SPECIFIC and not self.mid_server_id:
            problems["mid_server"] = "Choose the MID Server, or set MID selection to Auto-select MID Server."
        if self.mid_selection != self.MidSelection.SPECIFIC and self.mid_server_id:
            problems["mid_server"] = "Set MID selection to Specific MID Server, or leave MID Server empty."
        if self.mid_selection == self.MidSelection.CLUSTER and not self.mid_cluster_id:
            problems["mid_cluster"] = "Choose the MID Cluster, or set MID selection to Auto-select MID Server."
        if self.mid_selection != self.MidSelection.CLUSTER and self.mid_cluster_id:
            problems["mid_cluster"] = "Set MID selection to Specific MID Cluster, or leave MID Cluster empty."
        return problems

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

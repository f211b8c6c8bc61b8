"""MID Servers (`ecc_agent`) and the one-time tokens by which they enrol."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from openmid.fips import keys
from openmid.instance.mid.addresses import ip_range
from openmid.instance.records import clock
from openmid.instance.records.actor import actor
from openmid.instance.records.base import Record
from openmid.instance.records.listening import wake_everybody_after_commit
from openmid.instance.records.secrets import digest

HEARTBEAT_MS = 5_000
DOWN_AFTER = 3 * HEARTBEAT_MS * 1000
"""Microseconds without a heartbeat after which a MID Server is Down."""

TOKEN_LIFETIME = timedelta(hours=1)
NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,79}\Z",
    "A MID Server's name has letters, digits, underscore, dot and hyphen, and starts with a letter or digit.",
)


class Validated(models.TextChoices):
    """Whether an administrator has confirmed the MID Server's key."""

    TRUE = "true", "Yes"
    FALSE = "false", "No"
    REKEY = "rekey", "Rekey"


class FipsProof(models.Model):
    """What a MID Server proved (`fips.proof.Proof` as JSON, word for word as its key, `fingerprint`, signed it). Many
    executions name one; it never changes."""

    sys_id = models.CharField(max_length=32, primary_key=True)  # the first half of the SHA-256 of `proof`
    proof = models.TextField()
    signature = models.TextField(default="")
    fingerprint = models.CharField(max_length=95, default="")

    class Meta:
        db_table = "fips_proof"

    def __str__(self) -> str:
        return self.sys_id


class Named(Record):
    """A name that connections ask for and MID Servers have; a MID Server with `ALL` has every one."""

    name = models.CharField("Name", max_length=80, unique=True)
    description = models.CharField("Description", max_length=255, blank=True, default="")

    class Meta:
        abstract = True
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class MidCapability(Named):
    """What a MID Server can do, such as reach a network: a connection may demand it."""

    class Meta(Named.Meta):
        db_table = "ecc_agent_capability"
        verbose_name = "MID Server capability"
        verbose_name_plural = "MID Server capabilities"


class MidApplication(Named):
    """What a MID Server is there for: a connection may demand one that is there for its application."""

    class Meta(Named.Meta):
        db_table = "ecc_agent_application"
        verbose_name = "MID Server application"


class IpRange(Record):
    """Addresses that a MID Server is there for, or not: it counts for connections whose host is an address."""

    class Type(models.TextChoices):
        INCLUDE = "include", "Include"
        EXCLUDE = "exclude", "Exclude"

    name = models.CharField("Name", max_length=80, unique=True)
    type = models.CharField("Type", max_length=8, choices=Type.choices, default=Type.INCLUDE)
    range = models.CharField(
        "Range", max_length=100, validators=[ip_range], help_text="10.1.0.0/16, 10.1.2.3 or 10.1.2.3-10.1.2.9."
    )

    class Meta:
        db_table = "ecc_agent_ip_range"
        verbose_name = "MID Server IP range"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class MidServer(Record):
    """A MID Server. Its heartbeat's columns are written by the channel, the rest by an administrator."""

    name = models.CharField("Name", max_length=80, unique=True, validators=[NAME])
    host_name = models.CharField("Host name", max_length=255, blank=True, default="")
    host_os_distribution = models.CharField("Host OS distribution", max_length=255, blank=True, default="")
    version = models.CharField("Version", max_length=80, blank=True, default="")
    validated = models.CharField("Validated", max_length=8, choices=Validated.choices, default=Validated.FALSE)
    validated_by = models.CharField("Validated by", max_length=150, blank=True, default="")
    validated_at = models.DateTimeField("Validated at", null=True, blank=True)
    public_key = models.TextField("Public key", blank=True, default="")
    fingerprint = models.CharField("Key fingerprint", max_length=95, blank=True, default="")
    credential_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_credential_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    reported_status = models.CharField("Reported status", max_length=40, blank=True, default="", editable=False)
    started = models.BigIntegerField("Started (µs)", null=True, blank=True)
    last_refreshed = models.BigIntegerField("Last refreshed (µs)", null=True, blank=True)
    fips_enforced = models.BooleanField("FIPS Enforced", default=False)
    fips_proof = models.ForeignKey(FipsProof, null=True, blank=True, editable=False, on_delete=models.PROTECT)
    proof_asked = models.BigIntegerField("Proof asked for (µs)", default=0, editable=False)
    profile_statuses: models.JSONField[Any, Any] = models.JSONField("Protocol profiles", default=list, blank=True)
    egress: models.JSONField[Any, Any] = models.JSONField("Egress rules", default=list, blank=True)
    profiles_not_loaded = models.TextField(default="", blank=True, editable=False)  # sys_ids, for selection
    load: models.JSONField[Any, Any] = models.JSONField("Load", default=dict, blank=True, editable=False)
    log_tail: models.JSONField[Any, Any] = models.JSONField("Log", default=list, blank=True, editable=False)
    reported_capabilities: models.JSONField[Any, Any] = models.JSONField(
        "Reported capabilities", default=list, blank=True, editable=False
    )
    processes: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True, editable=False)  # mid.copies
    configuration = models.PositiveBigIntegerField("Configuration", default=1, editable=False)
    paused = models.BooleanField("Paused", default=False, editable=False)
    restart_asked = models.BigIntegerField("Restart asked for (µs)", default=0, editable=False)
    capabilities: models.ManyToManyField[MidCapability, models.Model] = models.ManyToManyField(
        MidCapability, verbose_name="Capabilities", blank=True, db_table="ecc_agent_capability_m2m"
    )
    applications: models.ManyToManyField[MidApplication, models.Model] = models.ManyToManyField(
        MidApplication, verbose_name="Applications", blank=True, db_table="ecc_agent_application_m2m"
    )
    ip_ranges: models.ManyToManyField[IpRange, models.Model] = models.ManyToManyField(
        IpRange, verbose_name="IP ranges", blank=True, db_table="ecc_agent_ip_range_m2m"
    )

    class Meta:
        db_table = "ecc_agent"
        verbose_name = "MID Server"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def proof(self) -> dict[str, Any] | None:
        """The proof of FIPS Enforced Mode (`fips.proof.Proof`), if it sent one."""
        return json.loads(self.fips_proof.proof) if self.fips_proof else None

    def ask_for_proof(self) -> None:
        """With its next heartbeat the MID Server hears that it shall prove FIPS Enforced Mode anew."""
        self.proof_asked = clock.now()
        self.save(update_fields=["proof_asked"])

    @property
    def status(self) -> str:
        """`Up`, `Down`, or what the MID Server says of itself."""
        if self.last_refreshed is None or clock.now() - self.last_refreshed > DOWN_AFTER:
            return "Down"
        reported = self.reported_status or "Up"
        if reported != "Up" or not self.paused:
            return reported
        return "Draining" if (self.load or {}).get("running") else "Paused"

    def pause(self, paused: bool) -> None:
        """No new work from now on; what runs is finished. Or work again."""
        self.paused = paused
        self.save(update_fields=["paused"])
        wake_everybody_after_commit()

    def ask_for_restart(self) -> None:
        """With its next heartbeat the MID Server hears that it shall drain and start anew."""
        self.restart_asked = clock.now()
        self.save(update_fields=["restart_asked"])


class MidCluster(Record):
    """MID Servers that stand for each other."""

    class Type(models.TextChoices):
        LOAD_BALANCE = "load_balance", "Load Balance"
        FAILOVER = "failover", "Failover"

    name = models.CharField("Name", max_length=80, unique=True)
    cluster_type = models.CharField(
        "Cluster type",
        max_length=20,
        choices=Type.choices,
        default=Type.LOAD_BALANCE,
        help_text="Load Balance spreads calls over the members. Failover takes the lowest order that is fit.",
    )

    class Meta:
        db_table = "ecc_agent_cluster"
        verbose_name = "MID Server cluster"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Members(models.Manager["ClusterMember"]):
    """With both that a member's name names."""

    def get_queryset(self) -> models.QuerySet[ClusterMember]:
        return super().get_queryset().select_related("cluster", "mid_server")


class ClusterMember(Record):
    """A MID Server in a cluster."""

    cluster = models.ForeignKey(MidCluster, verbose_name="Cluster", related_name="members", on_delete=models.CASCADE)
    mid_server = models.ForeignKey(
        MidServer, verbose_name="MID Server", related_name="memberships", on_delete=models.CASCADE
    )
    order = models.PositiveIntegerField("Order", default=100)

    objects = Members()

    class Meta:
        db_table = "ecc_agent_cluster_member_m2m"
        verbose_name = "cluster member"
        base_manager_name = "objects"  # where a record is removed, its members are named
        ordering = ("order", "mid_server__name")
        constraints = (models.UniqueConstraint(fields=("cluster", "mid_server"), name="once_in_a_cluster"),)

    def __str__(self) -> str:
        return f"{self.mid_server} in {self.cluster}"


class MidIssue(Record):
    """Something about a MID Server that an administrator should look at. It ends when its cause does."""

    class State(models.TextChoices):
        NEW = "new", "New"
        RESOLVED = "resolved", "Resolved"

    mid_server = models.ForeignKey(MidServer, verbose_name="MID Server", on_delete=models.CASCADE)
    source = models.CharField("Source", max_length=80)
    short_description = models.CharField("Short description", max_length=255)
    state = models.CharField("State", max_length=20, choices=State.choices, default=State.NEW)
    count = models.PositiveIntegerField("Count", default=1)
    last_detected = models.BigIntegerField("Last detected (µs)")
    resolved = models.BigIntegerField("Resolved (µs)", null=True, blank=True)

    class Meta:
        db_table = "ecc_agent_issue"
        verbose_name = "MID Server issue"
        ordering = ("-last_detected",)
        constraints = (
            models.UniqueConstraint(
                fields=("mid_server", "source"), condition=models.Q(state="new"), name="one_new_issue_for_each_source"
            ),
        )

    def __str__(self) -> str:
        return self.short_description


class EnrolmentToken(Record):
    """A one-time token, valid for one hour, by which a MID Server enrols. Only its hash is kept."""

    name = models.CharField(
        "MID Server", max_length=80, validators=[NAME], help_text="The name of the MID Server that will use the token."
    )
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    expires = models.DateTimeField("Expires", editable=False)
    used_at = models.DateTimeField("Used", null=True, blank=True, editable=False)
    used_by = models.ForeignKey(
        MidServer, verbose_name="Used by", null=True, blank=True, editable=False, on_delete=models.SET_NULL
    )

    class Meta:
        db_table = "mid_enrolment_token"
        verbose_name = "enrolment token"
        ordering = ("-sys_created_on",)

    def __str__(self) -> str:
        return f"enrolment token for {self.name}"

    @classmethod
    def issue(cls, name: str) -> tuple[EnrolmentToken, str]:
        """A new token for the MID Server `name`: the record, and the token itself, which is shown once.

        Raises:
            ValidationError: not a MID Server's name.
        """
        clear = f"enrol-{keys.token()}"
        token = cls(name=name, token_hash=digest(clear), expires=timezone.now() + TOKEN_LIFETIME)
        token.sys_created_by = actor()
        token.full_clean()
        token.save()
        return token, clear

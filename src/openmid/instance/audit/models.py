"""The table `sys_audit`, one row for each column that somebody changed. The database itself refuses to change a row."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from openmid.instance.records.base import new_sys_id


class Event(models.TextChoices):
    """What happened."""

    INSERT = "insert", "Created"
    UPDATE = "update", "Changed"
    DELETE = "delete", "Deleted"
    SIGN_IN = "sign_in", "Signed in"
    SIGN_IN_FAILED = "sign_in_failed", "Sign-in failed"
    SIGN_OUT = "sign_out", "Signed out"
    COMMAND = "command", "Command"


class Audit(models.Model):
    """`user` did `event` from `address`: an IP address, or `command line`. Secrets are `(changed)`, never shown."""

    sys_id = models.CharField("Sys ID", max_length=32, primary_key=True, default=new_sys_id)
    sys_created_on = models.BigIntegerField("When (µs)")
    user = models.CharField("User", max_length=150)
    address = models.CharField("From", max_length=64)
    event = models.CharField("Event", max_length=16, choices=Event.choices)
    tablename = models.CharField("Table", max_length=80, blank=True, default="")
    documentkey = models.CharField("Record", max_length=64, blank=True, default="")
    display = models.CharField("Name", max_length=255, blank=True, default="")
    fieldname = models.CharField("Field", max_length=80, blank=True, default="")
    oldvalue = models.TextField("Old value", blank=True, default="")
    newvalue = models.TextField("New value", blank=True, default="")

    class Meta:
        db_table = "sys_audit"
        verbose_name = "audit entry"
        verbose_name_plural = "audit"
        ordering = ("-sys_created_on", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["sys_created_on"], name="sys_audit_created"),
            models.Index(fields=["documentkey", "sys_created_on"], name="sys_audit_record"),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.event} {self.tablename} {self.display}".strip()

    def save(self, **options: Any) -> None:
        if not self._state.adding:
            raise TypeError("sys_audit is append-only")
        super().save(**options)

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        raise TypeError("sys_audit is append-only")

"""The columns that every record has."""

from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.utils import timezone

from openmid.fips import keys
from openmid.instance.records.actor import actor

SYS_COLUMNS = ("sys_id", "sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count")


def new_sys_id() -> str:
    """32 lower-case hex digits."""
    return keys.identifier()


class Record(models.Model):
    """A record with a `sys_id` of 32 hex digits, who made and changed it, and how often it was changed."""

    sys_id = models.CharField("Sys ID", max_length=32, primary_key=True, default=new_sys_id, editable=False)
    sys_created_on = models.DateTimeField("Created", default=timezone.now, editable=False)
    sys_created_by = models.CharField("Created by", max_length=150, default="", editable=False)
    sys_updated_on = models.DateTimeField("Updated", default=timezone.now, editable=False)
    sys_updated_by = models.CharField("Updated by", max_length=150, default="", editable=False)
    sys_mod_count = models.PositiveIntegerField("Updates", default=0, editable=False)

    class Meta:
        abstract = True

    @property
    def sys_class_name(self) -> str:
        """The record's table, as the Table API names it."""
        return self._meta.db_table

    def save(self, **options: Any) -> None:
        """Save, and note who did it."""
        self.sys_updated_on, self.sys_updated_by = timezone.now(), actor()
        if self._state.adding:
            self.sys_created_on, self.sys_created_by = self.sys_updated_on, self.sys_updated_by
        else:
            self.sys_mod_count += 1
        if options.get("update_fields") is not None:
            updated = {*options["update_fields"], "sys_updated_on", "sys_updated_by", "sys_mod_count"}
            options["update_fields"] = updated
        with transaction.atomic():  # the audit of a change is part of it
            super().save(**options)

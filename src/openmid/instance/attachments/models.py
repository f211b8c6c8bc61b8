"""Attachments as records; the bytes lie in `openmid.instance.attachments.files`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from openmid.instance.records.base import Record


class Attachment(Record):
    """A file that belongs to a record (`table_name`, `table_sys_id`); there only once all its bytes are on the disk."""

    file_name = models.CharField("File name", max_length=255)
    content_type = models.CharField("Content type", max_length=255, default="application/octet-stream")
    size_bytes = models.BigIntegerField("Size (bytes)")
    hash = models.CharField("SHA-256", max_length=64)
    table_name = models.CharField("Table name", max_length=80)
    table_sys_id = models.CharField("Table sys ID", max_length=32)

    class Meta:
        db_table = "sys_attachment"
        ordering = ("-sys_created_on",)
        indexes: ClassVar = [models.Index(fields=["table_name", "table_sys_id"], name="sys_attachment_of")]

    def __str__(self) -> str:
        return self.file_name

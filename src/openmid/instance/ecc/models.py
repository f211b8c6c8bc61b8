"""The table `ecc_queue`. The queue's writer owns its rows: `queue.sql` has every statement, this class only the schema."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q


class WrittenByTheQueue(models.Model):
    """A hot table: times are integer microseconds, booleans integers, and only the queue's writer writes."""

    class Meta:
        abstract = True

    def save(self, **options: Any) -> None:
        raise TypeError(f"{self._meta.db_table} is written by the queue's writer only")

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        raise TypeError(f"{self._meta.db_table} is written by the queue's writer only")


class EccWriter(WrittenByTheQueue):
    """Where several instance nodes share the database: each node's writer, and the mark of its last transaction."""

    writer = models.CharField("Writer", max_length=32, primary_key=True)
    mark = models.CharField("Mark", max_length=32, default="")
    seen = models.BigIntegerField("Seen (µs)", default=0)

    class Meta:
        db_table = "ecc_writer"

    def __str__(self) -> str:
        return self.writer


class EccQueueItem(WrittenByTheQueue):
    """`output`: a job for a MID Server. `input`: what came back, with `response_to` naming the job."""

    sys_id = models.CharField("Sys ID", max_length=32, primary_key=True)
    sys_created_on = models.BigIntegerField("Created (µs)")
    sys_updated_on = models.BigIntegerField("Updated (µs)")
    agent = models.CharField("Agent", max_length=92)  # mid.server.<name>
    mid_server = models.CharField("MID Server", max_length=32)  # its sys_id
    topic = models.CharField("Topic", max_length=40)
    name = models.CharField("Name", max_length=255)
    source = models.CharField("Source", max_length=255, default="")
    queue = models.CharField("Queue", max_length=8)
    state = models.CharField("State", max_length=12)
    priority = models.SmallIntegerField("Priority", default=2)
    sequence = models.BigIntegerField("Sequence")
    payload = models.TextField("Payload")
    agent_correlator = models.CharField("Agent correlator", max_length=64, default="")
    response_to = models.CharField("Response to", max_length=32, default="")
    error_string = models.TextField("Error string", default="")
    processed = models.BigIntegerField("Processed (µs)", null=True)
    idempotent = models.SmallIntegerField("Idempotent", default=0)
    timeout_us = models.BigIntegerField("Timeout (µs)", default=0)
    attempts = models.SmallIntegerField("Attempts", default=0)
    lease = models.CharField("Lease", max_length=32, default="")
    lease_until = models.BigIntegerField("Lease until (µs)", null=True)
    cancel = models.SmallIntegerField("Cancel", default=0)  # 1: its MID Server is told to stop it

    class Meta:
        db_table = "ecc_queue"
        verbose_name = "ECC queue item"
        verbose_name_plural = "ECC queue"
        ordering = ("-sys_created_on",)
        indexes: ClassVar = [
            models.Index(
                fields=["mid_server", "priority", "sequence"],
                condition=Q(queue="output", state="ready"),
                name="ecc_queue_ready",
            ),
            models.Index(
                fields=["lease_until"], condition=Q(queue="output", state="processing"), name="ecc_queue_leases"
            ),
            models.Index(
                fields=["mid_server"],
                condition=Q(queue="output", state="processing", cancel=1),
                name="ecc_queue_cancelled",
            ),
            models.Index(fields=["response_to"], condition=Q(queue="input"), name="ecc_queue_responses"),
            models.Index(fields=["sys_created_on"], name="ecc_queue_created"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.name}"

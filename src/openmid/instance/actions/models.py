"""Actions and their steps, which people edit; executions, which the queue's writer writes."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models

from openmid.instance.actions import pills, validation
from openmid.instance.connections import header_fields
from openmid.instance.connections.models import ConnectionAlias, MidProtocolProfile
from openmid.instance.connections.validation import base_url
from openmid.instance.ecc.models import WrittenByTheQueue
from openmid.instance.records.base import Record
from openmid.instance.records.header_secrets import HeadersField

MOST_RETRIES = 20
MOST_RETRY_MS = 600_000


class State(models.TextChoices):
    """An execution's state, and a step's."""

    WAITING = "Waiting", "Waiting"
    IN_PROGRESS = "In Progress", "In Progress"
    COMPLETED = "Completed", "Completed"
    ERROR = "Error", "Error"
    CANCELLED = "Cancelled", "Cancelled"


class Action(Record):
    """A named sequence of steps. `POST /api/v1/actions/{name}/execute` runs it."""

    name = models.CharField(
        "Action name",
        max_length=80,
        unique=True,
        validators=[
            RegexValidator(
                r"\A[A-Za-z0-9_][A-Za-z0-9_ .-]*\Z",
                "An action's name has letters, digits, spaces, underscore, dot and hyphen.",
            )
        ],
        error_messages={"unique": "An action with this name exists already."},
    )
    description = models.TextField("Description", blank=True, default="")
    inputs: models.JSONField[Any, Any] = models.JSONField(
        "Inputs", default=list, blank=True, validators=[validation.inputs]
    )
    outputs: models.JSONField[Any, Any] = models.JSONField(
        "Outputs", default=list, blank=True, validators=[validation.action_outputs]
    )
    published = models.ForeignKey(
        "ActionVersion", null=True, blank=True, editable=False, related_name="+", on_delete=models.SET_NULL
    )

    class Meta:
        db_table = "action"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def draft(self) -> models.QuerySet[Step]:
        """The steps as they are being edited, in order."""
        return self.steps.filter(version=None)


class ActionVersion(Record):
    """An action as it was published: its inputs and outputs; its steps refer to it. Who and when are the record's."""

    action = models.ForeignKey(Action, related_name="versions", on_delete=models.CASCADE)
    number = models.PositiveIntegerField("Version")
    inputs: models.JSONField[Any, Any] = models.JSONField("Inputs", default=list)
    outputs: models.JSONField[Any, Any] = models.JSONField("Outputs", default=list)

    class Meta:
        db_table = "action_version"
        ordering = ("-number",)
        constraints: ClassVar = [models.UniqueConstraint(fields=["action", "number"], name="action_version_number")]

    def __str__(self) -> str:
        return f"{self.action} {self.number}"


class Step(Record):
    """One HTTP request of an action: a REST step, or a SOAP step, whose `body` is the envelope."""

    class Type(models.TextChoices):
        REST = "REST", "REST"
        SOAP = "SOAP", "SOAP"

    class BodyKind(models.TextChoices):
        TEXT = "text", "Text"
        JSON = "json", "JSON"
        FORM = "form", "Form URL-Encoded"
        MULTIPART = "multipart", "Multipart"
        BINARY = "binary", "Binary (an attachment)"

    class SoapVersion(models.TextChoices):
        V11 = "1.1", "SOAP 1.1"
        V12 = "1.2", "SOAP 1.2"

    class Connection(models.TextChoices):
        ALIAS = "alias", "Use Connection Alias"
        INLINE = "inline", "Define Connection Inline"

    class Method(models.TextChoices):
        GET = "GET"
        POST = "POST"
        PUT = "PUT"
        PATCH = "PATCH"
        DELETE = "DELETE"

    class RetryKind(models.TextChoices):
        EXPONENTIAL = "exponential", "Exponential"
        FIXED = "fixed", "Fixed interval"
        RETRY_AFTER = "retry_after", "As the partner says (Retry-After)"

    class OnFailure(models.TextChoices):
        STOP = "stop", "End the execution"
        CONTINUE = "continue", "Go on with the next step"

    action = models.ForeignKey(Action, related_name="steps", on_delete=models.CASCADE)
    version = models.ForeignKey(  # None: the draft
        ActionVersion, null=True, blank=True, editable=False, related_name="steps", on_delete=models.CASCADE
    )
    type = models.CharField("Type", max_length=4, choices=Type.choices, default=Type.REST)
    order = models.PositiveIntegerField("Order", default=1)
    name = models.CharField("Name", max_length=80, default="REST")
    connection = models.CharField("Connection", max_length=8, choices=Connection.choices, default=Connection.ALIAS)
    connection_alias = models.ForeignKey(
        ConnectionAlias, verbose_name="Connection alias", null=True, blank=True, on_delete=models.PROTECT
    )
    inline_url = models.CharField(
        "Base URL", max_length=2048, blank=True, default="", help_text="https://host, or mauth://host with a protocol."
    )
    method = models.CharField("HTTP method", max_length=8, choices=Method.choices, default=Method.GET)
    resource_path = models.CharField(
        "Resource path", max_length=2048, blank=True, default="", validators=[validation.step_path]
    )
    headers = HeadersField(
        "Headers", default=list, blank=True, validators=[header_fields.stored], unless=pills.has_pills
    )
    query: models.JSONField[Any, Any] = models.JSONField(
        "Query parameters", default=list, blank=True, validators=[validation.query]
    )
    body_kind = models.CharField("Request type", max_length=9, choices=BodyKind.choices, default=BodyKind.TEXT)
    body = models.TextField("Request body", blank=True, default="")
    form: models.JSONField[Any, Any] = models.JSONField(
        "Form fields", default=list, blank=True, validators=[validation.query]
    )
    parts: models.JSONField[Any, Any] = models.JSONField(
        "Parts", default=list, blank=True, validators=[validation.parts]
    )
    attachment = models.CharField(
        "Attachment", max_length=400, blank=True, default="", help_text="The sys_id of an attachment, or a data pill."
    )
    soap_version = models.CharField("SOAP version", max_length=3, choices=SoapVersion.choices, default=SoapVersion.V11)
    soap_action = models.CharField("SOAP action", max_length=1024, blank=True, default="")
    outputs: models.JSONField[Any, Any] = models.JSONField(
        "Outputs", default=list, blank=True, validators=[validation.step_outputs]
    )
    save_as = models.CharField(
        "Save response as attachment",
        max_length=200,
        blank=True,
        default="",
        help_text="A file name. Empty: the response stays here, up to 5 MB.",
    )
    follow_redirects = models.BooleanField("Follow redirects", default=True)
    retry_kind = models.CharField(
        "Retry policy", max_length=11, choices=RetryKind.choices, default=RetryKind.EXPONENTIAL
    )
    retry_count = models.PositiveSmallIntegerField("Retries", default=0, validators=[MaxValueValidator(MOST_RETRIES)])
    retry_interval = models.PositiveIntegerField(
        "Interval (ms)", default=1_000, validators=[MaxValueValidator(MOST_RETRY_MS)]
    )
    retry_max_elapsed = models.PositiveIntegerField(
        "At most (ms)", default=60_000, validators=[MaxValueValidator(MOST_RETRY_MS)]
    )
    retry_statuses: models.JSONField[Any, Any] = models.JSONField(
        "Statuses", default=validation.usual_statuses, blank=True, validators=[validation.statuses]
    )
    retry_failures: models.JSONField[Any, Any] = models.JSONField(
        "Failures", default=list, blank=True, validators=[validation.failures]
    )
    retry_any_method = models.BooleanField("May be repeated although it was sent", default=False)
    on_failure = models.CharField("On failure", max_length=8, choices=OnFailure.choices, default=OnFailure.STOP)

    class Meta:
        db_table = "action_step"
        verbose_name = "step"
        ordering = ("order", "sys_created_on")

    def __str__(self) -> str:
        return self.name

    @property
    def base_url(self) -> str:
        """The URL of the alias's active connection, or the one that stands in the step; empty when there is none."""
        if self.connection == self.Connection.INLINE:
            return self.inline_url
        connection = self.connection_alias.active_connection() if self.connection_alias else None
        return connection.connection_url if connection else ""

    def clean(self) -> None:
        """The rules that need more than one field.

        Raises:
            ValidationError: by field.
        """
        self._clean_body()
        if self.connection == self.Connection.ALIAS:
            if self.connection_alias is None:
                raise ValidationError({"connection_alias": "Choose a connection alias."})
            return
        if not self.inline_url:
            raise ValidationError({"inline_url": "Enter the base URL, for example https://partner.example."})
        schemes = frozenset({"https", *MidProtocolProfile.objects.values_list("protocol", flat=True)})
        try:
            base_url(self.inline_url, schemes)
        except ValidationError as error:
            raise ValidationError({"inline_url": error.messages}) from None

    def _clean_body(self) -> None:
        if self.type == self.Type.SOAP:
            self.method, self.body_kind = self.Method.POST, self.BodyKind.TEXT
            validation.envelope(self.body)
        elif self.body_kind == self.BodyKind.JSON:
            validation.json_body(self.body)
        elif self.body_kind == self.BodyKind.BINARY and not self.attachment:
            raise ValidationError({"attachment": "Choose the attachment to send, or a data pill that names one."})


class Execution(WrittenByTheQueue):
    """One run of an action."""

    sys_id = models.CharField("Sys ID", max_length=32, primary_key=True)
    sys_created_on = models.BigIntegerField("Created (µs)")
    sys_created_by = models.CharField("Started by", max_length=150)
    action = models.CharField(max_length=32)  # its sys_id: an execution outlives its action; empty: an ad hoc request
    action_name = models.CharField("Action", max_length=160)
    state = models.CharField("State", max_length=12, choices=State.choices)
    finished = models.BigIntegerField("Finished (µs)", null=True)
    priority = models.SmallIntegerField("Priority", default=2)
    idempotency_key = models.CharField(max_length=255, null=True)
    version = models.IntegerField("Version", default=0)  # of the action; 0: the draft
    inputs = models.TextField(default="{}")  # JSON: by name
    output_plan = models.TextField(default="[]")  # JSON: [inputs.ActionOutput]
    outputs = models.TextField(default="{}")  # JSON: by name

    class Meta:
        db_table = "execution"
        ordering = ("-sys_created_on",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["sys_created_by", "idempotency_key"], name="execution_idempotency")
        ]
        indexes: ClassVar = [
            models.Index(fields=["sys_created_on"], name="execution_created"),
            models.Index(fields=["action", "sys_created_on"], name="execution_of_action"),  # the last one of each
        ]

    def __str__(self) -> str:
        return f"{self.action_name} {self.sys_id}"


class StepExecution(WrittenByTheQueue):
    """One step of an execution: what was planned, the job on the queue, and how it ended."""

    sys_id = models.CharField("Sys ID", max_length=32, primary_key=True)
    execution = models.CharField(max_length=32)
    position = models.SmallIntegerField()
    name = models.CharField(max_length=80)
    state = models.CharField(max_length=12, choices=State.choices)
    plan = models.TextField()  # JSON: actions.planner.Plan
    item = models.CharField(max_length=32, default="")  # its job on the ECC queue
    response = models.CharField(max_length=32, default="")  # the input item with the result
    mid_server = models.CharField(max_length=80, default="")
    fips_proof = models.CharField(max_length=32, default="")  # the MID Server's proof when the result came
    error = models.TextField(default="")  # JSON: code, message, remedy
    started = models.BigIntegerField(null=True)
    finished = models.BigIntegerField(null=True)
    outputs = models.TextField(default="{}")  # JSON: by name

    class Meta:
        db_table = "step_execution"
        ordering = ("execution", "position")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["execution", "position"], name="step_execution_position")
        ]
        indexes: ClassVar = [models.Index(fields=["item"], name="step_execution_item")]

    def __str__(self) -> str:
        return self.name

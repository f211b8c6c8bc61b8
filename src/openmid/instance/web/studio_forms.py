"""Workflow Studio's forms: an action's properties, inputs and outputs; a REST or SOAP step; Test, Copy, Publish."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from openmid.diagnosis.briefly import OTHERS_BRIEFLY, PASSING_BRIEFLY
from openmid.instance.actions import inputs, versions
from openmid.instance.actions.forms import ActionForm, StepForm
from openmid.instance.actions.models import Action, Step
from openmid.instance.web.meanwhile import MeanwhileForm
from openmid.instance.web.unfolded import DialogForm, SelectWidget, SwitchWidget, TextareaWidget, TextWidget
from openmid.instance.web.widgets import CodesWidget, Column, PairsField, RowsField

TYPES = (
    ("string", "String"),
    ("integer", "Integer"),
    ("number", "Number"),
    ("boolean", "True/False"),
    ("json", "JSON"),
)
SOURCES = (
    ("json_path", "JSON path"),
    ("xpath", "XPath"),
    ("header", "Header"),
    ("status", "Status Code"),
    ("body", "Body"),
)
MONO = {"class": "om-mono", "spellcheck": "false"}


def _input(row: dict[str, str]) -> dict[str, Any]:
    return {**row, "mandatory": True} if row.pop("mandatory", "") else dict(row)


class ActionPageForm(MeanwhileForm, ActionForm):
    """An action's name and description."""

    class Meta(ActionForm.Meta):
        fields: ClassVar = ["name", "description"]
        widgets: ClassVar = {"name": TextWidget, "description": TextareaWidget(attrs={"rows": 3})}


class InputsForm(MeanwhileForm):
    """What a caller gives to an action."""

    inputs = RowsField(
        "Inputs",
        [
            Column("name", "Name", placeholder="name"),
            Column("label", "Label"),
            Column("type", "Type", (*TYPES, ("attachment", "Attachment"))),
            Column("mandatory", "Mandatory", (("", "Optional"), ("true", "Mandatory"))),
            Column("default", "Default value"),
            Column("hint", "Hint"),
        ],
        "input",
        _input,
    )

    class Meta:
        model = Action
        fields: ClassVar = ["inputs"]


class OutputsForm(MeanwhileForm):
    """What an action gives back."""

    outputs = RowsField(
        "Outputs",
        [
            Column("name", "Name", placeholder="name"),
            Column("label", "Label"),
            Column("value", "Value", placeholder="A data pill, or a text with pills"),
        ],
        "output",
    )

    class Meta:
        model = Action
        fields: ClassVar = ["outputs"]


class StatusesField(forms.CharField):
    """HTTP statuses as people write them: 429, 503."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        words = str(value or "").replace(",", " ").split()
        return [int(word) if word.isdecimal() else word for word in words] or None  # empty: the usual ones

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))


class StepPageForm(MeanwhileForm, StepForm):
    """A step's form as a page: headers, query parameters, form fields, parts and outputs are rows."""

    headers = PairsField(
        "Headers",
        "Sent in this order, duplicates too. The value of a secret one (Authorization, Cookie, X-Api-Key, …) is stored "
        "encrypted and never shown again, unless it has a data pill; what a connection needs for every call belongs in its "
        "credential.",
    )
    query = PairsField("Query parameters", "Sent in this order, duplicates too; percent-encoded.")
    form = PairsField("Form fields", "Sent in this order, duplicates too.")
    parts = RowsField(
        "Parts",
        [
            Column("name", "Name"),
            Column("value", "Value", placeholder="Text"),
            Column("attachment", "Attachment", placeholder="Attachment"),
            Column("file_name", "File name"),
            Column("content_type", "Content type"),
        ],
        "part",
        help_text="Each has a text, or an attachment by its sys_id or a data pill.",
    )
    outputs = RowsField(
        "Outputs",
        [
            Column("name", "Name", placeholder="name"),
            Column("source", "Source", SOURCES),
            Column("expression", "Expression", placeholder="$.order.id, //id, Location"),
            Column("type", "Type", TYPES),
        ],
        "output",
    )

    retry_statuses = StatusesField(
        label="Statuses",
        required=False,
        widget=TextWidget,
        help_text="For example 429, 503: these answers are tried again. Empty: the usual ones.",
    )
    retry_failures = forms.MultipleChoiceField(
        label="Failures",
        required=False,
        choices=[
            ("Usually pass by themselves", list(PASSING_BRIEFLY.items())),
            ("Usually need somebody's hand", list(OTHERS_BRIEFLY.items())),
        ],
        widget=CodesWidget,
        help_text="A call that got no answer is tried again after the chosen failures only. None chosen: after those that "
        "usually pass by themselves.",
    )

    class Meta(StepForm.Meta):
        labels: ClassVar = {"connection_alias": "Connection Alias"}
        help_texts: ClassVar = {
            "name": "Pills of later steps name it, and EXECUTION DETAILS show it.",
            "connection": "An alias leads to its active connection: its host, certificate and MID Server can change "
            "without this action.",
            "connection_alias": "Its active connection's URL is the Base URL.",
            "resource_path": "Follows the Base URL. Data pills are percent-encoded here.",
            "body_kind": "What the request carries, and its Content-Type unless a header says otherwise.",
            "method": "GET, PUT and DELETE may be repeated after a failure; POST and PATCH only where Retries say so.",
            "inline_url": "https://host, or mauth://host with the protocol of a MID Protocol Profile.",
            "body": "Data pills are filled in when the step begins; in JSON and XML a value is never syntax.",
            "soap_version": "Of the envelope's namespace; it decides the Content-Type too.",
            "soap_action": "As the WSDL has it; often empty.",
            "follow_redirects": "Up to five; to another host without the client certificate and credentials.",
            "retry_count": "How often a failed call is made again. 0: never.",
            "retry_kind": "How the pauses between attempts are chosen.",
            "retry_interval": "The pause, or with Exponential the first one: each is twice the one before.",
            "retry_max_elapsed": "No attempt begins later than this after the first.",
            "retry_any_method": "POST and PATCH too, although the partner may have done it already.",
            "on_failure": "No answer, an HTTP status of 400 and more, a SOAP fault, or an output that cannot be read.",
        }
        widgets: ClassVar = {
            "type": forms.HiddenInput,
            "name": TextWidget,
            "connection": SelectWidget,
            "connection_alias": SelectWidget,
            "inline_url": TextWidget,
            "method": SelectWidget,
            "resource_path": TextWidget(attrs={"placeholder": "/path"}),
            "body_kind": SelectWidget,
            "body": TextareaWidget(attrs={"rows": 8, **MONO}),
            "attachment": TextWidget,
            "soap_version": SelectWidget,
            "soap_action": TextWidget,
            "save_as": TextWidget(attrs={"placeholder": "report.pdf"}),
            "follow_redirects": SwitchWidget,
            "retry_kind": SelectWidget,
            "retry_count": TextWidget(attrs={"inputmode": "numeric"}),
            "retry_interval": TextWidget(attrs={"inputmode": "numeric"}),
            "retry_max_elapsed": TextWidget(attrs={"inputmode": "numeric"}),
            "retry_any_method": SwitchWidget,
            "on_failure": SelectWidget,
        }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["connection_alias"].empty_label = "Select value"  # type: ignore[attr-defined]
        self.fields["method"].choices = [(method, method) for method in Step.Method.values]  # type: ignore[attr-defined]
        if self.instance.type == Step.Type.SOAP:
            self.fields["body"].label = "Envelope"

    @property
    def wrong_at_failures(self) -> bool:
        """Whether an error stands in the folded part about retries and failure."""
        return any(name.startswith("retry_") or name in ("on_failure", "follow_redirects") for name in self.errors)

    def clean(self) -> dict[str, Any]:
        """What the form does not show does not count."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        cleaned["type"] = self.instance.type
        if cleaned.get("connection") == Step.Connection.ALIAS:
            cleaned["inline_url"] = ""
        else:
            cleaned["connection_alias"] = None
        shown = {"text": "body", "json": "body", "form": "form", "multipart": "parts", "binary": "attachment"}
        kind = cleaned.get("body_kind") if self.instance.type == Step.Type.REST else "text"
        for name in set(shown.values()) - {shown.get(str(kind))}:
            if name in cleaned:
                cleaned[name] = [] if name in ("form", "parts") else ""
        return cleaned


class TestForm(DialogForm):
    """Test: the inputs, and what Run Test will do."""

    form_before_template = "openmid/test_dialog.html"

    def __init__(self, request: Any, object_id: Any = None, *arguments: Any, **options: Any) -> None:
        super().__init__(request, object_id, *arguments, **options)
        self.action = get_object_or_404(Action, pk=object_id)
        self.declared = inputs.declared(self.action.inputs)
        for each in self.declared:
            field = self.fields[f"input_{each.name}"] = _field(each)
            field.widget.attrs["aria-required"] = str(each.mandatory).lower()

    def clean(self) -> dict[str, Any]:
        """Each input in its own type."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.values: dict[str, Any] = {}
        for each in self.declared:
            try:
                self.values |= inputs.read([each], {each.name: cleaned.get(f"input_{each.name}")})
            except inputs.InputError as error:
                self.add_error(f"input_{each.name}", f"{error}: {error.hint}.")
        return cleaned

    def get_before_template_context(self, request: HttpRequest, object_id: str | None = None) -> dict[str, Any]:
        return {"action": self.action, "steps": self.action.draft.select_related("connection_alias")}


def _field(declared: inputs.Input) -> forms.Field:
    label = f"{declared.label or declared.name}{' *' if declared.mandatory else ''}"
    help_text = declared.hint or ("The sys_id of an attachment." if declared.type == "attachment" else "")
    initial = (
        declared.default if isinstance(declared.default, str) or declared.default is None else str(declared.default)
    )
    if declared.type == "boolean":
        choices = [("", "–"), ("true", "True"), ("false", "False")]
        return forms.ChoiceField(
            label=label, choices=choices, required=False, widget=SelectWidget, initial=str(initial or "").lower()
        )
    widget = TextareaWidget(attrs={"rows": 3, **MONO}) if declared.type == "json" else TextWidget()
    return forms.CharField(label=label, required=False, widget=widget, initial=initial, help_text=help_text)


class CopyForm(DialogForm):
    """Copy: under which name. The page behind it has a field `name` of its own."""

    copy_name = forms.CharField(label="Name of the copy", max_length=80, widget=TextWidget)


class PublishForm(DialogForm):
    """Publish: what that means."""

    form_before_template = "openmid/publish_dialog.html"

    def get_before_template_context(self, request: HttpRequest, object_id: str | None = None) -> dict[str, Any]:
        found = get_object_or_404(Action, pk=object_id)
        return {"action": found, "changed": versions.is_changed(found), "version": found.published}

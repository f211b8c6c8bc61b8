"""The forms of actions and steps: pages and API read input through the same ones, and pills are checked here."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from django import forms

from openmid.instance.actions import references
from openmid.instance.actions.models import Action, Step
from openmid.instance.connections import header_fields
from openmid.instance.records import header_secrets

OPTIONS = (
    "type",
    "method",
    "body_kind",
    "soap_version",
    "follow_redirects",
    "retry_kind",
    "retry_count",
    "retry_interval",
    "retry_max_elapsed",
    "retry_statuses",
    "retry_failures",
    "retry_any_method",
    "on_failure",
)


class ActionForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = Action
        fields: ClassVar = ["name", "description", "inputs", "outputs"]


class StepForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = Step
        fields: ClassVar = [
            "name",
            "connection",
            "connection_alias",
            "inline_url",
            "resource_path",
            "headers",
            "query",
            "body",
            "form",
            "parts",
            "attachment",
            "soap_action",
            "outputs",
            "save_as",
            *OPTIONS,
        ]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in OPTIONS:
            self.fields[name].required = False

    def clean_headers(self) -> Any:
        """Masked ones stay what they were."""
        return header_fields.kept(self.cleaned_data["headers"], self.instance.headers)

    def clean(self) -> dict[str, Any]:
        """An option that is left empty is the usual one."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in OPTIONS:
            if name in cleaned and cleaned[name] in (None, ""):
                cleaned[name] = getattr(Step(), name)
        kept = [name for name, value in cleaned.get("headers", ()) if header_secrets.is_sealed(value)]
        if kept and not self.errors and self._leads_elsewhere(cleaned):
            self.add_error(
                "headers", f"Enter the value of {kept[0]} anew: the step does not lead where it was meant for."
            )
        return cleaned

    def _leads_elsewhere(self, cleaned: dict[str, Any]) -> bool:
        """Whether another partner would get what the step has stored for one: whoever edits it cannot read that."""
        before = self.instance
        if cleaned["connection"] != before.connection:
            return True
        if cleaned["connection"] == Step.Connection.ALIAS:
            return bool(cleaned["connection_alias"] != before.connection_alias)
        return bool(urlsplit(cleaned["inline_url"])[:2] != urlsplit(before.inline_url)[:2])

    def _post_clean(self) -> None:
        """Data pills mean something; this needs the step as it will be saved."""
        super()._post_clean()  # type: ignore[misc]  # Django's own, without a type
        if not self.errors:
            for field, said in references.of_step(self.instance):
                self.add_error(field, said)

    def save(self, commit: bool = True) -> Any:
        """Save; pills of other steps follow a new name."""
        old = self.initial.get("name") if not self.instance._state.adding else None
        saved = super().save(commit)
        if old and commit:
            references.follow_rename(saved, old)
        return saved

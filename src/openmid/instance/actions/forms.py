"""The forms of actions and steps: pages and API read input through the same ones."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from openmid.instance.actions.models import Action, RestStep

OPTIONS = (
    "follow_redirects",
    "retry_kind",
    "retry_count",
    "retry_interval",
    "retry_max_elapsed",
    "retry_statuses",
    "retry_any_method",
    "on_failure",
)


class ActionForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = Action
        fields: ClassVar = ["name", "description"]


class RestStepForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = RestStep
        fields: ClassVar = [
            "name",
            "connection",
            "connection_alias",
            "inline_url",
            "method",
            "resource_path",
            "headers",
            "query",
            "body",
            *OPTIONS,
        ]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in OPTIONS:
            self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        """An option that is left empty is the usual one."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in OPTIONS:
            if name in cleaned and cleaned[name] in (None, ""):
                cleaned[name] = getattr(RestStep(), name)
        return cleaned

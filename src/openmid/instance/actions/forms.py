"""The forms of actions and steps: pages and API read input through the same ones."""

from __future__ import annotations

from typing import ClassVar

from django import forms

from openmid.instance.actions.models import Action, RestStep


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
        ]

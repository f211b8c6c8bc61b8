"""Purposes: what a MID Server is for, chosen by an administrator: applications, capabilities, IP ranges."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from openmid.instance.mid.models import IpRange, MidApplication, MidCapability, MidServer
from openmid.instance.web.unfolded import CheckboxList, DialogForm, action

COLUMNS = ("applications", "capabilities", "ip_ranges")
HELP = "None chosen here and none said by its config.xml: it serves connections that ask for none."


class PurposesForm(DialogForm):
    """Three lists, as they are now."""

    applications = forms.ModelMultipleChoiceField(MidApplication.objects.all(), required=False, widget=CheckboxList)
    capabilities = forms.ModelMultipleChoiceField(MidCapability.objects.all(), required=False, widget=CheckboxList)
    ip_ranges = forms.ModelMultipleChoiceField(
        IpRange.objects.all(), label="IP ranges", required=False, widget=CheckboxList
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        mid = get_object_or_404(MidServer, pk=self.object_id)
        for name in COLUMNS:
            self.initial[name] = list(getattr(mid, name).all())


@action(
    description="Purposes",
    permissions=["purposes"],
    dialog={
        "title": "What is this MID Server for?",
        "description": HELP,
        "form_class": PurposesForm,
        "form_submit_text": "Save",
    },
)
def purposes(self: Any, request: HttpRequest, form: PurposesForm, object_id: str) -> HttpResponse:
    """Keep what was chosen."""
    mid = get_object_or_404(MidServer, pk=object_id)
    for name in COLUMNS:
        getattr(mid, name).set(form.cleaned_data[name])
    messages.success(request, f"The purposes of MID Server {mid} are saved.")
    return HttpResponse(headers={"HX-Redirect": reverse("admin:mid_midserver_change", args=[object_id])})

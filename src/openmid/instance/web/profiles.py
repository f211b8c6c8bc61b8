"""The MID Protocol Profile form, and what each MID Server made of the profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from openmid.instance.connections.forms import MidProtocolProfileForm
from openmid.instance.connections.models import MidProtocolProfile
from openmid.instance.mid.models import MidServer, Validated
from openmid.instance.web import labels
from openmid.instance.web.meanwhile import MeanwhileForm
from openmid.instance.web.plain import FRAME, without_eval
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import Admin, CheckboxList, PasswordWidget


@dataclass(frozen=True)
class Loaded:
    """What one MID Server says of a profile; `waiting` is why it says nothing yet."""

    mid: MidServer
    status: dict[str, Any] | None
    waiting: str = ""

    @property
    def expiry(self) -> SafeString:
        return labels.label(*labels.expiry((self.status or {}).get("not_after", "")))


def loaded(profile: MidProtocolProfile, mids: list[MidServer]) -> list[Loaded]:
    """Those of `mids` that the profile applies to, with what they reported."""
    if profile.applies_to == MidProtocolProfile.AppliesTo.SPECIFIC:
        chosen = {mid.pk for mid in profile.mid_list.all()}
        mids = [mid for mid in mids if mid.pk in chosen]
    return [_report(profile, mid) for mid in mids]


def _report(profile: MidProtocolProfile, mid: MidServer) -> Loaded:
    for status in mid.profile_statuses or []:
        if status.get("sys_id") == profile.sys_id:
            return Loaded(mid, status)
    if mid.validated != Validated.TRUE:
        return Loaded(
            mid, None, "This MID Server is not validated: it gets no profile before an administrator does so."
        )
    if mid.status == "Down":
        return Loaded(mid, None, "This MID Server is Down. It loads the profile when it is up again.")
    return Loaded(mid, None, "Not reported yet: the MID Server says so with its next heartbeat.")


class MidProtocolProfilePageForm(MeanwhileForm, MidProtocolProfileForm):
    """The profile's form as a page: MID Servers count only for Specific MID Servers."""

    mid_list = forms.ModelMultipleChoiceField(
        MidServer.objects.all(),
        label="MID Servers",
        required=False,
        widget=CheckboxList,
        help_text="The MID Servers whose hosts have this keystore.",
    )

    class Meta(MidProtocolProfileForm.Meta):
        labels: ClassVar = {"default_port": "Default Port"}
        help_texts: ClassVar = {
            "applies_to": "Which MID Servers get the profile and its password. Choose those whose hosts have the keystore.",
            "default_port": "Of connections without a Port override.",
        }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if "password" in self.fields:
            self.fields["password"].widget = PasswordWidget(attrs={"autocomplete": "new-password"})
            if self.instance.password:
                self.fields["password"].widget.attrs["placeholder"] = "Stored. Leave empty to keep it."

    def clean_mid_list(self) -> QuerySet[MidServer]:
        chosen: QuerySet[MidServer] = self.cleaned_data["mid_list"]
        specific = self.cleaned_data.get("applies_to") == MidProtocolProfile.AppliesTo.SPECIFIC
        return chosen if specific else chosen.none()


@admin.register(MidProtocolProfile, site=site)
class MidProtocolProfileAdmin(Admin):
    """MID Protocol Profiles. A connection's magnifying glass opens this list, with New."""

    form = MidProtocolProfilePageForm
    list_display = ("protocol", "keystore_path", "applies_to", "default_port", "loaded_on")
    search_fields = ("protocol", "keystore_path")
    conditional_fields: ClassVar = {"mid_list": "applies_to === 'specific'"}
    change_form_outer_after_template = "openmid/profile_status.html"
    fieldsets: ClassVar = [
        (
            None,
            {
                "fields": [
                    "protocol",
                    "keystore_path",
                    "password",
                    "alias",
                    "applies_to",
                    "mid_list",
                    "default_port",
                    "external_credential_store",
                ]
            },
        )
    ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.default_port)
        return [path("default-port/", view, name="connections_midprotocolprofile_default_port"), *super().get_urls()]

    def default_port(self, request: HttpRequest) -> JsonResponse:
        """A protocol's Default Port, for the Connection URL while it is typed: `{"default_port": 443}`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        profile = get_object_or_404(MidProtocolProfile, protocol=request.GET.get("protocol", ""))
        return JsonResponse({"default_port": profile.default_port})

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """The magnifying glass hands over the protocol's name instead of a sys_id."""
        return to_field == "protocol" or super().to_field_allowed(request, to_field)

    @without_eval
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        profile = MidProtocolProfile.objects.filter(pk=object_id).first()
        reports = loaded(profile, list(MidServer.objects.all())) if profile else []
        context = {**FRAME, "loaded": reports, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[MidProtocolProfile]:
        return super().get_queryset(request).prefetch_related("mid_list")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """The list, with the MID Servers fetched once for all rows."""
        changelist = super().get_changelist_instance(request)
        mids = list(MidServer.objects.all())
        for profile in changelist.result_list:
            profile.reports = loaded(profile, mids)
        return changelist

    @admin.display(description="Loaded on")
    def loaded_on(self, profile: Any) -> str:
        reports: list[Loaded] = profile.reports
        good = sum(bool(report.status and report.status.get("loaded")) for report in reports)
        return f"{good} of {len(reports)} MID Servers"

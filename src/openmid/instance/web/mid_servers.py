"""MID Servers: list and record, Validate and Invalidate, enrolment tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from openmid.instance.errors import FolderError
from openmid.instance.folder import Folder
from openmid.instance.mid import enrolment
from openmid.instance.mid.models import EnrolmentToken, MidIssue, MidServer, Validated
from openmid.instance.records import clock
from openmid.instance.web import frames, labels
from openmid.instance.web.plain import PlainAdmin, without_eval
from openmid.instance.web.purposes import purposes
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import DialogForm, TextWidget, action


class ValidateForm(DialogForm):
    """Validate: the fingerprint that the administrator was shown goes back, so that no other key slips in between."""

    form_before_template = "openmid/validate.html"
    fingerprint = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.mid = get_object_or_404(MidServer, pk=self.object_id)
        self.initial["fingerprint"] = self.mid.fingerprint

    def get_before_template_context(self, request: HttpRequest, object_id: str | None = None) -> dict[str, Any]:
        return {"mid": self.mid}


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """New enrolment token."""

    class Meta:
        model = EnrolmentToken
        fields: ClassVar = ["name"]
        widgets: ClassVar = {"name": TextWidget}


def _asked(
    label: str, title: str, description: str, command: Callable[[MidServer], None], done: str, *, permission: str
) -> Any:
    """A button that asks, then does `command` and says that it is `done`."""

    def run(self: Any, request: HttpRequest, form: DialogForm, object_id: str) -> HttpResponse:
        mid = get_object_or_404(MidServer, pk=object_id)
        command(mid)
        messages.success(request, done.format(mid))
        return _reload(object_id)

    run.__name__ = label.lower()
    dialog = {"title": title, "description": description, "form_class": DialogForm, "form_submit_text": label}
    return action(description=label, permissions=[permission], dialog=dialog)(run)


@admin.register(MidServer, site=site)
class MidServerAdmin(PlainAdmin):
    """The MID Servers. What they say of themselves is read-only; trust in them is given and taken here."""

    list_display = ("name", "status_label", "is_validated", "is_enforced", "version", "host_name", "refreshed")
    search_fields = ("name", "host_name")
    list_filter = ("validated", "fips_enforced")
    list_per_page = 50
    actions_list = ("enrolment_token",)
    actions_detail = ("validate", "invalidate", "rekey", "pause", "resume", "restart", "prove", "purposes")
    purposes = purposes
    change_form_template = "openmid/mid_server.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A MID Server makes its record itself, by enrolling."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_validate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may validate `obj` (a sys_id): an administrator, unless it is validated already."""
        trusted = MidServer.objects.filter(pk=obj, validated=Validated.TRUE).exists()
        return not trusted and request.user.has_perm("mid.change_midserver")

    def has_invalidate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may invalidate `obj` (a sys_id): an administrator, unless it is not validated anyway."""
        trusted = MidServer.objects.filter(pk=obj, validated=Validated.TRUE).exists()
        return trusted and request.user.has_perm("mid.change_midserver")

    def has_prove_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may ask `obj` (a sys_id) for a new proof: an administrator, where there is something to prove."""
        provable = MidServer.objects.filter(pk=obj, fips_proof__isnull=False).exists()
        return provable and request.user.has_perm("mid.change_midserver")

    def has_pause_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may pause `obj` (a sys_id): an administrator, unless it is paused already."""
        working = MidServer.objects.filter(pk=obj, paused=False).exists()
        return working and request.user.has_perm("mid.change_midserver")

    def has_resume_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may resume `obj` (a sys_id): an administrator, where it is paused."""
        paused = MidServer.objects.filter(pk=obj, paused=True).exists()
        return paused and request.user.has_perm("mid.change_midserver")

    def has_purposes_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may say what a MID Server is for: an administrator."""
        return bool(request.user.has_perm("mid.change_midserver"))

    def has_token_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may make enrolment tokens."""
        return bool(request.user.has_perm("mid.add_enrolmenttoken"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.log)
        return [path("<str:sys_id>/log/", view, name="mid_midserver_log"), *super().get_urls()]

    def log(self, request: HttpRequest, sys_id: str) -> HttpResponse:
        """The last lines of agent0.log, as the page's frame shows them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return frames.text(_log(get_object_or_404(MidServer, pk=sys_id)))

    @without_eval
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        mid = MidServer.objects.filter(pk=object_id).first()
        context = {**(presented(mid) if mid else {}), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    @action(
        description="Validate",
        permissions=["validate"],
        dialog={
            "title": "Validate this MID Server?",
            "description": "Then it gets work and, sealed to its key, the passwords of the profiles that apply to it.",
            "form_class": ValidateForm,
            "form_submit_text": "Validate",
        },
    )
    def validate(self, request: HttpRequest, form: ValidateForm, object_id: str) -> HttpResponse:
        try:
            enrolment.validate(form.mid, form.cleaned_data["fingerprint"])
            messages.success(request, f"MID Server {form.mid} is validated.")
        except enrolment.EnrolmentRefused as refused:
            messages.error(request, f"{refused}. {refused.hint}")
        return _reload(object_id)

    invalidate = _asked(
        "Invalidate",
        "Invalidate this MID Server?",
        "It gets no more work and no secrets until it is validated again.",
        enrolment.invalidate,
        "MID Server {} is not validated any more.",
        permission="invalidate",
    )
    rekey = _asked(
        "Rekey",
        "Let this MID Server enrol with a new key?",
        "It gets no work until it has enrolled again with a new enrolment token and is validated.",
        enrolment.request_rekey,
        "MID Server {} may enrol again with another key. Make it a new enrolment token.",
        permission="invalidate",
    )
    prove = _asked(
        "Prove",
        "Prove FIPS Enforced Mode anew?",
        "The running MID Server tries every operation again, and signs what came of it.",
        MidServer.ask_for_proof,
        "MID Server {} hears of it with its next heartbeat, and shows a new proof then.",
        permission="prove",
    )
    pause = _asked(
        "Pause",
        "Pause this MID Server?",
        "It takes no new work until it is resumed; what runs is finished.",
        lambda mid: mid.pause(True),
        "MID Server {} is paused.",
        permission="pause",
    )
    resume = _asked(
        "Resume",
        "Resume this MID Server?",
        "It takes work again.",
        lambda mid: mid.pause(False),
        "MID Server {} takes work again.",
        permission="resume",
    )
    restart = _asked(
        "Restart",
        "Restart this MID Server?",
        "It finishes what runs and starts anew.",
        MidServer.ask_for_restart,
        "MID Server {} hears of it with its next heartbeat.",
        permission="invalidate",
    )

    @action(description="New enrolment token", permissions=["token"], url_path="enrolment-token")
    def enrolment_token(self, request: HttpRequest) -> HttpResponse:
        if not self.has_token_permission(request):
            raise PermissionDenied
        form = TokenForm(request.POST or None)
        context = {**site.each_context(request), "title": "New enrolment token", "form": form, "model_admin": self}
        if request.method == "POST" and form.is_valid():
            token, clear = EnrolmentToken.issue(form.cleaned_data["name"])
            context |= {"token": token, "clear": clear, "install": _install_command(token)}
        return TemplateResponse(request, "openmid/enrolment_token.html", context)

    @admin.display(description="Status")
    def status_label(self, mid: MidServer) -> SafeString:
        return labels.mid_status(mid.status)

    @admin.display(description="Validated", ordering="validated")
    def is_validated(self, mid: MidServer) -> SafeString:
        return labels.label(Validated(mid.validated).label, "success" if mid.validated == Validated.TRUE else "warning")

    @admin.display(description="FIPS Enforced", ordering="fips_enforced")
    def is_enforced(self, mid: MidServer) -> SafeString:
        return labels.flag(mid.fips_enforced, "Enforced", "Off")

    @admin.display(description="Last refreshed", ordering="last_refreshed")
    def refreshed(self, mid: MidServer) -> str:
        return labels.ago(mid.last_refreshed)


def presented(mid: MidServer) -> dict[str, Any]:
    """What the record's page shows beside the record itself."""
    return {
        "status_label": labels.mid_status(mid.status),
        "proof": mid.proof,
        "proof_record": mid.fips_proof,
        "issues": mid.midissue_set.filter(state=MidIssue.State.NEW),
        "started": clock.moment(mid.started) if mid.started else None,
        "refreshed": labels.ago(mid.last_refreshed),
        "log_height": frames.height(_log(mid)),
        "purposes": [
            ("Capabilities", ", ".join([*map(str, mid.capabilities.all()), *(mid.reported_capabilities or [])])),
            ("Applications", ", ".join(map(str, mid.applications.all()))),
            ("IP ranges", ", ".join(map(str, mid.ip_ranges.all()))),
            ("Clusters", ", ".join(str(each.cluster) for each in mid.memberships.select_related("cluster"))),
        ],
        "profile_rows": [
            {"status": status, "expiry": labels.label(*labels.expiry(status.get("not_after", "")))}
            for status in mid.profile_statuses or []
        ],
    }


def _log(mid: MidServer) -> str:
    return "\n".join(mid.log_tail or [])


def _reload(object_id: str) -> HttpResponse:
    """A pop-up's end: htmx leaves for the record."""
    url = reverse("admin:mid_midserver_change", args=[object_id])
    return HttpResponse(headers={"HX-Redirect": url})


def _install_command(token: EnrolmentToken) -> str:
    folder = settings.OPENMID_FOLDER
    try:
        url = Folder(folder).listen().url if folder else ""
    except FolderError:
        url = ""
    return f"openmid mid install DIR --url {url} --name {token.name} --ca ca.pem --token enrolment.token"

"""Workflow Studio: the landing page, New > Action, the action editor with its outline, Test, Publish, versions."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from openmid.instance.actions import references, runner, versions, wsdl, wsdl_fetch
from openmid.instance.actions.forms import StepForm
from openmid.instance.actions.models import Action, Execution, Step
from openmid.instance.connections.models import ConnectionAlias
from openmid.instance.errors import InstanceError
from openmid.instance.web import labels
from openmid.instance.web.plain import FRAME, without_eval
from openmid.instance.web.site import site
from openmid.instance.web.studio_forms import (
    ActionPageForm,
    CopyForm,
    InputsForm,
    OutputsForm,
    PublishForm,
    StepPageForm,
    TestForm,
)
from openmid.instance.web.unfolded import Admin, action

NEW = {"new": Step.Type.REST, "new-soap": Step.Type.SOAP}
PANELS = {"properties": ActionPageForm, "inputs": InputsForm, "outputs": OutputsForm}
"""What can be chosen in the Action Outline beside steps."""


@admin.register(Action, site=site)
class ActionAdmin(Admin):
    """Workflow Studio."""

    list_display = ("name", "steps_count", "last_state", "last_run", "sys_updated_on", "sys_updated_by")
    search_fields = ("name", "description")
    show_add_link = False
    actions_list: ClassVar = ({"title": "New", "variant": "primary", "items": ["new_action"]},)
    actions_detail = ("test", "publish", "copy", "all_versions")
    list_before_template = "openmid/studio_intro.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        actions: QuerySet[Any] = super().get_queryset(request)
        last = Execution.objects.filter(action=OuterRef("pk")).order_by("-sys_created_on")
        annotated: QuerySet[Any] = actions.annotate(
            count=Count("steps", filter=Q(steps__version=None)),
            state=Subquery(last.values("state")[:1]),
            ran=Subquery(last.values("sys_created_on")[:1]),
        )
        return annotated

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Workflow Studio", **(extra_context or {})})

    @action(description="Action", permissions=["add"])
    def new_action(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:actions_action_add"))

    @action(
        description="Test",
        permissions=["test"],
        dialog={
            "title": "Test action",
            "description": "",
            "form_class": TestForm,
            "form_submit_text": "Run Test",
        },
    )
    def test(self, request: HttpRequest, form: TestForm, object_id: str) -> HttpResponse:
        try:
            execution = runner.test(form.action.name, request.user.get_username(), form.values)
        except InstanceError as error:
            messages.error(request, f"{error}. {error.hint}")
            return _leave(_editor(object_id))
        return _leave(reverse("admin:actions_execution_change", args=[execution]))

    @action(
        description="Publish",
        permissions=["change"],
        dialog={
            "title": "Publish action",
            "description": "",
            "form_class": PublishForm,
            "form_submit_text": "Publish",
        },
    )
    def publish(self, request: HttpRequest, form: PublishForm, object_id: str) -> HttpResponse:
        try:
            version = versions.publish(get_object_or_404(Action, pk=object_id))
        except versions.NotPublishedError as error:
            messages.error(request, f"{error}: {error.hint}.")
        else:
            messages.success(request, f"Version {version.number} is published.")
        return _leave(_editor(object_id))

    @action(
        description="Copy",
        permissions=["copy"],
        dialog={"title": "Copy action", "description": "", "form_class": CopyForm, "form_submit_text": "Copy"},
    )
    def copy(self, request: HttpRequest, form: CopyForm, object_id: str) -> HttpResponse:
        try:
            copied = versions.copy(get_object_or_404(Action, pk=object_id), form.cleaned_data["copy_name"])
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return _leave(_editor(object_id))
        messages.success(request, f"{copied} is a copy.")
        return _leave(_editor(copied.pk))

    @action(description="Versions", permissions=["view"])
    def all_versions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Who published what, and when; a version can become the draft again."""
        edited = get_object_or_404(Action, pk=object_id)
        if request.method == "POST":
            if not self.has_change_permission(request, edited):
                raise PermissionDenied
            number = request.POST.get("restore", "")
            restored = versions.restore(edited, int(number) if number.isdecimal() else 0)
            messages.success(request, f"The draft is version {restored.number} again; publish it to run it.")
            return HttpResponseRedirect(_editor(object_id))
        context = {
            **site.each_context(request),
            "opts": Action._meta,
            "title": f"Versions of {edited}",
            "original": edited,
            "versions": edited.versions.annotate(count=Count("steps")),
            "changed": versions.is_changed(edited),
            "may_change": self.has_change_permission(request, edited),
        }
        return TemplateResponse(request, "openmid/versions.html", context)

    def has_test_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may run an action."""
        return bool(request.user.has_perm("actions.add_execution"))

    def has_copy_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may make an action of another one."""
        return self.has_add_permission(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.base_url)
        read = self.admin_site.admin_view(self.read_wsdl)
        return [
            path("base-url/", view, name="actions_action_base_url"),
            path("wsdl/", read, name="actions_action_wsdl"),
            path("wsdl/fetch/", self.admin_site.admin_view(self.fetch_wsdl), name="actions_action_wsdl_fetch"),
            path("wsdl/fetched/", self.admin_site.admin_view(self.fetched_wsdl), name="actions_action_wsdl_fetched"),
            *super().get_urls(),
        ]

    def read_wsdl(self, request: HttpRequest) -> JsonResponse:
        """The operations of uploaded `documents`, for the editor: `{"operations": [wsdl.Operation]}` or `{"error"}`."""
        if not self.has_change_permission(request) or request.method != "POST":
            raise PermissionDenied
        files = request.FILES.getlist("documents")
        try:
            documents = wsdl.chosen((str(each.name), each.read(wsdl.MAX_BYTES + 1)) for each in files)
            found = wsdl.operations(wsdl.ordered(documents))
        except wsdl.WsdlError as error:
            return JsonResponse({"error": f"{error}: {error.hint}."}, status=400)
        return JsonResponse({"operations": msgspec.to_builtins(found)})

    def fetch_wsdl(self, request: HttpRequest) -> JsonResponse:
        """Start to fetch the WSDL at `address` through an alias's MID Server: `{"executions"}` or `{"error"}`."""
        user = self._fetcher(request)
        alias = ConnectionAlias.objects.filter(pk=request.POST.get("alias", "")).first()
        if alias is None:
            return JsonResponse(
                {"error": "Choose a Connection Alias first: its MID Server fetches the WSDL."}, status=400
            )
        try:
            return JsonResponse({"executions": [wsdl_fetch.begin(alias.name, request.POST.get("address", ""), user)]})
        except InstanceError as error:
            return JsonResponse({"error": f"{error}: {error.hint}."}, status=400)

    def fetched_wsdl(self, request: HttpRequest) -> JsonResponse:
        """How far that is: `{"executions"}`, then `{"operations"}`, or `{"error"}`."""
        user = self._fetcher(request)
        try:
            found = wsdl_fetch.progress(request.POST.getlist("executions"), user)
        except InstanceError as error:
            return JsonResponse({"error": f"{error}: {error.hint}."}, status=400)
        return JsonResponse(msgspec.to_builtins(found))

    def _fetcher(self, request: HttpRequest) -> str:
        if request.method != "POST" or not (self.has_change_permission(request) and self.has_test_permission(request)):
            raise PermissionDenied
        return request.user.get_username()

    def base_url(self, request: HttpRequest) -> JsonResponse:
        """The Base URL of an alias, for the editor: `{"base_url": "mauth://host"}`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        alias = ConnectionAlias.objects.filter(pk=request.GET.get("alias", "")).first()
        connection = alias.active_connection() if alias else None
        return JsonResponse({"base_url": connection.connection_url if connection else ""})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """New > Action: its name, then Build action."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ActionPageForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            return HttpResponseRedirect(_editor(form.save().pk))
        context = {**site.each_context(request), "title": "New action", "form": form, "model_admin": self}
        return TemplateResponse(request, "openmid/new_action.html", context)

    @without_eval
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The action editor. A WSDL's names and envelopes are a partner's, so it is a plain page."""
        edited = get_object_or_404(Action, pk=object_id)
        if not self.has_view_permission(request, edited):
            raise PermissionDenied
        steps = list(edited.draft.select_related("connection_alias"))
        chosen = request.GET.get("step") or (steps[0].pk if steps else "")
        if request.method == "POST" and (moved := self._moved(request, edited, steps)):
            return moved
        form = self._form(request, edited, chosen, steps)
        if request.method == "POST":
            answer = self._post(request, edited, form, chosen)
            if answer is not None:
                return answer
        is_step = isinstance(form, StepForm)
        context = {
            **site.each_context(request),
            **FRAME,
            "opts": Action._meta,
            "original": edited,
            "steps": steps,
            "chosen": chosen,
            "form": form,
            "is_step": is_step,
            "is_soap": is_step and form.instance.type == Step.Type.SOAP,
            "pills": _pills(edited, steps, form.instance.order if is_step else None),
            "problems": references.of_action(edited),
            "may_change": self.has_change_permission(request, edited),
            "actions_detail": self._detail_buttons(request, object_id),
            "has_delete_permission": self.has_delete_permission(request, edited),
        }
        return TemplateResponse(request, "openmid/editor.html", context)

    def _form(self, request: HttpRequest, edited: Action, chosen: str, steps: list[Step]) -> Any:
        data = request.POST if request.method == "POST" else None
        if chosen in PANELS:
            return PANELS[chosen](data, instance=edited)
        if chosen in NEW:
            order = max((step.order for step in steps), default=0) + 1
            name = _free_name(NEW[chosen], steps)
            return StepPageForm(data, instance=Step(action=edited, order=order, type=NEW[chosen], name=name))
        found = [step for step in steps if step.pk == chosen]
        if chosen and not found:
            raise Http404(f"{edited} has no such step")
        return StepPageForm(data, instance=found[0]) if found else None

    def _post(self, request: HttpRequest, edited: Action, form: Any, chosen: str) -> HttpResponse | None:
        if not self.has_change_permission(request, edited):
            raise PermissionDenied
        if "_delete_step" in request.POST and isinstance(form, StepForm) and not form.instance._state.adding:
            form.instance.delete()
            messages.success(request, f"Step {form.instance.name} is deleted.")
            return HttpResponseRedirect(_editor(edited.pk))
        if form is None or not form.is_valid():
            return None
        saved = form.save()
        messages.success(request, "Saved.")
        return HttpResponseRedirect(f"{_editor(edited.pk)}?step={saved.pk if isinstance(saved, Step) else chosen}")

    def _moved(self, request: HttpRequest, edited: Action, steps: list[Step]) -> HttpResponse | None:
        """Steps in another order: `_order` has their sys_ids, `_up` and `_down` one of them."""
        ids = [step.pk for step in steps]
        wanted = _order(request.POST, ids)
        if wanted is None:
            return None
        if not self.has_change_permission(request, edited):
            raise PermissionDenied
        if sorted(wanted) == sorted(ids):
            by_id = {step.pk: step for step in steps}
            for order, sys_id in enumerate(wanted, start=1):
                if by_id[sys_id].order != order:
                    by_id[sys_id].order = order
                    by_id[sys_id].save()
        chosen = request.GET.get("step", "")
        return HttpResponseRedirect(f"{_editor(edited.pk)}{f'?step={quote(chosen)}' if chosen else ''}")

    def _detail_buttons(self, request: HttpRequest, object_id: str) -> Any:
        buttons = self.get_actions_detail(request, object_id)  # type: ignore[attr-defined]  # unfold's
        return self._get_actions_navigation(self.actions_detail, buttons, object_id)  # type: ignore[attr-defined]

    @admin.display(description="Steps", ordering="count")
    def steps_count(self, row: Any) -> str:
        return str(row.count)

    @admin.display(description="Last execution", ordering="state")
    def last_state(self, row: Any) -> SafeString | str:
        return labels.state(row.state) if row.state else "never run"

    @admin.display(description="When", ordering="ran")
    def last_run(self, row: Any) -> str:
        return labels.ago(row.ran) if row.ran else ""


def _editor(sys_id: str) -> str:
    return reverse("admin:actions_action_change", args=[sys_id])


def _order(posted: Any, ids: list[str]) -> list[str] | None:
    """The order that a form asks for; None where it asks for none."""
    if "_order" in posted:
        return [each for each in posted["_order"].split(",") if each]
    for name, by in (("_up", -1), ("_down", 1)):
        if posted.get(name) in ids:
            at = ids.index(posted[name])
            to = min(max(at + by, 0), len(ids) - 1)
            others = [*ids[:at], *ids[at + 1 :]]
            return [*others[:to], ids[at], *others[to:]]
    return None


def _free_name(kind: str, steps: list[Step]) -> str:
    """REST, REST 2, REST 3: the first that no step has."""
    names = {step.name for step in steps}
    return next(name for n in range(1, len(steps) + 2) if (name := f"{kind} {n}" if n > 1 else kind) not in names)


Pill = tuple[str, str, str]
"""Label, the pill, its type."""


def _pills(edited: Action, steps: list[Step], before: int | None) -> list[tuple[str, list[Pill]]]:
    """The data pills that may be used, by where they come from. `before`: only those of steps before this one."""
    given = [(each["name"], f"{{{{inputs.{each['name']}}}}}", each.get("type", "string")) for each in edited.inputs]
    earlier = [step for step in steps if before is None or step.order < before]
    groups = [("Inputs", given), *((step.name, _of_step(step)) for step in earlier)]
    return [group for group in groups if group[1]]


def _of_step(step: Step) -> list[Pill]:
    fields = [(each["name"], f"outputs.{each['name']}", each.get("type", "string")) for each in step.outputs]
    fields += [("Status Code", "status_code", "integer"), ("Body", "body", "string")]
    fields += [("Header…", "headers.NAME", "string")]
    fields += [("Attachment", "attachment", "attachment")] if step.save_as else []
    return [(label, f"{{{{steps.{step.name}.{path}}}}}", kind) for label, path, kind in fields]


def _leave(url: str) -> HttpResponse:
    """A pop-up's end: htmx leaves for `url`."""
    return HttpResponse(headers={"HX-Redirect": url})

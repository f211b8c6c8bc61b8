"""Workflow Studio: the landing page, New > Action, the action editor with its outline and REST steps, Test."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from openmid.instance.actions import runner, validation
from openmid.instance.actions.forms import ActionForm, StepForm
from openmid.instance.actions.models import Action, Execution, Step
from openmid.instance.connections.models import ConnectionAlias
from openmid.instance.errors import InstanceError
from openmid.instance.web import labels
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import (
    Admin,
    DialogForm,
    SelectWidget,
    SwitchWidget,
    TextareaWidget,
    TextWidget,
    action,
)
from openmid.instance.web.widgets import PairsField

NEW = "new"
PROPERTIES = "properties"


class ActionPageForm(ActionForm):
    """An action's name and description."""

    class Meta(ActionForm.Meta):
        widgets: ClassVar = {"name": TextWidget, "description": TextareaWidget(attrs={"rows": 3})}


class StepPageForm(StepForm):
    """The REST step's form as a page: headers and query parameters are rows."""

    headers = PairsField(label="Headers")
    query = PairsField(label="Query parameters")

    class Meta(StepForm.Meta):
        labels: ClassVar = {"connection_alias": "Connection Alias"}
        widgets: ClassVar = {
            "name": TextWidget,
            "connection": SelectWidget,
            "connection_alias": SelectWidget,
            "inline_url": TextWidget,
            "method": SelectWidget,
            "resource_path": TextWidget(attrs={"placeholder": "/path"}),
            "body": TextareaWidget(attrs={"rows": 6, "class": "om-mono", "spellcheck": "false"}),
            "follow_redirects": SwitchWidget,
            "retry_kind": SelectWidget,
            "retry_count": TextWidget(attrs={"inputmode": "numeric"}),
            "retry_interval": TextWidget(attrs={"inputmode": "numeric"}),
            "retry_max_elapsed": TextWidget(attrs={"inputmode": "numeric"}),
            "retry_statuses": TextWidget,
            "retry_any_method": SwitchWidget,
            "on_failure": SelectWidget,
        }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["connection_alias"].empty_label = "Select value"  # type: ignore[attr-defined]
        self.fields["method"].choices = [(method, method) for method in Step.Method.values]  # type: ignore[attr-defined]
        for name in ("headers", "query"):
            self.fields[name].validators = [validation.headers if name == "headers" else validation.query]

    def clean(self) -> dict[str, Any]:
        """What the form does not show does not count."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("connection") == Step.Connection.ALIAS:
            cleaned["inline_url"] = ""
        else:
            cleaned["connection_alias"] = None
        return cleaned


class TestForm(DialogForm):
    """Test: what Run Test will do."""

    form_before_template = "openmid/test_dialog.html"

    def get_before_template_context(self, request: HttpRequest, object_id: str | None = None) -> dict[str, Any]:
        tested = get_object_or_404(Action, pk=object_id)
        return {"action": tested, "steps": tested.draft.select_related("connection_alias")}


@admin.register(Action, site=site)
class ActionAdmin(Admin):
    """Workflow Studio."""

    list_display = ("name", "steps_count", "last_state", "last_run", "sys_updated_on", "sys_updated_by")
    search_fields = ("name", "description")
    show_add_link = False
    actions_list: ClassVar = ({"title": "New", "variant": "primary", "items": ["new_action"]},)
    actions_detail = ("test",)
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
        tested = get_object_or_404(Action, pk=object_id)
        try:
            execution = runner.test(tested.name, request.user.get_username(), {})
        except InstanceError as error:
            messages.error(request, f"{error}. {error.hint}")
            return _leave(_editor(object_id))
        return _leave(reverse("admin:actions_execution_change", args=[execution]))

    def has_test_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may run an action."""
        return bool(request.user.has_perm("actions.add_execution"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.base_url)
        return [path("base-url/", view, name="actions_action_base_url"), *super().get_urls()]

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

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The action editor."""
        edited = get_object_or_404(Action, pk=object_id)
        if not self.has_view_permission(request, edited):
            raise PermissionDenied
        steps = list(edited.draft)
        chosen = request.GET.get("step") or (steps[0].pk if steps else "")
        form = self._form(request, edited, chosen, steps)
        if request.method == "POST":
            answer = self._post(request, edited, form)
            if answer is not None:
                return answer
        context = {
            **site.each_context(request),
            "opts": Action._meta,
            "original": edited,
            "steps": steps,
            "chosen": chosen,
            "form": form,
            "is_step": isinstance(form, StepForm),
            "may_change": self.has_change_permission(request, edited),
            "actions_detail": self._detail_buttons(request, object_id),
            "has_delete_permission": self.has_delete_permission(request, edited),
        }
        return TemplateResponse(request, "openmid/editor.html", context)

    def _form(self, request: HttpRequest, edited: Action, chosen: str, steps: list[Step]) -> Any:
        data = request.POST if request.method == "POST" else None
        if chosen == PROPERTIES:
            return ActionPageForm(data, instance=edited)
        if chosen == NEW:
            order = max((step.order for step in steps), default=0) + 1
            return StepPageForm(data, instance=Step(action=edited, order=order))
        found = [step for step in steps if step.pk == chosen]
        if chosen and not found:
            raise Http404(f"{edited} has no such step")
        return StepPageForm(data, instance=found[0]) if found else None

    def _post(self, request: HttpRequest, edited: Action, form: Any) -> HttpResponse | None:
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
        is_step = isinstance(saved, Step)
        return HttpResponseRedirect(f"{_editor(edited.pk)}?step={saved.pk if is_step else PROPERTIES}")

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


def _leave(url: str) -> HttpResponse:
    """A pop-up's end: htmx leaves for `url`."""
    return HttpResponse(headers={"HX-Redirect": url})

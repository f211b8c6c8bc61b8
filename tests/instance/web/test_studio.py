"""Workflow Studio without a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from openmid.diagnosis.briefly import BRIEFLY
from openmid.instance.actions import versions
from openmid.instance.actions.models import Action, Execution, Step
from openmid.instance.connections.models import ConnectionAlias, HttpConnection
from openmid.instance.records.header_secrets import opened
from openmid.instance.web.studio_forms import StepPageForm

Page = Callable[..., str]


@pytest.fixture
def alias(admin: Client) -> ConnectionAlias:
    made = ConnectionAlias(name="partner")
    made.save()
    HttpConnection(name="Partner", connection_alias=made, host="partner.example").save()
    return made


@pytest.fixture
def action(admin: Client) -> Action:
    answer = admin.post(reverse("admin:actions_action_add"), {"name": "Call partner", "description": ""})
    made = Action.objects.get()
    assert answer.headers["Location"] == reverse("admin:actions_action_change", args=[made.pk])
    return made


def editor(action: Action, step: str = "new") -> str:
    return f"{reverse('admin:actions_action_change', args=[action.pk])}?step={step}"


def rest(alias: ConnectionAlias, **changed: Any) -> dict[str, Any]:
    """What a browser sends from the REST step's form."""
    data = {
        "name": "REST",
        "connection": "alias",
        "connection_alias": alias.pk,
        "method": "POST",
        "resource_path": "/things",
        "headers-name": ["Accept", "", "Accept"],
        "headers-value": ["a/b", "", "c/d"],
        "query-name": ["q", "q", ""],
        "query-value": ["1", "2", ""],
        "body": "{}",
    }
    return data | changed


def test_new_action_build_action(page: Page, action: Action) -> None:
    form = page("actions_action_add")
    assert "Action name" in form
    assert "Build action" in form
    assert "Action Outline" in page("actions_action_change", action.pk)


def test_a_rest_step_keeps_duplicates_in_order(admin: Client, action: Action, alias: ConnectionAlias) -> None:
    answer = admin.post(editor(action), rest(alias))
    step = Step.objects.get()
    assert answer.headers["Location"] == editor(action, step.pk)
    assert step.headers == [["Accept", "a/b"], ["Accept", "c/d"]]
    assert step.query == [["q", "1"], ["q", "2"]]
    shown = admin.get(editor(action, step.pk)).content.decode()
    assert 'value="https://partner.example"' in shown
    assert "c/d" in shown


def test_a_step_is_changed_and_deleted(admin: Client, action: Action, alias: ConnectionAlias) -> None:
    admin.post(editor(action), rest(alias))
    step = Step.objects.get()
    admin.post(editor(action, step.pk), rest(alias, **{"headers-name": [], "headers-value": [], "method": "GET"}))
    step.refresh_from_db()
    assert (step.method, step.headers, step.sys_mod_count) == ("GET", [], 1)
    admin.post(editor(action, step.pk), {"_delete_step": "1"})
    assert not Step.objects.exists()


def test_what_is_in_use_says_by_what(admin: Client, action: Action, alias: ConnectionAlias) -> None:
    admin.post(editor(action), rest(alias))
    versions.publish(action)
    removal = reverse("admin:connections_connectionalias_delete", args=[alias.pk])
    selected = {"action": "delete_selected", "_selected_action": alias.pk}
    for answer in (admin.get(removal), admin.post(reverse("admin:connections_connectionalias_changelist"), selected)):
        said = answer.content.decode()
        assert "In use: nothing is deleted" in said
        for what in ("draft", "version 1"):
            assert f'Action: <a href="/actions/action/{action.pk}/change/">Call partner</a>, {what}' in said
    admin.post(removal, {"post": "yes"})
    assert ConnectionAlias.objects.filter(pk=alias.pk).exists()


def test_two_tabs_do_not_write_over_each_others_step(admin: Client, action: Action, alias: ConnectionAlias) -> None:
    admin.post(editor(action), rest(alias, _mod_count="0"))  # a new one carries a count that says nothing
    step = action.draft.get()
    seen = rest(alias, _mod_count="0")
    assert 'name="_mod_count" value="0"' in admin.get(editor(action, step.pk)).content.decode()
    assert admin.post(editor(action, step.pk), seen | {"resource_path": "/one"}).status_code == 302
    stale = admin.post(editor(action, step.pk), seen | {"name": "Two"}).content.decode()
    assert "alice saved this record" in stale and 'name="_mod_count" value="1"' in stale
    assert action.draft.get().resource_path == "/one"


def test_a_secret_header_is_written_and_never_shown(
    admin: Client, page: Page, action: Action, alias: ConnectionAlias
) -> None:
    headers = {"headers-name": ["Authorization", "Accept"], "headers-value": ["geheim 1", "a/b"]}
    admin.post(editor(action), rest(alias, **headers))
    step = Step.objects.get()
    shown = page("actions_action_change", action.pk, step=step.pk)
    assert shown.count('value="********"') == 1
    assert "geheim" not in shown
    assert "geheim" not in str(step.headers)
    masked = {"headers-name": ["Accept", "Authorization"], "headers-value": ["c/d", "********"]}
    admin.post(editor(action, step.pk), rest(alias, **masked))
    step.refresh_from_db()
    assert opened(step.headers) == [("Accept", "c/d"), ("Authorization", "geheim 1")]
    refused = admin.post(editor(action, step.pk), rest(alias, **masked | {"headers-name": ["Accept", "Cookie"]}))
    assert refused.context["form"].errors["headers"] == [
        "Enter the value of Cookie: asterisks stand for a stored one, and there is none."
    ]


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"connection_alias": ""}, "connection_alias", "Choose a connection alias."),
        ({"headers-name": ["Bad name"], "headers-value": ["x"]}, "headers", "“Bad name” cannot be a header's name"),
        ({"headers-name": ["Host"], "headers-value": ["x"]}, "headers", "The MID Server sets Host itself."),
        ({"connection": "inline", "inline_url": "ftp://x"}, "inline_url", "The URL starts with a protocol"),
        ({"resource_path": "/a?b=c"}, "resource_path", "query parameters have a field of their own"),
    ],
)
def test_errors_stand_at_their_fields(
    admin: Client, action: Action, alias: ConnectionAlias, changed: dict[str, Any], field: str, sentence: str
) -> None:
    answer = admin.post(editor(action), rest(alias, **changed))
    assert answer.status_code == 200
    assert set(answer.context["form"].errors) == {field}
    assert sentence in answer.context["form"].errors[field][0]
    assert sentence.replace("'", "&#x27;") in answer.content.decode()
    assert not Step.objects.exists()


def test_the_base_url_of_another_alias(admin: Client, alias: ConnectionAlias) -> None:
    url = reverse("admin:actions_action_base_url")
    assert admin.get(url, {"alias": alias.pk}).json() == {"base_url": "https://partner.example"}
    assert admin.get(url, {"alias": "nobody"}).json() == {"base_url": ""}


def test_run_test_starts_an_execution_and_goes_there(admin: Client, action: Action, alias: ConnectionAlias) -> None:
    admin.post(editor(action), rest(alias))
    url = reverse("admin:actions_action_test", args=[action.pk])
    dialog = admin.get(url).content.decode()
    assert "Run Test" in dialog
    assert "https://partner.example" in dialog
    assert not Execution.objects.exists()
    answer = admin.post(url, {"_form_submitted": "True"})
    execution = Execution.objects.get()
    assert (execution.action, execution.sys_created_by) == (action.pk, "alice")
    assert answer.headers["HX-Redirect"] == reverse("admin:actions_execution_change", args=[execution.pk])
    assert "no MID Server is enrolled" in admin.get(answer.headers["HX-Redirect"]).content.decode().replace("No", "no")


def test_a_step_of_another_action_is_not_found(admin: Client, action: Action, alias: ConnectionAlias) -> None:
    admin.post(editor(action), rest(alias))
    other = Action(name="Other")
    other.save()
    assert admin.get(editor(other, Step.objects.get().pk)).status_code == 404


def test_properties_rename_the_action(admin: Client, action: Action) -> None:
    admin.post(editor(action, "properties"), {"name": "Renamed", "description": "x"})
    action.refresh_from_db()
    assert action.name == "Renamed"


def test_a_steps_options_are_kept_and_what_is_left_empty_is_the_usual(
    admin: Client, action: Action, alias: ConnectionAlias
) -> None:
    options = {
        "retry_count": "3",
        "retry_kind": "fixed",
        "retry_interval": "",
        "retry_max_elapsed": "",
        "retry_statuses": "",
        "retry_any_method": "on",
        "on_failure": "continue",
    }
    admin.post(editor(action), rest(alias, **options))
    step = Step.objects.get()
    assert (step.retry_count, step.retry_kind, step.retry_any_method, step.on_failure) == (3, "fixed", True, "continue")
    assert (step.retry_interval, step.retry_max_elapsed, step.retry_statuses) == (1000, 60_000, [429, 502, 503, 504])
    assert not step.follow_redirects  # a switch that is off is not sent
    shown = admin.get(editor(action, step.pk)).content.decode()
    assert "May be repeated although it was sent" in shown
    assert 'value="429, 502, 503, 504"' in shown


@pytest.mark.parametrize(
    ("typed", "part"), [({"retry_count": "99"}, "when-it-fails"), ({"save_as": "x" * 201}, "answer")]
)
def test_an_error_in_a_folded_part_unfolds_it(
    admin: Client, action: Action, alias: ConnectionAlias, typed: dict[str, str], part: str
) -> None:
    refused = admin.post(editor(action), rest(alias, **typed)).content.decode()
    assert f'id="{part}" open>' in refused
    assert not Step.objects.exists()


def test_failures_are_chosen_among_those_that_there_are(
    admin: Client, page: Page, action: Action, alias: ConnectionAlias
) -> None:
    admin.post(editor(action), rest(alias, retry_count="2", retry_failures=["connection_lost", "tls_failed"]))
    step = Step.objects.get()
    assert step.retry_failures == ["connection_lost", "tls_failed"]
    shown = page("actions_action_change", action.pk, step=step.pk)
    boxes = re.findall(r'<input type="checkbox" name="retry_failures" value="(\w+)"[^>]*?( checked)?>', shown)
    assert [code for code, _ in boxes] == list(BRIEFLY)
    assert [code for code, checked in boxes if checked] == step.retry_failures
    assert "The connection is refused" in shown
    refused = admin.post(editor(action, step.pk), rest(alias, retry_failures=["anything"]))
    assert "anything is not one of the available choices" in refused.context["form"].errors["retry_failures"][0]
    admin.post(editor(action, step.pk), rest(alias))
    step.refresh_from_db()
    assert step.retry_failures == []


def test_a_retry_policy_that_cannot_be_is_refused_on_the_page(
    admin: Client, action: Action, alias: ConnectionAlias
) -> None:
    refused = admin.post(editor(action), rest(alias, retry_count="21", retry_statuses="[200]"))
    assert refused.status_code == 200
    assert "300 to 599" in refused.content.decode()
    assert not Step.objects.exists()


@pytest.mark.parametrize(
    ("dialog", "says"), [("copy", "Name of the copy"), ("publish", "Run Test goes on with the draft")]
)
def test_dialogs_open(admin: Client, action: Action, dialog: str, says: str) -> None:
    page = admin.get(f"/actions/action/{action.pk}/{dialog}/")
    assert (page.status_code, says in page.content.decode()) == (200, True)


def test_every_field_of_a_step_says_what_it_is_for(action: Action) -> None:
    fields = StepPageForm(instance=Step(action=action)).fields
    silent = [name for name, field in fields.items() if not field.help_text]
    assert sorted(silent) == ["outputs", "type"]  # hidden, and a panel with its own sentence


def test_statuses_are_written_as_people_write_them(
    admin: Client, page: Page, action: Action, alias: ConnectionAlias
) -> None:
    admin.post(editor(action), rest(alias, retry_count="2", retry_statuses="429, 503 504"))
    step = Step.objects.get()
    assert step.retry_statuses == [429, 503, 504]
    assert 'value="429, 503, 504"' in page("actions_action_change", action.pk, step=step.pk)
    answer = admin.post(editor(action, step.pk), rest(alias, retry_statuses="often"))
    assert answer.context["form"].errors["retry_statuses"] == [
        "Statuses are a list of numbers from 300 to 599, for example [429, 503]."
    ]


def test_pills_say_where_they_come_from_and_of_which_type(
    admin: Client, action: Action, alias: ConnectionAlias
) -> None:
    action.inputs = [{"name": "order", "type": "integer"}]
    action.save()
    outputs = {
        "outputs-name": "id",
        "outputs-source": "json_path",
        "outputs-expression": "$.id",
        "outputs-type": "number",
    }
    admin.post(editor(action), rest(alias, name="First", save_as="a.pdf", **outputs))
    pills = admin.get(editor(action)).context["pills"]
    assert pills[0] == ("Inputs", [("order", "{{inputs.order}}", "integer")])
    (name, found) = pills[1]
    assert (name, found[0]) == ("First", ("id", "{{steps.First.outputs.id}}", "number"))
    assert ("Attachment", "{{steps.First.attachment}}", "attachment") in found
    first = Step.objects.get()
    assert [group for group, _ in admin.get(editor(action, first.pk)).context["pills"]] == ["Inputs"]


def test_the_test_dialog_marks_what_is_mandatory(admin: Client, action: Action, alias: ConnectionAlias) -> None:
    action.inputs = [{"name": "order", "mandatory": True}, {"name": "note"}]
    action.save()
    dialog = admin.get(reverse("admin:actions_action_test", args=[action.pk])).content.decode()
    assert "order *" in dialog
    assert "note *" not in dialog
    assert dialog.count('aria-required="true"') == 1

"""Publishing and copying actions, and taking a version back into the draft."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max

from openmid.instance.actions import references
from openmid.instance.actions.models import Action, ActionVersion, Step
from openmid.instance.errors import InstanceError


class NotPublishedError(InstanceError):
    """Raised when a draft cannot be published; says why."""


def publish(action: Action) -> ActionVersion:
    """Make the draft the next version: what `execute` runs from now on.

    Raises:
        NotPublishedError: it has no steps, or a data pill that means nothing.
    """
    problems = references.of_action(action)
    if problems:
        raise NotPublishedError(
            f"{action} cannot be published: {problems[0].rstrip('.')}", "mend the step, then publish again"
        )
    if not action.draft.exists():
        raise NotPublishedError(f"{action} cannot be published: it has no steps", "add one")
    with transaction.atomic():
        number = (action.versions.aggregate(last=Max("number"))["last"] or 0) + 1
        version = ActionVersion(action=action, number=number, inputs=action.inputs, outputs=action.outputs)
        version.save()
        _copy_steps(list(action.draft), action, version)
        action.published = version
        action.save()
    return version


def copy(action: Action, name: str) -> Action:
    """A new action with the draft's content; not published.

    Raises:
        ValidationError: the name.
    """
    made = Action(name=name, description=action.description, inputs=action.inputs, outputs=action.outputs)
    made.full_clean()
    with transaction.atomic():
        made.save()
        _copy_steps(list(action.draft), made, None)
    return made


def restore(action: Action, number: int) -> ActionVersion:
    """Make a version's content the draft. What runs stays the published version.

    Raises:
        NotPublishedError: there is no such version.
    """
    version = action.versions.filter(number=number).first()
    if version is None:
        raise NotPublishedError(f"{action} has no version {number}", "look at its versions")
    with transaction.atomic():
        action.draft.delete()
        action.inputs, action.outputs = version.inputs, version.outputs
        action.save()
        _copy_steps(list(version.steps.all()), action, None)
    return version


def is_changed(action: Action) -> bool:
    """Whether the draft differs from what is published."""
    version = action.published
    if version is None:
        return True
    if (version.inputs, version.outputs) != (action.inputs, action.outputs):
        return True
    return [_content(step) for step in version.steps.all()] != [_content(step) for step in action.draft]


_OWN = frozenset({"sys_id", "action", "version", "order"})


def _content(step: Step) -> dict[str, object]:
    return {
        field.name: field.value_from_object(step)
        for field in Step._meta.concrete_fields
        if field.name not in _OWN and not field.name.startswith("sys_")
    }


def _copy_steps(steps: list[Step], action: Action, version: ActionVersion | None) -> None:
    for order, step in enumerate(steps, start=1):
        made = Step(action=action, version=version, order=order)
        for field in Step._meta.concrete_fields:
            if field.name not in _OWN and not field.name.startswith("sys_"):
                setattr(made, field.attname, getattr(step, field.attname))
        made.save()

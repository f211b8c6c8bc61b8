"""Whether the data pills of a step mean something: inputs that the action has, steps that come before."""

from __future__ import annotations

from collections.abc import Iterator

from openmid.instance.actions import pills
from openmid.instance.actions.models import Action, ActionVersion, Step

OF_A_PART = ("value", "attachment", "file_name")
PLACES = ("resource_path", "headers", "query", "body", "form", "parts", "attachment")


def texts(step: Step) -> Iterator[tuple[str, str]]:
    """(field, text) of all that may hold pills."""
    for field in PLACES:
        value = getattr(step, field)
        if isinstance(value, str):
            yield field, value
            continue
        for each in value:
            for text in [each.get(name, "") for name in OF_A_PART] if isinstance(each, dict) else each[1:]:
                yield field, str(text)


def literals(step: Step) -> Iterator[tuple[str, str]]:
    """(field, text) of all that is sent as it stands, and where people look for pills."""
    for field in ("inline_url", "soap_action", "save_as"):
        yield field, getattr(step, field)
    for field in ("query", "form"):
        yield from ((field, str(name)) for name, _ in getattr(step, field))
    for part in step.parts:
        yield from (("parts", str(part.get(name, ""))) for name in ("name", "content_type"))


def problems(step: Step, inputs: list[str], before: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(field, sentence) for each pill that means nothing. `before`: the outputs of the steps that come before, by name."""
    found = [
        (field, f"“{text[:80]}”: data pills are not filled in here.")
        for field, text in literals(step)
        if pills.has_pills(text)
    ]
    for field, text in texts(step):
        try:
            found += [(field, said) for pill in pills.pills(text) if (said := _problem(pill, inputs, before))]
        except pills.PillError as error:
            found.append((field, f"{error}: {error.hint}."))
    return found


def _problem(pill: pills.Pill, inputs: list[str], before: dict[str, list[str]]) -> str:
    if pill.field == "input":
        known = ", ".join(inputs) or "none"
        return "" if pill.name in inputs else f"{{{{{pill.text}}}}}: the action has no such input; it has {known}."
    if pill.step not in before:
        known = ", ".join(before) or "none"
        return f"{{{{{pill.text}}}}}: no step before this one is named {pill.step}; before it: {known}."
    if pill.field == "outputs" and pill.name not in before[pill.step]:
        known = ", ".join(before[pill.step]) or "none"
        return f"{{{{{pill.text}}}}}: step {pill.step} has no such output; it has {known}."
    return ""


def of_step(step: Step) -> list[tuple[str, str]]:
    """(field, sentence) for one step of a draft, which may not be saved yet."""
    before = {
        each.name: output_names(each)
        for each in step.action.draft.filter(order__lt=step.order).exclude(pk=step.pk).order_by("order")
    }
    return problems(step, input_names(step.action), before)


def of_action(action: Action) -> list[str]:
    """One sentence for each pill of a draft that means nothing, in its steps and its outputs."""
    before: dict[str, list[str]] = {}
    found = []
    for step in action.draft:
        found += [f"Step {step.name}, {field}: {said}" for field, said in problems(step, input_names(action), before)]
        before[step.name] = output_names(step)
    return found + of_outputs(action)


def of_outputs(action: Action) -> list[str]:
    """One sentence for each pill of the action's outputs that means nothing."""
    before = {step.name: output_names(step) for step in action.draft}
    found = []
    for output in action.outputs:
        try:
            said = [_problem(pill, input_names(action), before) for pill in pills.pills(output["value"])]
        except pills.PillError as error:
            said = [f"{error}: {error.hint}."]
        found += [f"Output {output['name']}: {each}" for each in said if each]
    return found


def input_names(action: Action | ActionVersion) -> list[str]:
    """The names of an action's inputs."""
    return [each["name"] for each in action.inputs]


def output_names(step: Step) -> list[str]:
    """The names of what a step reads from its answer."""
    return [each["name"] for each in step.outputs]


def follow_rename(step: Step, old: str) -> None:
    """Let the other texts of the draft say the step's new name, where only it had the old one."""
    others = list(step.action.draft.exclude(pk=step.pk))
    if old == step.name or any(each.name == old for each in others):
        return
    for each in others:
        _rename(each, old, step.name)
    action = step.action
    changed = [{**each, "value": pills.renamed(each["value"], old, step.name)} for each in action.outputs]
    if changed != action.outputs:
        action.outputs = changed
        action.save()


def _rename(step: Step, old: str, new: str) -> None:
    before = {field: getattr(step, field) for field in PLACES}
    after = {field: _deep(value, old, new) for field, value in before.items()}
    if after != before:
        for field, value in after.items():
            setattr(step, field, value)
        step.save()


def _deep(value: object, old: str, new: str) -> object:
    if isinstance(value, str):
        return pills.renamed(value, old, new)
    if isinstance(value, list):
        return [_deep(each, old, new) for each in value]
    return {key: _deep(each, old, new) for key, each in value.items()} if isinstance(value, dict) else value

"""Notices what people change: records, users and their roles, and who signs in. Heartbeats and the queue are no people."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save

from openmid.instance.audit import trail
from openmid.instance.audit.models import Event
from openmid.instance.records import header_secrets
from openmid.instance.records.base import SYS_COLUMNS, Record
from openmid.instance.records.header_secrets import HeadersField
from openmid.instance.records.secrets import EncryptedField

SECRET = frozenset({"password", "token_hash", "credential_hash", "previous_credential_hash", "totp_secret"})
OF_ITSELF = ("configuration", "proof_asked", "log_tail", "load", "processes")
UNSEEN = frozenset({*SYS_COLUMNS, *OF_ITSELF, "last_login", "date_joined"})
BEFORE = "_openmid_audit_before"
CHANGED, SET = "(changed)", "(set)"


def watch() -> None:
    """From now on."""
    for signal, receiver in (
        (pre_save, _before),
        (post_save, _after),
        (post_delete, _deleted),
        (m2m_changed, _members),
        (user_logged_in, _signed_in),
        (user_logged_out, _signed_out),
        (user_login_failed, _failed),
    ):
        signal.connect(receiver, dispatch_uid=f"audit {receiver.__name__}")


def tables() -> list[str]:
    """The tables whose changes are noted."""
    return sorted(model._meta.db_table for model in apps.get_models() if _audited(model))


def _audited(model: type[models.Model]) -> bool:
    return issubclass(model, (Record, User))


def _before(sender: type[models.Model], instance: models.Model, raw: bool = False, **_: Any) -> None:
    if _audited(sender) and not instance._state.adding and not raw:
        setattr(instance, BEFORE, sender._base_manager.filter(pk=instance.pk).values().first())


def _after(sender: type[models.Model], instance: models.Model, created: bool, raw: bool = False, **_: Any) -> None:
    if not _audited(sender) or raw:
        return
    before = {} if created else instance.__dict__.pop(BEFORE, None) or {}
    changes = {}
    for field in sender._meta.concrete_fields:
        if field.name not in UNSEEN:
            old, new = before.get(field.attname), getattr(instance, field.attname)
            if _plain(field, old) != _plain(field, new):
                changes[field.name] = _pair(field, old, new)
    if changes:
        event = Event.INSERT if created else Event.UPDATE
        trail.note_changes(event, sender._meta.db_table, str(instance.pk), str(instance), changes)


def _plain(field: models.Field[Any, Any], value: Any) -> str:
    if value is None or value == field.get_default() == "":
        return ""
    return str(field.to_python(value)) if not isinstance(field, EncryptedField) else str(value)


def _pair(field: models.Field[Any, Any], old: Any, new: Any) -> tuple[str, str]:
    if field.name in SECRET or isinstance(field, EncryptedField):
        return ("", SET) if not old else (CHANGED, CHANGED if new else "(removed)")
    if isinstance(field, HeadersField):
        before, after = (str(header_secrets.masked_where_sealed(each or [])) for each in (old, new))
        return before, f"{after} {CHANGED}" if after == before else after
    return _plain(field, old), _plain(field, new)


def _deleted(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    if _audited(sender):
        trail.note(Event.DELETE, table=sender._meta.db_table, key=str(instance.pk), display=str(instance))


def _members(instance: Any, action: str, model: Any, pk_set: Any, sender: Any, reverse: bool, **_: Any) -> None:
    """Roles of a user, MID Servers of a profile: many-to-many columns."""
    if reverse or not _audited(type(instance)) or action not in ("post_add", "post_remove", "pre_clear"):
        return
    name = next((each.name for each in instance._meta.many_to_many if each.remote_field.through is sender), "")
    if action == "pre_clear":
        names = [str(each) for each in getattr(instance, name).all()]
    else:
        names = [str(each) for each in model._base_manager.filter(pk__in=pk_set or ())]
    if names:
        text = ", ".join(sorted(names))
        pair = ("", text) if action == "post_add" else (text, "")
        trail.note_changes(Event.UPDATE, instance._meta.db_table, str(instance.pk), str(instance), {name: pair})


def _signed_in(user: Any, **_: Any) -> None:
    trail.note(Event.SIGN_IN, user=user.get_username())


def _signed_out(user: Any, **_: Any) -> None:
    if user is not None:
        trail.note(Event.SIGN_OUT, user=user.get_username())


def _failed(credentials: dict[str, Any], **_: Any) -> None:
    trail.note(Event.SIGN_IN_FAILED, user=str(credentials.get("username", "")) or "nobody")

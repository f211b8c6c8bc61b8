"""Who is disabled has no session: none that is only asleep until he is let in again."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models.signals import post_save


def watch() -> None:
    """From now on."""
    post_save.connect(_saved, sender=User, dispatch_uid="sessions of the disabled")


def _saved(instance: User, raw: bool = False, **_: Any) -> None:
    if not instance.is_active and not raw:
        end(instance)


def end(user: User) -> int:
    """End every session of `user`. Returns how many there were."""
    own = [each for each in Session.objects.all() if each.get_decoded().get(SESSION_KEY) == str(user.pk)]
    for each in own:
        each.delete()
    return len(own)

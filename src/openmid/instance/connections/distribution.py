"""What a MID Server is given: the profiles that apply to it, their passwords sealed to its key, and nothing else."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.signals import m2m_changed, post_delete, post_save

from openmid.instance.connections.models import MidProtocolProfile
from openmid.instance.mid.models import MidServer
from openmid.instance.records.secrets import reveal
from openmid.instance.records.wakeups import wakeups
from openmid.wire.messages import ConfigurationAnswer, Profile
from openmid.wire.sealing import SealedFor, seal


def configuration(mid_sys_id: str) -> ConfigurationAnswer:
    """The configuration of one MID Server.

    Raises:
        SecretError: a stored password does not open.
        MidServer.DoesNotExist: it was deleted.
    """
    mid = MidServer.objects.get(pk=mid_sys_id)  # before the profiles: a change after this has a newer number
    applies = Q(applies_to=MidProtocolProfile.AppliesTo.ALL) | Q(mid_list=mid)
    profiles = MidProtocolProfile.objects.filter(applies).distinct()
    return ConfigurationAnswer(str(mid.configuration), [_sealed(profile, mid) for profile in profiles])


def _sealed(profile: MidProtocolProfile, mid: MidServer) -> Profile:
    password = reveal(profile, "password")
    bound = SealedFor(mid=mid.sys_id, table="mid_protocol_profile", record=profile.sys_id, column="password")
    return Profile(
        sys_id=profile.sys_id,
        protocol=profile.protocol,
        keystore_path=profile.keystore_path,
        password=seal(password, mid.public_key, bound) if password else "",
        default_port=profile.default_port,
    )


def _changed(**_: Any) -> None:
    """A profile changed: every MID Server's configuration may have."""
    MidServer.objects.update(configuration=F("configuration") + 1)
    transaction.on_commit(wakeups.wake_all)


def watch() -> None:
    """Notice changes of profiles from now on."""
    for signal, sender in (
        (post_save, MidProtocolProfile),
        (post_delete, MidProtocolProfile),
        (m2m_changed, MidProtocolProfile.mid_list.through),
    ):
        signal.connect(_changed, sender=sender, dispatch_uid=f"configuration of MID Servers {id(signal)}")

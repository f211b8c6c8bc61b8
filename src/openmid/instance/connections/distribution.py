"""What a MID Server is given: the profiles that apply to it and the credentials of the connections that it may serve,
their secrets sealed to its key, and nothing else."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Model, Q
from django.db.models.signals import m2m_changed, post_delete, post_save

from openmid.instance.connections.credentials import KINDS
from openmid.instance.connections.models import HttpConnection, MidProtocolProfile
from openmid.instance.mid.models import ClusterMember, MidServer
from openmid.instance.records.listening import wake_everybody_after_commit
from openmid.instance.records.secrets import reveal
from openmid.wire.messages import CREDENTIAL_SECRETS, ConfigurationAnswer, Credential, Profile
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
    number = str(mid.configuration)
    return ConfigurationAnswer(number, [_sealed(profile, mid) for profile in profiles], credentials(mid))


def credentials(mid: MidServer) -> list[Credential]:
    """The active credentials of the connections whose calls `mid` may make, each sealed to its key."""
    own = Q(connections__mid_selection=HttpConnection.MidSelection.AUTO)
    own |= Q(connections__mid_server=mid) | Q(connections__mid_cluster__members__mid_server=mid)
    profile = Q(connections__mid_protocol_profile=None) | Q(connections__mid_protocol_profile__mid_list=mid)
    profile |= Q(connections__mid_protocol_profile__applies_to=MidProtocolProfile.AppliesTo.ALL)
    needed = Q(active=True, connections__active=True) & own & profile
    return [_credential(each, mid) for kind in KINDS for each in kind.objects.filter(needed).distinct()]


def _credential(credential: Any, mid: MidServer) -> Credential:
    table, column = CREDENTIAL_SECRETS[credential.type]
    bound = SealedFor(mid=mid.sys_id, table=table, record=credential.sys_id, column=column)
    own = {
        "basic": lambda: {"user_name": credential.user_name},
        "api_key": lambda: {"place": credential.place, "name": credential.parameter},
        "oauth": lambda: {
            "user_name": credential.client_id,
            "token_url": credential.token_url,
            "scope": credential.scope,
            "ca_certificates": credential.ca_certificates,
        },
    }[credential.type]()
    return Credential(
        credential.sys_id,
        credential.type,
        seal(reveal(credential, column), mid.public_key, bound),
        external_credential_store=credential.external_credential_store,
        **own,
    )


def _sealed(profile: MidProtocolProfile, mid: MidServer) -> Profile:
    password = reveal(profile, "password")
    bound = SealedFor(mid=mid.sys_id, table="mid_protocol_profile", record=profile.sys_id, column="password")
    return Profile(
        sys_id=profile.sys_id,
        protocol=profile.protocol,
        keystore_path=profile.keystore_path,
        password=seal(password, mid.public_key, bound) if password else "",
        default_port=profile.default_port,
        external_credential_store=profile.external_credential_store,
        alias=profile.alias,
    )


def _changed(**_: Any) -> None:
    """Something changed: every MID Server's configuration may have. What they said of their profiles is out of date."""
    MidServer.objects.update(configuration=F("configuration") + 1, profiles_not_loaded="")
    wake_everybody_after_commit()


def watch() -> None:
    """Notice changes of profiles, credentials, and who needs them, from now on."""
    watched: list[type[Model]] = [MidProtocolProfile, *KINDS, ClusterMember]
    for model in watched:
        for signal in (post_save, post_delete):
            signal.connect(_changed, sender=model, dispatch_uid=f"configuration {id(signal)} {model.__name__}")
    for signal in (post_save, post_delete):
        signal.connect(_connection, sender=HttpConnection, dispatch_uid=f"configuration {id(signal)} connections")
    m2m_changed.connect(_changed, sender=MidProtocolProfile.mid_list.through, dispatch_uid="configuration, MID Servers")


def _connection(instance: HttpConnection, **_: Any) -> None:
    """Only credentials make a connection matter to MID Servers. One that lost its credential is of no hurry."""
    if instance.credential_id:
        _changed()

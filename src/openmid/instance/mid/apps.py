from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete


class MidConfig(AppConfig):
    name = "openmid.instance.mid"
    label = "mid"
    verbose_name = "MID Servers"

    def ready(self) -> None:
        post_delete.connect(_deleted, sender="mid.MidServer", dispatch_uid="MID Servers that are deleted")


def _deleted(**_: Any) -> None:
    """What a deleted MID Server holds is answered, and its jobs end."""
    from openmid.instance.records.listening import wake_everybody_after_commit

    wake_everybody_after_commit()

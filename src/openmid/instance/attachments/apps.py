"""Django's entry for this app."""

from __future__ import annotations

from django.apps import AppConfig


class AttachmentsConfig(AppConfig):
    name = "openmid.instance.attachments"
    label = "attachments"

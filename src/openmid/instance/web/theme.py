"""What the pages look like: django-unfold's settings. Imported by `openmid.instance.settings`, so it imports no models."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {"SITE_TITLE": "openmid", "SITE_HEADER": "openmid"}

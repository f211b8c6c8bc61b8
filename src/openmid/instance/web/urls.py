from __future__ import annotations

from django.urls import path

from openmid.instance.web import (  # noqa: F401
    aliases,
    attachments,
    audit,
    clusters,
    credentials,
    executions,
    http_connections,
    issues,
    mid_servers,
    people,
    profiles,
    studio,
)
from openmid.instance.web.site import site

urlpatterns = [path("", site.urls)]

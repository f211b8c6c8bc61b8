from __future__ import annotations

from django.urls import path

from openmid.instance.web import aliases, executions, http_connections, mid_servers, people, profiles, studio  # noqa: F401
from openmid.instance.web.site import site

urlpatterns = [path("", site.urls)]

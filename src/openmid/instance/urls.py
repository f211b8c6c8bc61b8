"""Django's side of the instance: the Table API and its neighbours, then the pages."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("openmid.instance.table_api.urls")),
    path("", include("openmid.instance.web.urls")),
]

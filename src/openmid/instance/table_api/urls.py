"""The URLs of the Table API and its neighbours."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from openmid.instance.table_api import actions, mid_servers, views


@csrf_exempt
def nothing_here(request: HttpRequest) -> JsonResponse:
    """404 in the API's shape."""
    detail = f"there is nothing at {request.path}"
    return JsonResponse({"error": {"message": "Not Found", "detail": detail}, "status": "failure"}, status=404)


urlpatterns = [
    re_path(r"^api/now(?:/v[12])?/table/(?P<table>\w+)/?$", views.records),
    re_path(r"^api/now(?:/v[12])?/table/(?P<table>\w+)/(?P<sys_id>\w+)/?$", views.record),
    path("api/v1/actions", actions.actions),
    path("api/v1/actions/<str:name>", actions.action),
    re_path(r"^api/v1/actions/(?P<name>[^/]+)/(?P<verb>publish|copy|restore)$", actions.verb),
    path("api/v1/actions/<str:name>/versions", actions.all_versions),
    re_path(
        r"^api/v1/mid-servers/(?P<name>[\w.-]+)/(?P<verb>validate|invalidate|rekey|prove|pause|resume|restart)$",
        mid_servers.mid_server,
    ),
    re_path(r"^api/", nothing_here),
]

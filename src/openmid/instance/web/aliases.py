"""Connection & Credential Aliases, with their Connections tab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from openmid.instance.actions.models import Step
from openmid.instance.connections.forms import ConnectionAliasForm
from openmid.instance.connections.models import ConnectionAlias, HttpConnection
from openmid.instance.web.labels import flag
from openmid.instance.web.meanwhile import MeanwhileForm
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import Admin

if TYPE_CHECKING:

    class BaseDataset:
        """A list on a form's tab."""

        request: HttpRequest
        extra_context: dict[str, Any]
        contents: str
else:
    from unfold.datasets import BaseDataset

CONNECTIONS_TAB = "#dataset-httpconnection"


class ConnectionAliasPageForm(MeanwhileForm, ConnectionAliasForm):
    """The alias's form as a page."""

    class Meta(ConnectionAliasForm.Meta):
        help_texts: ClassVar = {
            "name": "What actions and calls say instead of a host: letters, digits and underscores.",
            "type": "A connection, and the credential that it names.",
            "connection_type": "REST and SOAP steps call over HTTP.",
        }


class ConnectionRows(Admin):
    """The rows of the Connections tab."""

    list_display = ("name", "connection_url", "is_active", "mid_protocol_profile", "sys_updated_on")
    list_display_links = ("name",)
    list_select_related = ("mid_protocol_profile",)
    sortable_by = ()
    extra_context: dict[str, Any]

    def get_queryset(self, request: HttpRequest) -> QuerySet[HttpConnection]:
        return super().get_queryset(request).filter(connection_alias=self.extra_context.get("object"))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    @admin.display(description="Active")
    def is_active(self, connection: HttpConnection) -> SafeString:
        return flag(connection.active, "Active", "Inactive")


class ConnectionsTab(BaseDataset):
    """The Connections tab: the alias's connections, and New."""

    model = HttpConnection
    model_admin = ConnectionRows
    tab = True
    title = "Connections"

    @property
    def contents(self) -> str:  # type: ignore[override]  # a property in unfold, too
        add = reverse("admin:connections_httpconnection_add")
        context = {"new": f"{add}?connection_alias={self.extra_context['object']}"}
        head = render_to_string("openmid/connections_tab.html", context, request=self.request)
        return mark_safe(head + super().contents)  # noqa: S308  (two rendered templates)


def using(aliases: Any) -> list[SafeString]:
    """The actions with steps on any of `aliases`, with what of them it is: the draft, or which version."""
    steps = Step.objects.filter(connection_alias__in=aliases).select_related("action", "version")
    where = dict.fromkeys(
        (each.action, f"version {each.version.number}" if each.version else "draft") for each in steps
    )
    return [
        format_html('Action: <a href="{}">{}</a>, {}', reverse("admin:actions_action_change", args=[it.pk]), it, of)
        for it, of in where
    ]


@admin.register(ConnectionAlias, site=site)
class ConnectionAliasAdmin(Admin):
    """The Connection & Credential Aliases form and list."""

    form = ConnectionAliasPageForm
    list_display = ("name", "connection_type", "connection_url", "sys_updated_on", "sys_updated_by")
    search_fields = ("name",)
    fieldsets: ClassVar = [(None, {"fields": ["name", "type", "connection_type"]})]

    def get_changeform_datasets(self, request: HttpRequest) -> list[type[BaseDataset]]:
        """The Connections tab appears once there is an alias that connections can belong to."""
        match = request.resolver_match
        return [ConnectionsTab] if match and "object_id" in match.kwargs else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConnectionAlias]:
        return super().get_queryset(request).prefetch_related("connections")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What uses an alias are steps; their names alone lead nowhere, so their actions stand for them."""
        *others, protected = super().get_deleted_objects(objs, request)
        return (*others, using(objs) if protected else protected)

    @admin.display(description="Connection URL")
    def connection_url(self, alias: ConnectionAlias) -> str:
        active = [connection.connection_url for connection in alias.connections.all() if connection.active]
        return active[0] if active else "no active connection"

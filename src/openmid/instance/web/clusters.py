"""MID Server > Clusters, and what selection asks for: capabilities, applications, IP ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from openmid.instance.mid.models import ClusterMember, IpRange, MidApplication, MidCapability, MidCluster
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import Admin

if TYPE_CHECKING:
    from django.contrib.admin import TabularInline as Rows
else:
    from unfold.admin import TabularInline as Rows


class Members(Rows):  # type: ignore[type-arg]
    """The members of a cluster, in their order."""

    model = ClusterMember
    fields = ("mid_server", "order")
    extra = 1
    hide_title = True

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """A row's fields have no labels but the columns' heads, which are none to a screen reader."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None:
            field.widget.attrs["aria-label"] = field.label
        return field


@admin.register(MidCluster, site=site)
class MidClusterAdmin(Admin):
    """Clusters with their members."""

    list_display = ("name", "cluster_type", "member_names")
    search_fields = ("name",)
    inlines = (Members,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[MidCluster]:
        return super().get_queryset(request).prefetch_related("members__mid_server")

    @admin.display(description="Members")
    def member_names(self, cluster: MidCluster) -> str:
        return ", ".join(str(each.mid_server) for each in cluster.members.all())


@admin.register(MidCapability, MidApplication, site=site)
class NamedAdmin(Admin):
    """Capabilities and applications."""

    list_display = ("name", "description")
    search_fields = ("name",)


@admin.register(IpRange, site=site)
class IpRangeAdmin(Admin):
    """IP ranges."""

    list_display = ("name", "type", "range")
    search_fields = ("name", "range")

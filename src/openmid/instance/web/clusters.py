"""MID Server > Clusters, and what selection asks for: capabilities, applications, IP ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

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


@admin.register(MidCluster, site=site)
class MidClusterAdmin(Admin):
    """Clusters with their members."""

    list_display = ("name", "cluster_type", "member_names")
    search_fields = ("name",)
    inlines = (Members,)

    @admin.display(description="Members")
    def member_names(self, cluster: MidCluster) -> str:
        return ", ".join(str(each.mid_server) for each in cluster.members.select_related("mid_server"))


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

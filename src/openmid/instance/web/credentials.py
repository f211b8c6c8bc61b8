"""Credentials: one list, and a form for each kind. Secrets come in and never go out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from openmid.instance.connections.credentials import KINDS, Credential
from openmid.instance.connections.forms import OWN_FIELDS, CredentialForm
from openmid.instance.web.meanwhile import MeanwhileForm
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import Admin, PasswordWidget

HELP = {
    "name": "For people, and for the connections that use it.",
    "user_name": "As the partner knows it.",
    "place": "Where the partner looks for the key. In a query it stands in the partner's logs: prefer the header.",
    "parameter": "For example X-API-Key.",
    "client_id": "As the authorization server knows this client.",
    "scope": "Separated by spaces; empty: what the authorization server gives without being asked.",
}


class KindForm(MeanwhileForm, CredentialForm):
    """A kind's form as a page."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in HELP.keys() & self.fields.keys():
            self.fields[name].help_text = HELP[name]
        field = self.fields.get(self.instance.SECRET)
        if field is not None:
            field.widget = PasswordWidget(attrs={"autocomplete": "new-password"})
            if not self.instance._state.adding:
                field.widget.attrs["placeholder"] = "Stored. Leave empty to keep it."


class KindAdmin(Admin):
    """Credentials of one kind."""

    form = KindForm
    list_display = ("name", "active", "sys_updated_on", "sys_updated_by")
    search_fields = ("name",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["name", "active", "external_credential_store", *OWN_FIELDS[self.model.TYPE]]

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """The magnifying glass hands over the name instead of a sys_id."""
        return to_field == "name" or super().to_field_allowed(request, to_field)


for kind in KINDS:
    admin.register(kind, site=site)(KindAdmin)


@admin.register(Credential, site=site)
class CredentialAdmin(Admin):
    """All credentials; a record opens on the form of its kind."""

    list_display = ("name", "type", "active", "sys_updated_on", "sys_updated_by")
    search_fields = ("name",)
    list_filter = ("type", "active")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """New ones are made in the list of their kind."""
        return False

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """The magnifying glass hands over the name instead of a sys_id."""
        return to_field == "name" or super().to_field_allowed(request, to_field)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        for each in KINDS:
            if each.objects.filter(pk=object_id).exists():
                url = reverse(f"admin:connections_{each._meta.model_name}_change", args=[object_id])
                return HttpResponseRedirect(url)
        return super().change_view(request, object_id, form_url, extra_context)

"""The HTTP(s) Connection form. Fields appear as they apply; hidden ones count as empty."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from openmid.instance.connections.credentials import Credential
from openmid.instance.connections.forms import HttpConnectionForm
from openmid.instance.connections.models import HttpConnection, MidProtocolProfile
from openmid.instance.web.aliases import CONNECTIONS_TAB
from openmid.instance.web.meanwhile import MeanwhileForm
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import Admin
from openmid.instance.web.unfolded import action as unfold_action
from openmid.instance.web.widgets import PairsField, PairsWidget, ReferenceWidget

SHOWN_WHEN: dict[str, str] = {
    "mid_protocol_profile": "mutual_auth",
    "host": "url_builder",
    "port": "url_builder",
    "base_path": "url_builder",
    "mid_selection": "use_mid",
    "mid_server": "use_mid && mid_selection === 'specific_mid_server'",
    "mid_cluster": "use_mid && mid_selection === 'specific_mid_cluster'",
    "application": "use_mid && mid_selection !== 'specific_mid_server'",
    "capabilities": "use_mid && mid_selection !== 'specific_mid_server'",
    "require_fips": "use_mid",
}


UNSEEN = {"mutual_auth": ("mid_protocol_profile",), "url_builder": ("host", "port", "base_path")}
"""What is typed into, and is hidden while the switch is off."""


class HttpConnectionPageForm(MeanwhileForm, HttpConnectionForm):
    """The connection's form as a page: the profile by its name, and what is not shown does not count."""

    mid_protocol_profile = forms.ModelChoiceField(
        MidProtocolProfile.objects.all(),
        label="MID protocol profile",
        required=False,
        to_field_name="protocol",
        widget=ReferenceWidget(HttpConnection._meta.get_field("mid_protocol_profile").remote_field, site, "protocol"),
        help_text="The profile has the keystore with the client certificate. The magnifying glass lists them all.",
        error_messages={"invalid_choice": "There is no MID Protocol Profile of this name."},
    )

    credential = forms.ModelChoiceField(
        Credential.objects.all(),
        label="Credential",
        required=False,
        to_field_name="name",
        widget=ReferenceWidget(
            HttpConnection._meta.get_field("credential").remote_field, site, "name", "Look up credentials"
        ),
        help_text="Basic, API key or OAuth 2.0. The magnifying glass lists them all. Empty: none.",
        error_messages={"invalid_choice": "There is no credential of this name."},
    )
    additional_http_headers = PairsField(
        "Additional HTTP headers",
        "Sent with every call of this connection, unless a step sets the same header. The value of a secret one "
        "(Authorization, Cookie, X-Api-Key, …) is stored encrypted and never shown again.",
    )

    class Meta(HttpConnectionForm.Meta):
        labels: ClassVar = {"port": "Port override", "require_fips": "Require FIPS Enforced MID Server"}
        help_texts: ClassVar = {
            "name": "For people: actions name the alias.",
            "connection_alias": "Actions call through it, whichever of its connections is active.",
            "mutual_auth": "The partner demands a client certificate: the MID protocol profile says which.",
            "use_mid": "Always on: the instance itself calls no partner.",
            "host": "The partner's name or address as the MID Server reaches it, without scheme, port or path.",
            "port": "Empty: the profile's Default Port, or 443 without Mutual authentication.",
            "base_path": "In front of every step's resource path, for example /api/v1.",
            "connection_url": "Filled in from profile, host, port and base path while URL builder is on.",
            "mid_selection": "Auto-select takes one that fits and is least busy. A specific MID Server never fails over; "
            "a cluster does, as it says.",
            "mid_server": "Every call goes through this one, and never through another.",
            "mid_cluster": "One of its members makes each call.",
            "ca_certificates": "PEM, one after the other: only these are trusted for the partner's certificate. Empty: "
            "the authorities that the MID Server's system trusts.",
            "connect_timeout": "To the open TCP connection. 0: only the whole call has a limit.",
            "tls_timeout": "For the TLS handshake. 0: only the whole call has a limit.",
            "first_byte_timeout": "From the request to the head of the answer. 0: only the whole call has a limit.",
        }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.instance.mid_protocol_profile_id:
            self.initial["mid_protocol_profile"] = self.instance.mid_protocol_profile
        if self.instance.credential_id:
            self.initial["credential"] = self.instance.credential
        if "additional_http_headers" in self.fields:
            cast("PairsWidget", self.fields["additional_http_headers"].widget).name_label = "Header name"
        if "ca_certificates" in self.fields:
            self.fields["ca_certificates"].widget.attrs |= {"rows": 6, "spellcheck": "false"}
            self.fields["ca_certificates"].widget.attrs["class"] += " om-mono"
        if "connection_url" in self.fields:
            self.fields["connection_url"].widget.attrs |= {
                "x-bind:readonly": "url_builder",
                "data-default-port": reverse("admin:connections_midprotocolprofile_default_port"),
            }

    def _clean_fields(self) -> None:
        """What is wrong with a field that is not shown could not be mended: it keeps what is stored."""
        super()._clean_fields()
        for switch in [switch for switch in UNSEEN if not self.cleaned_data.get(switch)]:
            for name in [name for name in UNSEEN[switch] if name in self.fields]:
                self.errors.pop(name, None)
                self.cleaned_data[name] = getattr(self.instance, name)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not cleaned.get("mutual_auth"):
            cleaned["mid_protocol_profile"] = None
        if cleaned.get("mid_selection") != HttpConnection.MidSelection.SPECIFIC:
            cleaned["mid_server"] = None
        if cleaned.get("mid_selection") != HttpConnection.MidSelection.CLUSTER:
            cleaned["mid_cluster"] = None
        return cleaned


@admin.register(HttpConnection, site=site)
class HttpConnectionAdmin(Admin):
    """HTTP(s) Connections: reached from their alias, and going back there."""

    form = HttpConnectionPageForm
    list_display = ("name", "connection_alias", "connection_url", "active")
    search_fields = ("name", "connection_url")
    conditional_fields = SHOWN_WHEN
    actions_detail = ("back_to_alias",)
    fieldsets: ClassVar = [
        (
            None,
            {
                "fields": [
                    "name",
                    "connection_alias",
                    "active",
                    "url_builder",
                    "mutual_auth",
                    "use_mid",
                    "mid_protocol_profile",
                    "host",
                    "port",
                    "base_path",
                    "connection_url",
                ]
            },
        ),
        (
            "MID Server and security",
            {
                "fields": [
                    "mid_selection",
                    "mid_server",
                    "mid_cluster",
                    "application",
                    "capabilities",
                    "require_fips",
                    "ca_certificates",
                ]
            },
        ),
        ("Credential and headers", {"fields": ["credential", "additional_http_headers"]}),
        (
            "Timeouts",
            {"fields": ["connection_timeout", "connect_timeout", "tls_timeout", "first_byte_timeout"]},
        ),
    ]

    @unfold_action(description="Connection & Credential Alias", icon="arrow_back", permissions=["view"])
    def back_to_alias(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._to_alias(get_object_or_404(HttpConnection, pk=object_id))

    def response_post_save_add(self, request: HttpRequest, obj: Model) -> HttpResponseRedirect:
        return self._to_alias(obj)

    def response_post_save_change(self, request: HttpRequest, obj: Model) -> HttpResponseRedirect:
        return self._to_alias(obj)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        connection = get_object_or_404(HttpConnection, pk=object_id)
        answer = super().delete_view(request, object_id, extra_context)
        return self._to_alias(connection) if request.method == "POST" and answer.status_code == 302 else answer

    def _to_alias(self, connection: Model) -> HttpResponseRedirect:
        assert isinstance(connection, HttpConnection)
        alias = reverse("admin:connections_connectionalias_change", args=[connection.connection_alias_id])
        return HttpResponseRedirect(alias + CONNECTIONS_TAB)

"""The forms of aliases, connections and profiles: pages and Table API read input through the same ones."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from openmid.instance.connections.models import ConnectionAlias, HttpConnection, MidProtocolProfile


class ConnectionAliasForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = ConnectionAlias
        fields: ClassVar = ["name", "type", "connection_type"]


class MidProtocolProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = MidProtocolProfile
        fields: ClassVar = ["protocol", "keystore_path", "password", "applies_to", "mid_list", "default_port"]

    def clean(self) -> dict[str, Any]:
        """What `clean()` of the model cannot see: the MID Servers, and the connections that need them."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        specific = cleaned.get("applies_to") == MidProtocolProfile.AppliesTo.SPECIFIC
        mids = list(cleaned.get("mid_list") or ())
        if not specific and mids:
            self.add_error("mid_list", "Set Applies to to Specific MID Servers, or leave MID Servers empty.")
        if specific and not self.instance._state.adding:
            self._keep_connections(mids)
        return cleaned

    def _keep_connections(self, mids: list[Any]) -> None:
        lost = self.instance.connections.exclude(mid_server=None).exclude(mid_server__in=mids).first()
        if lost is not None:
            self.add_error(
                "mid_list",
                ValidationError(
                    f"Connection {lost} calls through MID Server {lost.mid_server} with this profile: keep it here."
                ),
            )


class HttpConnectionForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = HttpConnection
        fields: ClassVar = [
            "name",
            "connection_alias",
            "active",
            "url_builder",
            "mutual_auth",
            "use_mid",
            "require_fips",
            "mid_protocol_profile",
            "host",
            "port",
            "base_path",
            "connection_url",
            "mid_selection",
            "mid_server",
            "connection_timeout",
            "ca_certificates",
        ]

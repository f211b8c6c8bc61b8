"""The forms of aliases, connections and profiles: pages and Table API read input through the same ones."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from openmid.instance.connections import header_fields
from openmid.instance.connections.credentials import OfOneKind
from openmid.instance.connections.models import ConnectionAlias, HttpConnection, MidProtocolProfile


class ConnectionAliasForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = ConnectionAlias
        fields: ClassVar = ["name", "type", "connection_type"]


class MidProtocolProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    class Meta:
        model = MidProtocolProfile
        fields: ClassVar = [
            "protocol",
            "keystore_path",
            "password",
            "alias",
            "applies_to",
            "mid_list",
            "default_port",
            "external_credential_store",
        ]

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


OWN_FIELDS = {
    "basic": ["user_name", "password"],
    "api_key": ["api_key", "place", "parameter"],
    "oauth": ["client_id", "client_secret", "token_url", "scope", "ca_certificates"],
}


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """What the forms of all kinds share: a secret that is stored already may be left out."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        secret = self.instance.SECRET
        if secret in self.fields and not self.instance._state.adding:
            self.fields[secret].required = False


def credential_form(kind: type[OfOneKind]) -> type[CredentialForm]:
    """The form of one kind of credential."""
    fields = ["name", "active", "external_credential_store", *OWN_FIELDS[kind.TYPE]]
    return forms.modelform_factory(kind, form=CredentialForm, fields=fields)  # type: ignore[return-value]


PHASES = {"connect_timeout", "tls_timeout", "first_byte_timeout"}


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
            "mid_cluster",
            "application",
            "capabilities",
            "credential",
            "connection_timeout",
            "connect_timeout",
            "tls_timeout",
            "first_byte_timeout",
            "ca_certificates",
            "additional_http_headers",
        ]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in PHASES & self.fields.keys():
            self.fields[name].required = False

    def _clean_fields(self) -> None:
        """An empty limit of a phase is none."""
        super()._clean_fields()  # type: ignore[misc]  # the stub leaves it out
        for name in PHASES & self.cleaned_data.keys():
            self.cleaned_data[name] = self.cleaned_data[name] or 0

    def clean_additional_http_headers(self) -> Any:
        """No headers are an empty list; masked ones stay what they were."""
        return header_fields.kept(self.cleaned_data["additional_http_headers"], self.instance.additional_http_headers)

    def _post_clean(self) -> None:
        """A field whose own check failed says that one sentence: what the model misses then is only its consequence."""
        before = {name: len(errors) for name, errors in self.errors.items()}
        super()._post_clean()  # type: ignore[misc]  # the stub leaves it out
        for name, count in before.items():
            del self.errors[name][count:]

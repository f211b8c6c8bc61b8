"""The forms of the article's section 3."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from openmid.instance.connections.models import ConnectionAlias, HttpConnection, MidProtocolProfile
from openmid.instance.records.clock import now
from openmid.instance.records.header_secrets import opened
from openmid.instance.records.secrets import reveal
from tests.instance.web.conftest import a_mid, client_of

Page = Callable[..., str]


@pytest.fixture
def alias(admin: Client) -> ConnectionAlias:
    data = {"name": "partner", "type": "connection", "connection_type": "http_connection", "_continue": "1"}
    answer = admin.post(reverse("admin:connections_connectionalias_add"), data)
    made = ConnectionAlias.objects.get()
    assert answer.headers["Location"] == reverse("admin:connections_connectionalias_change", args=[made.pk])
    assert made.sys_created_by == "alice"
    return made


@pytest.fixture
def profile(admin: Client) -> MidProtocolProfile:
    found = MidProtocolProfile(protocol="mauth", keystore_path="/client.bcfks", password="geheim")
    found.save()
    return found


def connection(alias: ConnectionAlias, **changed: Any) -> dict[str, Any]:
    """What a browser sends from the HTTP(s) Connection form."""
    data = {
        "name": "Partner",
        "connection_alias": alias.pk,
        "active": "on",
        "url_builder": "on",
        "use_mid": "on",
        "mutual_auth": "on",
        "mid_protocol_profile": "mauth",
        "host": "partner.example",
        "mid_selection": "auto_select",
        "connection_timeout": "30000",
    }
    return {name: value for name, value in (data | changed).items() if value is not None}


def save(admin: Client, data: dict[str, Any], button: str = "_continue") -> Any:
    return admin.post(reverse("admin:connections_httpconnection_add"), data | {button: "1"})


def test_connection_type_http_is_preselected(page: Page) -> None:
    assert '<option value="http_connection" selected>HTTP</option>' in page("connections_connectionalias_add")


def test_the_connections_tab_has_new_with_the_alias_chosen(page: Page, alias: ConnectionAlias) -> None:
    form = page("connections_connectionalias_change", alias.pk)
    add = f"/connections/httpconnection/add/?connection_alias={alias.pk}"
    assert f'href="{add}"' in form
    assert f'<option value="{alias.pk}" selected>partner</option>' in page(
        "connections_httpconnection_add", connection_alias=alias.pk
    )


def test_save_fills_in_the_connection_url(
    admin: Client, page: Page, alias: ConnectionAlias, profile: MidProtocolProfile
) -> None:
    answer = save(admin, connection(alias, port="8443"))
    made = HttpConnection.objects.get()
    assert answer.headers["Location"].startswith(reverse("admin:connections_httpconnection_change", args=[made.pk]))
    assert made.connection_url == "mauth://partner.example:8443"
    assert 'value="mauth://partner.example:8443"' in page("connections_httpconnection_change", made.pk)


def test_a_secret_header_of_a_connection_is_written_and_never_shown(
    admin: Client, page: Page, alias: ConnectionAlias, profile: MidProtocolProfile
) -> None:
    headers = {"additional_http_headers-name": ["X-Api-Key"], "additional_http_headers-value": ["geheim 1"]}
    save(admin, connection(alias, **headers))
    made = HttpConnection.objects.get()
    change = reverse("admin:connections_httpconnection_change", args=[made.pk])
    assert 'value="********"' in page("connections_httpconnection_change", made.pk)
    assert "geheim" not in page("connections_httpconnection_change", made.pk)
    masked = headers | {"additional_http_headers-value": ["********"], "name": "Renamed"}
    assert admin.post(change, connection(alias, **masked) | {"_continue": "1"}).status_code == 302
    made.refresh_from_db()
    assert (made.name, opened(made.additional_http_headers)) == ("Renamed", [("X-Api-Key", "geheim 1")])


def test_submit_goes_back_to_the_aliases_tab(
    admin: Client, page: Page, alias: ConnectionAlias, profile: MidProtocolProfile
) -> None:
    answer = save(admin, connection(alias), "_save")
    back = reverse("admin:connections_connectionalias_change", args=[alias.pk])
    assert answer.headers["Location"] == f"{back}#dataset-httpconnection"
    assert "mauth://partner.example" in page("connections_connectionalias_change", alias.pk)


def test_two_tabs_do_not_write_over_each_other_silently(
    admin: Client, page: Page, alias: ConnectionAlias, profile: MidProtocolProfile
) -> None:
    save(admin, connection(alias))
    made = HttpConnection.objects.get()
    change = reverse("admin:connections_httpconnection_change", args=[made.pk])
    seen = connection(alias, _continue="1", _mod_count=shown(page("connections_httpconnection_change", made.pk)))
    assert admin.post(change, seen | {"base_path": "/v1"}).status_code == 302
    stale = admin.post(change, seen | {"name": "Another"}).content.decode()
    assert "alice saved this record" in stale
    made.refresh_from_db()
    assert (made.name, made.base_path) == ("Partner", "/v1")
    assert (
        admin.post(change, seen | {"name": "Another", "_mod_count": shown(stale)}).status_code == 302
    )  # told, and decided


def shown(form: str) -> str:
    """The count of changes that a page carries."""
    found = re.search(r'name="_mod_count" value="(\d+)"', form)
    assert found
    return found[1]


def test_the_tab_has_only_the_aliases_own_connections(admin: Client, page: Page, alias: ConnectionAlias) -> None:
    other = ConnectionAlias(name="other")
    other.save()
    HttpConnection(name="Of another alias", connection_alias=other, host="x.example").save()
    assert "Of another alias" not in page("connections_connectionalias_change", alias.pk)
    assert "Of another alias" in page("connections_connectionalias_change", other.pk)


def test_what_is_not_shown_does_not_count(admin: Client, alias: ConnectionAlias, profile: MidProtocolProfile) -> None:
    mid = a_mid()
    assert save(admin, connection(alias, mutual_auth=None, mid_server=mid.pk)).status_code == 302
    made = HttpConnection.objects.get()
    assert (made.mid_protocol_profile, made.mid_server) == (None, None)
    assert made.connection_url == "https://partner.example"


def test_no_error_stands_at_a_field_that_is_not_shown(
    admin: Client, alias: ConnectionAlias, profile: MidProtocolProfile
) -> None:
    typed = {"mid_protocol_profile": "nobody", "host": "https://x", "port": "x", "base_path": "/a?b"}
    by_hand = {"mutual_auth": None, "url_builder": None, "connection_url": "https://partner.example"}
    assert save(admin, connection(alias, **typed, **by_hand)).status_code == 302
    made = HttpConnection.objects.get()
    assert (made.connection_url, made.host, made.port) == ("https://partner.example", "", None)


def test_what_is_required_says_only_that(admin: Client) -> None:
    errors = admin.post(reverse("admin:connections_oauthcredential_add"), {}).context["adminform"].form.errors
    assert errors["token_url"] == ["This field is required."]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("attachments_attachment", "POST /api/now/attachment/file"),
        ("mid_midserver", "enrolment token"),
        ("actions_execution", "Test an action in Workflow Studio"),
        ("connections_connectionalias", "Select New to make the first one"),
    ],
)
def test_an_empty_list_says_how_it_is_filled(page: Page, name: str, says: str) -> None:
    empty = page(f"{name}_changelist").partition("Nothing here yet")[2]
    assert says in empty
    assert "Nothing matches" in page(f"{name}_changelist", q="nothing")


def test_see_all_stays_in_the_pop_up_of_the_magnifying_glass(page: Page) -> None:
    asked = {"q": "nothing", "_popup": "1", "_to_field": "protocol"}
    assert 'href="?_popup=1&_to_field=protocol"' in page("connections_midprotocolprofile_changelist", **asked)


def test_errors_stand_at_their_fields(admin: Client, alias: ConnectionAlias) -> None:
    answer = save(admin, connection(alias, mid_protocol_profile="nobody", host="https://x", use_mid=None))
    errors = answer.context["adminform"].form.errors
    assert errors["mid_protocol_profile"] == ["There is no MID Protocol Profile of this name."]
    assert set(errors) == {"mid_protocol_profile", "host", "use_mid"}


def test_the_magnifying_glass_hands_over_the_protocols_name(page: Page, profile: MidProtocolProfile) -> None:
    form = page("connections_httpconnection_add")
    assert "/connections/midprotocolprofile/?_to_field=protocol" in form
    rows = page("connections_midprotocolprofile_changelist", _popup="1", _to_field="protocol")
    assert 'data-popup-opener="mauth"' in rows
    (new,) = re.findall(r'<a href="([^"]*)" class="addlink', rows)
    assert new.startswith("/connections/midprotocolprofile/add/?")
    assert new.endswith("_popup=1&amp;_to_field=protocol")


def test_default_port_443_and_submit_in_the_pop_up(page: Page) -> None:
    form = page("connections_midprotocolprofile_add", _popup="1")
    assert 'name="default_port" value="443"' in form
    assert ">Submit</button>" in "".join(form.split("\n")).replace(" ", "")


def test_a_password_is_written_and_never_shown(admin: Client, page: Page, profile: MidProtocolProfile) -> None:
    url = reverse("admin:connections_midprotocolprofile_change", args=[profile.pk])
    form = page("connections_midprotocolprofile_change", profile.pk)
    assert "geheim" not in form
    assert "Stored. Leave empty to keep it." in form
    data = {"protocol": "mauth", "keystore_path": "/new.bcfks", "applies_to": "all", "default_port": "443"}
    admin.post(url, data | {"password": "", "_save": "1"})
    kept = MidProtocolProfile.objects.get()
    assert (kept.keystore_path, reveal(kept, "password")) == ("/new.bcfks", "geheim")
    admin.post(url, data | {"password": "other", "_save": "1"})
    assert reveal(MidProtocolProfile.objects.get(), "password") == "other"
    assert "geheim" not in page("connections_midprotocolprofile_history", profile.pk)


def test_mid_servers_count_for_specific_ones_only(admin: Client, profile: MidProtocolProfile) -> None:
    mid = a_mid()
    url = reverse("admin:connections_midprotocolprofile_change", args=[profile.pk])
    data = {"protocol": "mauth", "keystore_path": "/k", "default_port": "443", "mid_list": [mid.pk], "_save": "1"}
    admin.post(url, data | {"applies_to": "specific"})
    assert list(profile.mid_list.all()) == [mid]
    admin.post(url, data | {"applies_to": "all"})
    assert list(profile.mid_list.all()) == []


def test_a_profile_shows_what_each_mid_server_made_of_it(page: Page, profile: MidProtocolProfile) -> None:
    loaded = {"sys_id": profile.pk, "protocol": "mauth", "loaded": True, "subject": "CN=client", "serial": "0A"}
    remedy = "convert it and set the profile's Keystore path to /c.bcfks: agent/jre/bin/keytool -importkeystore -v"
    failed = {"sys_id": profile.pk, "loaded": False, "error_code": "x", "error": "the keystore is PKCS12"}
    up = {"validated": "true", "last_refreshed": now()}
    a_mid("good", profile_statuses=[loaded | {"not_after": "2099-01-01T00:00:00Z"}], **up)
    a_mid("bad", profile_statuses=[failed | {"remedy": remedy}], **up)
    a_mid("new")
    shown = page("connections_midprotocolprofile_change", profile.pk)
    assert "CN=client" in shown
    assert "2099-01-01, in" in shown
    assert "The keystore is PKCS12" in shown
    assert "data-command>agent/jre/bin/keytool -importkeystore -v</pre>" in shown
    assert "This MID Server is not validated" in shown
    assert "1 of 3 MID Servers" in page("connections_midprotocolprofile_changelist")


@pytest.mark.parametrize(
    "form",
    [
        "connections_connectionalias_add",
        "connections_httpconnection_add",
        "connections_midprotocolprofile_add",
        "connections_basicauthcredential_add",
        "connections_apikeycredential_add",
        "connections_oauthcredential_add",
        "access_apitoken_add",
    ],
)
def test_every_field_says_what_it_is_for(admin: Client, form: str) -> None:
    fields = admin.get(reverse(f"admin:{form}")).context["adminform"].form.fields
    assert [name for name, field in fields.items() if not field.help_text] == []


def test_the_default_port_of_a_protocol_is_for_those_who_see_profiles(
    admin: Client, profile: MidProtocolProfile
) -> None:
    url = reverse("admin:connections_midprotocolprofile_default_port")
    assert admin.get(url, {"protocol": "mauth"}).json() == {"default_port": 443}
    assert admin.get(url, {"protocol": "nobody"}).status_code == 404
    assert client_of("charlie").get(url, {"protocol": "mauth"}).status_code == 403


def test_an_address_that_fills_headers_with_nonsense_is_no_failure(admin: Client) -> None:
    filled = f"{reverse('admin:connections_httpconnection_add')}?additional_http_headers=x"
    assert admin.get(filled).status_code == 200

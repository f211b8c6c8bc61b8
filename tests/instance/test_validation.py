"""Each rule of aliases, connections and profiles, with its sentence: through the Table API, which uses the pages' forms."""

from __future__ import annotations

from typing import Any

import pytest

from openmid.instance.connections.models import ConnectionAlias, HttpConnection, MidProtocolProfile
from openmid.instance.folder import Folder
from openmid.instance.mid.models import MidServer
from openmid.instance.table_api.problems import BadInputError
from openmid.instance.table_api.tables import TABLES


@pytest.fixture(autouse=True)
def records(instance: Folder) -> None:
    ConnectionAlias(name="partner").save()
    for name in ("here", "there"):
        MidServer(name=name).save()
    MidProtocolProfile(protocol="mauth", keystore_path="/client.bcfks").save()
    special = MidProtocolProfile(protocol="special", keystore_path="special.bcfks", applies_to="specific")
    special.save()
    special.mid_list.add(MidServer.objects.get(name="here"))


def save(table: str, **columns: Any) -> Any:
    found = TABLES[table]
    return found.save(found.model(), columns)


def refusal(table: str, **columns: Any) -> str:
    with pytest.raises(BadInputError) as caught:
        save(table, **columns)
    return caught.value.detail


def connection(**columns: Any) -> dict[str, Any]:
    return {"name": "c", "connection_alias": "partner", "host": "partner.example"} | columns


def mutual(**columns: Any) -> dict[str, Any]:
    return connection(mutual_auth="true", mid_protocol_profile="mauth") | columns


def test_a_keystore_path_is_no_certificate_or_key() -> None:
    pasted = "-----BEGIN PRIVATE KEY----- MIIE -----END PRIVATE KEY-----"  # a field of one line takes the breaks away
    assert "Enter the path of the keystore file" in refusal("mid_protocol_profile", protocol="p", keystore_path=pasted)


@pytest.mark.parametrize("name", ["part ner", "part-ner", "pärtner", "a.b", "a\nb"])
def test_an_alias_name_has_letters_digits_and_underscores(name: str) -> None:
    assert refusal("sys_alias", name=name) == "name: An alias's name has only letters, digits and underscores."


def test_an_alias_name_is_unique() -> None:
    assert refusal("sys_alias", name="partner") == "name: An alias with this name exists already."


@pytest.mark.parametrize(
    ("protocol", "sentence"),
    [
        ("https", "is a URL scheme that is already in use"),
        ("http", "is a URL scheme that is already in use"),
        ("ftp", "is a URL scheme that is already in use"),
        ("MAuth", "only lower-case letters and digits"),
        ("my-proto!", "only lower-case letters and digits"),
        ("mäuth", "only lower-case letters and digits"),
        ("1auth", "starts with a letter"),
        ("mauth", "This protocol is taken"),
        ("", "required"),
    ],
)
def test_a_protocol_name_that_cannot_be(protocol: str, sentence: str) -> None:
    said = refusal("mid_protocol_profile", protocol=protocol, keystore_path="/x")
    assert said.startswith("protocol: ")
    assert sentence in said


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_a_port_is_1_to_65535(port: str) -> None:
    assert refusal("http_connection", **connection(port=port)).startswith("port: ")
    assert refusal("mid_protocol_profile", protocol="p", keystore_path="/x", default_port=port).startswith(
        "default_port: "
    )


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("https://partner.example", "without https:// in front"),
        ("partner.example/path", "A path belongs in Base path"),
        ("partner.example:8443", "The port belongs in Port"),
        ("user@partner.example", "neither a host name nor an IP address"),
        ("part ner", "neither a host name nor an IP address"),
        ("fe80::1%@other.example", "The port belongs in Port"),
        ("-x.example", "neither a host name nor an IP address"),
        ("", "URL builder needs a host"),
    ],
)
def test_a_host_is_a_host(host: str, sentence: str) -> None:
    said = refusal("http_connection", **connection(host=host))
    assert said.startswith("host: ")
    assert sentence in said


@pytest.mark.parametrize(
    ("columns", "url"),
    [
        (mutual(), "mauth://partner.example"),
        (mutual(port="443"), "mauth://partner.example"),
        (mutual(port="8443"), "mauth://partner.example:8443"),
        (mutual(port="8443", base_path="/api/v1/"), "mauth://partner.example:8443/api/v1"),
        (mutual(host="2001:db8::1"), "mauth://[2001:db8::1]"),
        (mutual(host="[2001:db8::1]", port="444"), "mauth://[2001:db8::1]:444"),
        (connection(), "https://partner.example"),
        (connection(url_builder="false", host="", connection_url="https://a.example/b"), "https://a.example/b"),
    ],
)
def test_the_connection_url_is_filled_in(columns: dict[str, Any], url: str) -> None:
    assert save("http_connection", **columns).connection_url == url


@pytest.mark.parametrize(
    "url",
    ["", "http://a.example", "mauth://a.example", "https://u:p@a.example", "https://a/?q=1", "https://", "https://a:0"],
)
def test_a_connection_url_by_hand_is_checked(url: str) -> None:
    assert refusal("http_connection", **connection(url_builder="false", connection_url=url)).startswith(
        "connection_url: "
    )


def test_a_partner_is_called_through_a_mid_server() -> None:
    said = refusal("http_connection", **connection(use_mid="false"))
    assert said == "use_mid: openmid calls partners through a MID Server: select Use MID server."


def test_mutual_authentication_needs_a_profile_and_a_profile_mutual_authentication() -> None:
    assert "it has the keystore" in refusal("http_connection", **connection(mutual_auth="true"))
    assert "Select Mutual authentication" in refusal("http_connection", **connection(mid_protocol_profile="mauth"))


def test_a_specific_mid_server_is_named_and_has_the_profile() -> None:
    specific = {"mid_selection": "specific_mid_server"}
    assert refusal("http_connection", **mutual(**specific)).startswith("mid_server: Choose the MID Server")
    assert refusal("http_connection", **mutual(mid_server="here")).startswith("mid_server: Set MID selection")
    said = refusal("http_connection", **mutual(mid_protocol_profile="special", mid_server="there", **specific))
    assert "MID Protocol Profile special does not apply to MID Server there" in said
    assert save("http_connection", **mutual(mid_protocol_profile="special", mid_server="here", **specific))


def test_an_alias_has_one_active_connection() -> None:
    first = save("http_connection", **connection(name="first"))
    assert "“first”" in refusal("http_connection", **connection(name="second"))
    save("http_connection", **connection(name="second", active="false"))
    TABLES["http_connection"].save(first, {"active": "false"})
    assert save("http_connection", **connection(name="third")).active


def test_ca_certificates_are_pem() -> None:
    assert "CA certificates are in PEM" in refusal("http_connection", **connection(ca_certificates="nonsense"))


def test_the_mid_servers_of_a_profile() -> None:
    said = refusal("mid_protocol_profile", protocol="p", keystore_path="/x", mid_list="here")
    assert "Specific MID Servers" in said
    save(
        "http_connection",
        **mutual(mid_protocol_profile="special", mid_selection="specific_mid_server", mid_server="here"),
    )
    special = MidProtocolProfile.objects.get(protocol="special")
    with pytest.raises(BadInputError, match="mid_list") as caught:
        TABLES["mid_protocol_profile"].save(special, {"mid_list": "there"})
    assert "Connection c calls through MID Server here" in caught.value.detail


def test_urls_follow_their_profile() -> None:
    save("http_connection", **mutual(port="8443"))
    profile = MidProtocolProfile.objects.get(protocol="mauth")
    TABLES["mid_protocol_profile"].save(profile, {"protocol": "cauth", "default_port": "8443"})
    assert HttpConnection.objects.get().connection_url == "cauth://partner.example"


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"active": "maybe"}, "active: Write true or false."),
        ({"host": ["x"]}, "host: A value is a string."),
        ({"nonsense": "1"}, "nonsense: There is no column nonsense in table http_connection."),
        ({"sys_id": "1"}, "sys_id: This column is written by the instance."),
        ({"connection_alias": "nobody"}, "connection_alias: There is no Connection & Credential Alias “nobody”."),
    ],
)
def test_what_is_not_a_column_or_a_value(columns: dict[str, Any], sentence: str) -> None:
    assert refusal("http_connection", **connection(**columns)) == sentence

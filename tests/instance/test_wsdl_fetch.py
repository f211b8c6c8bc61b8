"""A WSDL that the MID Server of an alias fetches, with what it imports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from openmid.instance.connections.models import ConnectionAlias
from openmid.wire.probes import Failure
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import records
from tests.instance.test_wsdl import XSD, document

IMPORT = '<xs:schema><xs:import namespace="urn:types" schemaLocation="{}"/></xs:schema>'
Post = Callable[..., Any]


def client_of(username: str) -> Client:
    client = Client(HTTP_HOST="localhost")
    client.force_login(User.objects.get(username=username))
    return client


@pytest.fixture
def post(api: Api, mid: Mid) -> Post:
    """`post("fetch", …)` and `post("fetched", …)` as the editor of alice does."""
    records(api, base_path="/soap")
    alice = client_of("alice")
    return lambda what, **data: alice.post(f"/actions/action/wsdl/{what}/", data).json()


@pytest.fixture
def alias(api: Api) -> Callable[[], str]:
    return lambda: str(ConnectionAlias.objects.get(name="partner").pk)


def test_it_comes_through_the_mid_server_with_what_it_imports(post: Post, alias: Callable[[], str], mid: Mid) -> None:
    (first,) = post("fetch", alias=alias(), address="/ws/orders?wsdl")["executions"]
    assert post("fetched", executions=[first]) == {"executions": [first], "operations": None}
    job = mid.job()
    assert job.decoded().url == "mauth://partner.example/soap/ws/orders?wsdl"  # not ?wsdl=
    declared = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'  # as it was: what the MID Server sends is decoded
    mid.deliver(job, body=declared + document(IMPORT.format("types.xsd?v=2")).decode())
    both = post("fetched", executions=[first])["executions"]
    assert (len(both), both[0]) == (2, first)
    job = mid.job()
    assert job.decoded().url == "mauth://partner.example/soap/ws/types.xsd?v=2"
    mid.deliver(job, body=XSD)
    (operation,) = post("fetched", executions=both)["operations"]
    assert (operation["name"], operation["action"]) == ("order", "urn:order")
    assert ":Order" in operation["envelope"]


def test_documents_of_one_name_in_two_folders_are_two(post: Post, alias: Callable[[], str], mid: Mid) -> None:
    (first,) = post("fetch", alias=alias(), address="/ws/orders?wsdl")["executions"]
    other = IMPORT.format("../b/types.xsd").replace("urn:types", "urn:other")
    mid.deliver(mid.job(), body=document(IMPORT.format("/soap/a/types.xsd") + other).decode())
    everything = post("fetched", executions=[first])["executions"]
    bodies = {"a": XSD, "b": '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:other"/>'}
    for folder in ("a", "b"):
        job = mid.job()
        assert job.decoded().url == f"mauth://partner.example/soap/{folder}/types.xsd"
        mid.deliver(job, body=bodies[folder])
    (operation,) = post("fetched", executions=everything)["operations"]
    assert ":Order" in operation["envelope"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"body": document(IMPORT.format("http://elsewhere.example/soap/t.xsd")).decode()}, "which is not below mauth"),
        ({"body": document(IMPORT.format("/etc/t.xsd")).decode()}, "which is not below mauth://partner.example/soap"),
        ({"body": document(IMPORT.format("file:///etc/passwd")).decode()}, "which is not below mauth"),
        ({"body": "<!DOCTYPE x><x/>"}, "has a DOCTYPE"),
        ({"body": "welcome"}, "/ws?wsdl is no XML"),
        ({"status_code": 404, "body": "<x/>"}, "partner.example answered 404 Not Found"),
        (
            {"status_code": None, "failure": Failure("refused", "nobody listens", "start it")},
            "nobody listens: start it.",
        ),
    ],
)
def test_what_cannot_be_had_is_said(
    post: Post, alias: Callable[[], str], mid: Mid, answer: dict[str, Any], said: str
) -> None:
    (first,) = post("fetch", alias=alias(), address="/ws?wsdl")["executions"]
    mid.deliver(mid.job(), **answer)
    told = post("fetched", executions=[first])
    assert said in told["error"]
    assert mid.claim(0).json["jobs"] == []  # nothing else is fetched


def test_an_absolute_address_of_the_same_host_is_asked_for_as_the_connection_says(
    post: Post, alias: Callable[[], str], mid: Mid
) -> None:
    (first,) = post("fetch", alias=alias(), address="/ws?wsdl")["executions"]
    mid.deliver(mid.job(), body=document(IMPORT.format("http://PARTNER.example:8080/soap/t.xsd")).decode())
    post("fetched", executions=[first])
    assert mid.job().decoded().url == "mauth://partner.example/soap/t.xsd"


def test_what_is_asked_wrongly_is_said(post: Post, alias: Callable[[], str], mid: Mid, api: Api) -> None:
    assert "Choose a Connection Alias" in post("fetch", alias="", address="/ws")["error"]
    assert "without the host" in post("fetch", alias=alias(), address="https://h/ws")["error"]
    assert "RFC 3986" in post("fetch", alias=alias(), address="/ws?a b")["error"]
    assert "at most" in post("fetched")["error"]
    of_an_action = api.execute("call").json["sys_id"]
    assert "did not fetch a document for you" in post("fetched", executions=[of_an_action])["error"]


def test_only_who_designs_and_runs_actions_may(post: Post, alias: Callable[[], str]) -> None:
    for role, may in (("action_designer", True), ("flow_operator", False), ("auditor", False), ("mid_server", False)):
        User.objects.create_user(role, is_staff=True).groups.add(Group.objects.get(name=role))
        answer = client_of(role).post("/actions/action/wsdl/fetch/", {"alias": alias(), "address": "/ws"})
        assert answer.status_code == (200 if may else 403), role
    assert client_of("alice").get("/actions/action/wsdl/fetch/").status_code == 403

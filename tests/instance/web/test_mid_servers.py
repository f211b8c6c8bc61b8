"""MID Servers: trust, tokens, the proof of FIPS."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from openmid.instance.access.models import ApiToken
from openmid.instance.mid.models import EnrolmentToken, IpRange, MidApplication, MidCapability, MidIssue, MidServer
from openmid.instance.records.clock import now
from openmid.instance.records.secrets import digest
from tests.instance.partners import Api, Mid
from tests.instance.test_walk import PROOF
from tests.instance.web.conftest import a_mid, client_of

Page = Callable[..., str]


def press(admin: Client, button: str, mid: MidServer, **data: str) -> str:
    """The pop-up of a button confirmed: where the browser goes."""
    url = reverse(f"admin:mid_midserver_{button}", args=[mid.pk])
    answer = admin.post(url, {"_form_submitted": "True", **data})
    assert answer.status_code == 200
    return answer.headers["HX-Redirect"]


def test_validate_shows_the_fingerprint_and_asks(admin: Client) -> None:
    mid = a_mid()
    dialog = admin.get(reverse("admin:mid_midserver_validate", args=[mid.pk])).content.decode()
    assert mid.fingerprint in dialog.replace("<wbr>", "")
    assert MidServer.objects.get().validated == "false"
    assert press(admin, "validate", mid, fingerprint=mid.fingerprint) == f"/mid/midserver/{mid.pk}/change/"
    validated = MidServer.objects.get()
    assert (validated.validated, validated.validated_by) == ("true", "alice")


def test_a_key_that_came_in_between_is_not_validated(admin: Client) -> None:
    shown = a_mid().fingerprint
    mid = MidServer.objects.get()
    mid.fingerprint = ":".join(["CD"] * 32)
    mid.save()
    press(admin, "validate", mid, fingerprint=shown)
    assert MidServer.objects.get().validated == "false"
    assert "not the fingerprint" in admin.get("/").content.decode()


def test_invalidate_and_rekey(admin: Client) -> None:
    mid = a_mid(validated="true")
    press(admin, "rekey", mid)
    assert MidServer.objects.get().validated == "rekey"
    MidServer.objects.update(validated="true")
    press(admin, "invalidate", mid)
    assert MidServer.objects.get().validated == "false"


def test_the_record_is_read_only(admin: Client) -> None:
    mid = a_mid()
    url = reverse("admin:mid_midserver_change", args=[mid.pk])
    assert admin.post(url, {"name": "other", "_save": "1"}).status_code == 403
    assert admin.get(reverse("admin:mid_midserver_add")).status_code == 403


def test_an_enrolment_token_is_shown_once(admin: Client, page: Page) -> None:
    shown = admin.post(reverse("admin:mid_midserver_enrolment_token"), {"name": "mid7"}).content.decode()
    found = re.search(r"enrol-[\w-]{43}", shown)
    assert found
    assert EnrolmentToken.objects.get().token_hash == digest(found[0])
    assert shown.count(found[0]) == 1
    assert "--name mid7" in shown
    assert found[0] not in page("mid_midserver_enrolment_token")


def test_a_bad_name_gets_no_token(admin: Client) -> None:
    answer = admin.post(reverse("admin:mid_midserver_enrolment_token"), {"name": "not a name!"})
    assert "letters, digits" in answer.content.decode()
    assert not EnrolmentToken.objects.exists()


def test_an_api_token_is_shown_once(admin: Client, page: Page) -> None:
    from django.contrib.auth.models import User

    alice = User.objects.get(username="alice")
    shown = admin.post(
        reverse("admin:access_apitoken_add"), {"name": "script", "user": alice.pk, "scope": "full", "days": "90"}
    ).content.decode()
    found = re.search(r"omt_[\w-]{43}", shown)
    assert found
    assert ApiToken.objects.get().token_hash == digest(found[0])
    assert found[0] not in page("access_apitoken_changelist")


def test_the_proof_is_readable(api: Api, mid: Mid) -> None:
    mid.heartbeat(fips_enforced=True, proof=PROOF, egress=["deny <loopback>"])
    shown = client_of("alice").get(f"/mid/midserver/{mid.sys_id}/change/").content.decode()
    assert "OpenSSL FIPS Provider 3.0.20" in shown
    assert "md5" in shown
    assert "deny &lt;loopback&gt;" in shown


def test_status_up_and_down(page: Page) -> None:
    a_mid("fresh", last_refreshed=now())
    a_mid("stale", last_refreshed=now() - 60_000_000)
    listed = " ".join(page("mid_midserver_changelist").split())
    assert len(re.findall(r"> Up </span>", listed)) == 1
    assert len(re.findall(r"> Down </span>", listed)) == 1


def test_an_issue_is_on_its_page_and_in_the_list(api: Api, mid: Mid, admin: Client, page: Page) -> None:
    mid.heartbeat(fips_enforced=True, proof=PROOF)
    mid.heartbeat(status="Degraded", proof=replace(PROOF, enforced=False, reason="the module is another one"))
    shown = page("mid_midserver_change", mid.sys_id)
    assert "mid1: the module is another one" in shown
    assert "Lost" in shown
    listed = page("mid_midissue_changelist")
    assert "mid1: the module is another one" in listed
    assert reverse("admin:mid_midissue_changelist") in page("mid_midserver_changelist")
    assert admin.post(reverse("admin:mid_midissue_add")).status_code == 403


def test_prove_is_a_button_where_there_is_something_to_prove(api: Api, mid: Mid, admin: Client, page: Page) -> None:
    assert "Prove" not in page("mid_midserver_change", mid.sys_id)
    mid.heartbeat(fips_enforced=True, proof=PROOF)
    assert "Prove" in page("mid_midserver_change", mid.sys_id)
    assert press(admin, "prove", MidServer.objects.get()) == f"/mid/midserver/{mid.sys_id}/change/"
    assert MidServer.objects.get().proof_asked > 0


def test_an_administrator_says_what_a_mid_server_is_for(admin: Client) -> None:
    mid = a_mid(validated="true")
    one, other = MidCapability(name="REST"), MidCapability(name="SOAP")
    application, network = MidApplication(name="Orders"), IpRange(name="dmz", range="192.0.2.0/24")
    for record in (one, other, application, network):
        record.full_clean()
        record.save()
    dialog = admin.get(reverse("admin:mid_midserver_purposes", args=[mid.pk])).content.decode()
    assert "REST" in dialog
    assert not re.search(r"\schecked[\s>]", dialog)
    chosen = {"capabilities": [one.pk, other.pk], "applications": [application.pk], "ip_ranges": [network.pk]}
    press(admin, "purposes", mid, **chosen)  # type: ignore[arg-type]  # a list of values
    again = MidServer.objects.get()
    assert {each.name for each in again.capabilities.all()} == {"REST", "SOAP"}
    assert [each.name for each in again.applications.all()] == ["Orders"]
    dialog = admin.get(reverse("admin:mid_midserver_purposes", args=[mid.pk])).content.decode()
    assert len(re.findall(r"\schecked[\s>]", dialog)) == 4
    press(admin, "purposes", mid)
    assert MidServer.objects.get().capabilities.count() == 0


def test_the_log_stands_in_a_sandboxed_frame(admin: Client, page: Page) -> None:
    mid = a_mid(log_tail=["<script>alert(1)</script>", "second"])
    address = reverse("admin:mid_midserver_log", args=[mid.pk])
    shown = page("mid_midserver_change", mid.pk)
    assert f'src="{address}"></iframe>' in shown
    assert "alert(1)" not in shown
    answer = admin.get(address)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nsecond" in answer.content.decode()
    assert answer["Content-Security-Policy"].startswith("sandbox;")
    User.objects.create_user("nobody", is_staff=True)
    assert client_of("nobody").get(address).status_code == 403


def test_the_home_page_lists_open_issues(page: Page) -> None:
    mid = a_mid("mid-7")
    assert "Open issues</span>" in page("index")  # the count
    assert 'aria-label="Open issues"' not in page("index")
    MidIssue(mid_server=mid, source="x", short_description="the clock is off", last_detected=now()).save()
    home = page("index")
    assert 'aria-label="Open issues"' in home
    assert f'href="/mid/midserver/{mid.pk}/change/"><span class="font-semibold text-important om-fixed">mid-7' in home
    assert "the clock is off" in home

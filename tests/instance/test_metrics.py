"""What a monitor asks: /metrics for those who may, /ready for everybody."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from openmid.instance.access.models import ApiToken
from openmid.wire.messages import ProfileStatus
from tests.instance.partners import Api, Mid


def test_metrics_say_what_the_instance_holds(api: Api, mid: Mid) -> None:
    status = ProfileStatus("a" * 32, "mauth", True, not_after="2099-01-01T00:00:00Z")
    mid.heartbeat(profiles=[status, ProfileStatus("b" * 32, "other", False, error="no file")])
    api.action("call", {"base_url": "https://partner.example"})
    api.execute("call")
    text = api.get("/metrics").raw.decode()
    for line in (
        'openmid_mid_servers{status="Up"} 1.0',
        'openmid_ecc_queue_jobs{state="ready"} 1.0',
        'openmid_executions{state="In Progress"} 1.0',
        "openmid_issues_open 1.0",
        'openmid_certificate_days_left{mid_server="mid1",protocol="mauth"} 2',
    ):
        assert line in text
    assert 'protocol="other"' not in text


@pytest.mark.parametrize(("role", "status"), [("auditor", 200), ("flow_operator", 403), (None, 401)])
def test_metrics_are_for_admins_and_auditors(api: Api, role: str | None, status: int) -> None:
    authorization = ""
    if role:
        user = User.objects.create_user(role, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        authorization = f"Bearer {ApiToken.issue(role, user, 'read')}"
    assert Api(api.url, authorization).get("/metrics").status == status


def test_ready_until_a_migration_is_missing(server: str) -> None:
    assert Api(server).get("/ready").json == {"status": "ready"}
    with connection.cursor() as cursor:
        newest = "SELECT MAX(name) FROM django_migrations WHERE app = 'mid'"
        cursor.execute(f"DELETE FROM django_migrations WHERE app = 'mid' AND name = ({newest})")
    refused = Api(server).get("/ready")
    assert refused.status == 503
    assert "openmid instance init" in refused.json["reason"]


def test_ready_reads_the_files_of_migrations_once(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Api(server).get("/ready").status == 200
    monkeypatch.setattr(MigrationLoader, "build_graph", None)
    assert Api(server).get("/ready").status == 200


def test_ready_where_the_older_migrations_were_applied_one_by_one(server: str) -> None:
    MigrationRecorder(connection).record_unapplied("ecc", "0001_squashed")
    assert Api(server).get("/ready").json == {"status": "ready"}
    MigrationRecorder(connection).record_unapplied("ecc", "0002_cancel")
    assert Api(server).get("/ready").status == 503

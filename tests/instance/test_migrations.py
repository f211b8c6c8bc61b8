"""A database that an older openmid made becomes, by `instance init`, the same as one that is made now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from openmid.instance import databases
from openmid.instance.folder import Folder
from openmid.instance.setup import check_migrations
from tests.instance import conftest
from tests.postgresql import Cluster

SQUASHED = "0001_squashed"
ENDS = {
    "access": "0003_second_factor",
    "actions": "0008_seal_headers",
    "audit": "0002_append_only",
    "attachments": "0001_initial",
    "connections": "0003_sealed_headers",
    "ecc": "0003_writer",
    "mid": "0004_cluster_members",
}
"""Where each app stood in the last version before the squashed migrations."""
MIDDLE = ENDS | {
    "access": "0002_scopes_and_expiry",
    "actions": "0005_studio",
    "connections": "0002_credentials_and_selection",
    "ecc": "0002_cancel",
    "mid": "0003_selection",
}
"""Some of what a squashed migration replaces is there, some is not."""


def shape() -> dict[str, Any]:
    """Tables, their columns in any order, their constraints and indexes; the names of those that our models name."""
    named = {each.name for model in apps.get_models() for each in (*model._meta.constraints, *model._meta.indexes)}
    introspection = connection.introspection
    found: dict[str, Any] = {}
    with connection.cursor() as cursor:
        for table in introspection.table_names(cursor):
            columns = sorted(map(str, introspection.get_table_description(cursor, table)))
            rules = introspection.get_constraints(cursor, table).items()
            kept = [(name if name in named else "", sorted(rule.items(), key=str)) for name, rule in rules]
            found[table] = columns, sorted(kept, key=str)
    return found


def older(ends: dict[str, str]) -> None:
    """Migrate as a version did that knew nothing of the squashed migrations."""
    executor = MigrationExecutor(connection)
    executor.loader = MigrationLoader(connection, replace_migrations=False)
    djangos = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in ends and leaf[0] != "mid"]
    executor.migrate([*djangos, *ends.items()])
    MigrationRecorder.Migration.objects.filter(name=SQUASHED).delete()


def empty(request: pytest.FixtureRequest, where: Path) -> None:
    """Use an empty database of the kind of the test's own."""
    default = conftest._sqlite(where / "older.sqlite3")
    if connection.vendor == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.sql("CREATE DATABASE older")
        default = databases._postgresql(conftest.FOLDER, cluster.url("older"))
    conftest._use(default)


@pytest.mark.parametrize(
    ("instance", "ends"),
    [(conftest.SQLITE, ENDS), (conftest.SQLITE, MIDDLE), (conftest.POSTGRESQL, MIDDLE)],
    ids=["sqlite-last", "sqlite-middle", "postgresql-middle"],
    indirect=["instance"],
)
def test_an_older_database_becomes_as_a_new_one(
    request: pytest.FixtureRequest, instance: Folder, tmp_path: Path, ends: dict[str, str]
) -> None:
    new = shape()
    assert SQUASHED in {name for _, name in MigrationRecorder(connection).applied_migrations()}
    empty(request, tmp_path)
    older(ends)
    assert shape() != new
    call_command("migrate", verbosity=0)
    assert shape() == new
    check_migrations(instance)

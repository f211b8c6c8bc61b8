"""The database itself refuses to change or delete a row of sys_audit."""

from typing import Any

from django.db import migrations

SQLITE = [
    f"CREATE TRIGGER sys_audit_no_{verb} BEFORE {verb} ON sys_audit "
    "BEGIN SELECT RAISE(ABORT, 'sys_audit is append-only'); END"
    for verb in ("update", "delete")
]
POSTGRESQL = [
    "CREATE FUNCTION sys_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'sys_audit is append-only'; END $$",
    "CREATE TRIGGER sys_audit_no_change BEFORE UPDATE OR DELETE ON sys_audit "
    "FOR EACH ROW EXECUTE FUNCTION sys_audit_refuse()",
]


def forwards(apps: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]

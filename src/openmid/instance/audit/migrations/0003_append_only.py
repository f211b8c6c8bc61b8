"""The two ways around the triggers: SQLite's REPLACE deletes a row and PostgreSQL's TRUNCATE all of them, without one."""

from typing import Any

from django.db import migrations

SQLITE = (
    "CREATE TRIGGER sys_audit_no_replace BEFORE INSERT ON sys_audit "
    "WHEN EXISTS (SELECT 1 FROM sys_audit WHERE sys_id = NEW.sys_id) "
    "BEGIN SELECT RAISE(ABORT, 'sys_audit is append-only'); END"
)
POSTGRESQL = (
    "CREATE TRIGGER sys_audit_no_truncate BEFORE TRUNCATE ON sys_audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION sys_audit_refuse()"
)


def forwards(apps: Any, schema_editor: Any) -> None:
    schema_editor.execute(POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE)


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]

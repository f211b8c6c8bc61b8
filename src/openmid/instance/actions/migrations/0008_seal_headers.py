"""What lay in clear before: headers of steps and connections, of plans, jobs and answers, and in the audit trail.

What was there is then gone from the database's files too: SQLite's and PostgreSQL's leave it where it lay until then.
"""

import ast
import importlib
import json
from typing import Any

from django.db import migrations, transaction

from openmid.instance.actions import pills
from openmid.instance.records import header_secrets

AUDITED = {"action_step": "headers", "http_connection": "additional_http_headers"}
TABLES = ("action_step", "http_connection", "step_execution", "ecc_queue", "sys_audit")
AT_ONCE = 500


def forwards(apps: Any, schema_editor: Any) -> None:
    with transaction.atomic(schema_editor.connection.alias):
        count = _records(apps.get_model("actions", "Step"), "headers")
        count += _records(apps.get_model("connections", "HttpConnection"), "additional_http_headers")
        count += _documents(apps.get_model("actions", "StepExecution"), "plan")
        count += _documents(apps.get_model("ecc", "EccQueueItem"), "payload")
        count += _audit(apps.get_model("audit", "Audit"), schema_editor)
    if count:
        _rewritten(schema_editor.connection)


def _records(model: Any, column: str) -> int:
    count = 0
    for record in model.objects.exclude(**{column: []}):
        before = [list(pair) for pair in getattr(record, column)]
        record.save(update_fields=[column])  # the field seals
        count += before != getattr(record, column)
    return count


def _documents(model: Any, column: str) -> int:
    count = 0
    for pk, text in model.objects.values_list("pk", column).iterator(AT_ONCE):
        document = json.loads(text) if '"headers":[[' in text else None
        sealed = _sealed(document)
        if sealed != document:
            model.objects.filter(pk=pk).update(**{column: json.dumps(sealed, separators=(",", ":"))})
            count += 1
    return count


def _sealed(value: Any) -> Any:
    if isinstance(value, list):
        return [_sealed(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: [list(pair) for pair in header_secrets.sealed(each, pills.has_pills)] if name == "headers" else _sealed(each)
        for name, each in value.items()
    }


def _audit(model: Any, schema_editor: Any) -> int:
    count = 0
    _change_audit(schema_editor, True)
    for table, column in AUDITED.items():
        for entry in model.objects.filter(tablename=table, fieldname=column):
            before = entry.oldvalue, entry.newvalue
            entry.oldvalue, entry.newvalue = map(_masked, before)
            if (entry.oldvalue, entry.newvalue) != before:
                entry.save()
                count += 1
    _change_audit(schema_editor, False)
    return count


def _masked(value: str) -> str:
    """An audited list of pairs without its secrets; one that was cut off is left out."""
    if not value:
        return value
    try:
        pairs = ast.literal_eval(value)
        masked = header_secrets.masked(pairs)
    except (ValueError, SyntaxError, TypeError):
        return header_secrets.MASK
    return value if masked == [list(pair) for pair in pairs] else str(masked)


def _change_audit(schema_editor: Any, may: bool) -> None:
    """For once a row is changed that nobody can change."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE sys_audit {'DISABLE' if may else 'ENABLE'} TRIGGER sys_audit_no_change")
    else:
        append_only = importlib.import_module("openmid.instance.audit.migrations.0002_append_only")
        schema_editor.execute("DROP TRIGGER sys_audit_no_update" if may else append_only.SQLITE[0])


def _rewritten(connection: Any) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"VACUUM (FULL) {', '.join(TABLES)}")
        else:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class Migration(migrations.Migration):
    atomic = False  # no database rewrites itself within a transaction
    dependencies = [
        ("actions", "0007_sealed_headers"),
        ("audit", "0002_append_only"),
        ("connections", "0003_sealed_headers"),
        ("ecc", "0003_writer"),
    ]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]

"""`sysparm_query`: conditions `column=value` joined by `^`. What else the language has is refused, not ignored."""

from __future__ import annotations

import re
from typing import Any

from django.db import models
from django.db.models import Q

from openmid.instance.records.base import Record
from openmid.instance.table_api.problems import BadInputError
from openmid.instance.table_api.tables import TRUTH, Table

MOST = 50
"""Conditions of a query. Databases refuse, or plan for hours, what joins and compares without end."""
_CONDITION = re.compile(r"\A([a-z][a-z0-9_]*)=(.*)\Z", re.DOTALL)


def select(table: Table, query: str) -> models.QuerySet[Record]:
    """The records that `query` means.

    Raises:
        BadInputError: an operator or a column that is not known here.
    """
    found = table.model._default_manager.all()
    parts = [part for part in query.split("^") if part]
    if len(parts) > MOST:
        raise BadInputError(f"Invalid query of {len(parts)} conditions", f"a query has at most {MOST} of them")
    for part in parts:
        match = _CONDITION.match(part)
        if match is None:
            raise BadInputError(
                f"Invalid query at {part}", "conditions are column=value, joined by ^; nothing else is known yet"
            )
        found = found.filter(_condition(table, match[1], match[2]))
    return found


def _condition(table: Table, name: str, value: str) -> Q:
    field = table.columns.get(name)
    if field is None:
        if name in table.computed:
            raise BadInputError(f"Invalid query at {name}", f"{name} is computed: it cannot be asked for in a query")
        raise BadInputError(f"Invalid query at {name}", f"there is no column {name} in table {table.name}")
    if isinstance(field, models.BooleanField):
        if value not in TRUTH:
            raise BadInputError(f"Invalid query at {name}", "write true or false")
        return Q(**{name: TRUTH[value]})
    if value == "":
        empty = Q(**{f"{name}__isnull": True})
        return empty | Q(**{name: ""}) if isinstance(field, models.CharField | models.TextField) else empty
    return Q(**{name: _typed(field, name, value)})


def _typed(field: models.Field[Any, Any], name: str, value: str) -> Any:
    if not isinstance(field, models.IntegerField):
        if isinstance(field, models.DateTimeField | models.JSONField):
            raise BadInputError(f"Invalid query at {name}", f"{name} cannot be asked for in a query yet")
        return value
    if not re.fullmatch(r"-?\d{1,18}", value):
        raise BadInputError(f"Invalid query at {name}", "write a number")
    return int(value)

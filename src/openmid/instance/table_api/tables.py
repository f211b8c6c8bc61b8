"""The tables: which columns go out, how values are written, how input becomes a form.

All values are strings. A reference goes out as `{"link", "value"}`; it comes in as a sys_id or as the display name.
Columns that are encrypted come in and never go out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.models import model_to_dict

from openmid.instance.connections.credentials import KINDS, Credential
from openmid.instance.connections.forms import (
    ConnectionAliasForm,
    HttpConnectionForm,
    MidProtocolProfileForm,
    credential_form,
)
from openmid.instance.connections.models import ConnectionAlias, HttpConnection, MidProtocolProfile
from openmid.instance.mid.models import (
    ClusterMember,
    IpRange,
    MidApplication,
    MidCapability,
    MidCluster,
    MidIssue,
    MidServer,
)
from openmid.instance.records import clock
from openmid.instance.records.base import SYS_COLUMNS, Record
from openmid.instance.records.header_secrets import HeadersField, masked_where_sealed
from openmid.instance.records.secrets import EncryptedField
from openmid.instance.table_api.problems import BadInputError, invalid

TRUTH = {"true": True, "1": True, "false": False, "0": False}
INSIDE = (
    "credential_hash",
    "previous_credential_hash",
    "reported_status",
    "configuration",
    "fips_proof",
    "proof_asked",
    "profiles_not_loaded",
    "processes",
)
MICROSECONDS = ("restart_asked", "started", "last_refreshed", "last_detected", "resolved")


@dataclass(frozen=True)
class Table:
    """One table: its model, the form that reads input (None: read-only), computed columns, columns that stay inside."""

    model: type[Record]
    form: type[forms.ModelForm] | None = None  # type: ignore[type-arg]
    computed: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As in the URL."""
        return self.model._meta.db_table

    @cached_property
    def columns(self) -> dict[str, models.Field[Any, Any]]:
        """The columns of the database that go out, by name."""
        found = {field.name: field for field in (*self.model._meta.fields, *self.model._meta.many_to_many)}
        return {
            name: field
            for name, field in found.items()
            if not isinstance(field, EncryptedField) and name not in self.hidden
        }

    @property
    def lists(self) -> list[str]:
        """The columns that go out with several records in each."""
        return [name for name, field in self.columns.items() if isinstance(field, models.ManyToManyField)]

    @cached_property
    def writable(self) -> dict[str, models.Field[Any, Any]]:
        """The columns that come in, by name."""
        names = self.form._meta.fields if self.form else ()
        assert names is not None
        return {str(name): self.model._meta.get_field(str(name)) for name in names}  # type: ignore[misc]

    def permission(self, verb: str) -> str:
        """Django's name of a permission: `verb` is view, add, change or delete."""
        return f"{self.model._meta.app_label}.{verb}_{self.model._meta.model_name}"

    def row(self, record: Record, link: str, with_links: bool, fields: frozenset[str]) -> dict[str, Any]:
        """A record as it goes out; `link` is the URL before `{table}/{sys_id}`; no `fields`: all."""
        found: dict[str, Any] = {"sys_class_name": record.sys_class_name}
        for name in self.computed:
            found[name] = _text(getattr(record, name))
        for name, field in self.columns.items():
            found[name] = _value(record, name, field, link, with_links)
        return {name: value for name, value in found.items() if not fields or name in fields}

    def save(self, record: Record, sent: dict[str, Any]) -> Record:
        """`record` with the columns that were `sent`, through the same form as the pages'.

        Raises:
            BadInputError: names each column with its sentence.
        """
        assert self.form is not None
        values = self._read(sent)
        for name, value in values.items():
            if value == "" and isinstance(self.writable[name], EncryptedField):
                if not self.writable[name].blank:
                    raise invalid(ValidationError({name: ["Enter it: such a record has one. Left out it stays."]}))
                setattr(record, name, "")  # before the form, which takes an empty one for "as it is"
        known = model_to_dict(record, fields=list(self.writable))
        stored = {name: value for name, value in known.items() if not isinstance(self.writable[name], EncryptedField)}
        for name, value in stored.items():
            if isinstance(self.writable[name], models.ManyToManyField):
                stored[name] = [each.pk for each in value]
        form = self.form(stored | values, instance=record)
        if not form.is_valid():
            raise invalid(ValidationError({name: error.as_data() for name, error in form.errors.items()}))
        saved: Record = form.save()
        return saved

    def _read(self, sent: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        problems: dict[str, list[str]] = {}
        for name, value in sent.items():
            if name not in self.writable:
                problems[name] = [_not_writable(name, self)]
                continue
            try:
                values[name] = _input(self.writable[name], value)
            except ValidationError as error:
                problems[name] = error.messages
        if problems:
            raise invalid(ValidationError(problems))
        return values


def _form(model: type[Record], *fields: str) -> type[forms.ModelForm]:  # type: ignore[type-arg]
    return forms.modelform_factory(model, fields=fields)


TABLES = {
    table.name: table
    for table in (
        Table(ConnectionAlias, ConnectionAliasForm),
        Table(HttpConnection, HttpConnectionForm),
        Table(MidProtocolProfile, MidProtocolProfileForm),
        Table(MidServer, computed=("status", "proof"), hidden=INSIDE),
        Table(MidIssue),
        Table(MidCluster, _form(MidCluster, "name", "cluster_type")),
        Table(ClusterMember, _form(ClusterMember, "cluster", "mid_server", "order")),
        Table(MidCapability, _form(MidCapability, "name", "description")),
        Table(MidApplication, _form(MidApplication, "name", "description")),
        Table(IpRange, _form(IpRange, "name", "type", "range")),
        Table(Credential),
        *(Table(kind, credential_form(kind)) for kind in KINDS),
    )
}


def _not_writable(name: str, table: Table) -> str:
    if name in SYS_COLUMNS or name in table.columns:
        return "This column is written by the instance."
    return f"There is no column {name} in table {table.name}."


def _value(record: Record, name: str, field: models.Field[Any, Any], link: str, with_links: bool) -> Any:
    if isinstance(field, models.ManyToManyField):
        return ",".join(each.pk for each in getattr(record, name).all())
    if isinstance(field, models.ForeignKey):
        value = getattr(record, field.attname) or ""
        if not value or not with_links:
            return value
        return {"link": f"{link}/{field.related_model._meta.db_table}/{value}", "value": value}
    if isinstance(field, HeadersField):
        return _text(masked_where_sealed(getattr(record, name)))
    value = getattr(record, name)
    if name in MICROSECONDS and value is not None:
        value = clock.moment(value)
    return _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _input(field: models.Field[Any, Any], value: Any) -> Any:
    """One value that came in, as the form takes it."""
    if isinstance(value, dict) and set(value) <= {"value", "link", "display_value"}:
        value = value.get("value", "")  # a reference as it went out
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, int | float):
        value = str(value)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise ValidationError("A value is a string.")
    if isinstance(field, models.BooleanField):
        if value.lower() not in TRUTH:
            raise ValidationError("Write true or false.")
        return TRUTH[value.lower()]
    if isinstance(field, models.ManyToManyField):
        return [_reference(field, each.strip()) for each in value.split(",") if each.strip()]
    if isinstance(field, models.ForeignKey):
        return _reference(field, value) if value else ""
    return value


def _reference(field: Any, value: str) -> str:
    """The sys_id that a sys_id or a display name means."""
    model = field.related_model
    found = model.objects.filter(pk=value).first() or model.objects.filter(**{display(model): value}).first()
    if found is None:
        raise ValidationError(f"There is no {model._meta.verbose_name} “{value}”.")
    return str(found.pk)


def display(model: type[models.Model]) -> str:
    """The column by which people call a record."""
    return "protocol" if model is MidProtocolProfile else "name"


def read(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        BadInputError: it is not one.
    """
    try:
        sent = json.loads(raw or b"{}")
        json.dumps(sent, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        raise BadInputError("The body is not JSON", "send one JSON object") from None
    if not isinstance(sent, dict):
        raise BadInputError("The body is not a JSON object", 'send one JSON object, for example {"name": "partner"}')
    return sent

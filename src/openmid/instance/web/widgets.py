"""Widgets that unfold does not have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import TO_FIELD_VAR
from django.db.models import ManyToOneRel
from django.forms import Field, Widget
from django.urls import reverse

from openmid.instance.records.header_secrets import MASK, is_sealed
from openmid.instance.web.unfolded import CheckboxList

if TYPE_CHECKING:
    from django.contrib.admin.widgets import ForeignKeyRawIdWidget as RawIdWidget
else:
    from unfold.widgets import UnfoldForeignKeyRawIdWidget as RawIdWidget


class ReferenceWidget(RawIdWidget):
    """The magnifying glass. It shows and takes the record's name (`column`, which is unique), not its sys_id."""

    template_name = "openmid/reference.html"

    def __init__(self, rel: ManyToOneRel, admin_site: Any, column: str, look_up: str = "Look up using list") -> None:
        super().__init__(rel, admin_site, attrs={"autocomplete": "off"})
        self.column, self.look_up = column, look_up

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"]["look_up"] = self.look_up
        return context

    def url_parameters(self) -> dict[str, str]:
        return {**super().url_parameters(), TO_FIELD_VAR: self.column}

    def label_and_url_for_value(self, value: Any) -> tuple[str, str]:
        record = self.rel.model._default_manager.filter(**{self.column: value}).first()
        if record is None:
            return "", ""
        options = record._meta
        return str(record), reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[record.pk])


class CodesWidget(CheckboxList):
    """Codes to choose, in groups, each with its words."""

    template_name = "openmid/codes.html"


class PairsWidget(Widget):
    """Rows of a name and a value, in order, duplicates kept. Without JavaScript there is one empty row at the end."""

    template_name = "openmid/pairs.html"
    name_label = "Name"
    """What a screen reader hears for the first of the two."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"] |= {"rows": _rows(value), "name_label": self.name_label}
        return context

    def format_value(self, value: Any) -> Any:
        return value

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[list[str]]:
        names, values = data.getlist(f"{name}-name"), data.getlist(f"{name}-value")
        return [[left.strip(), right] for left, right in zip(names, values, strict=False) if left.strip() or right]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False  # no rows are an empty list

    def id_for_label(self, id_: str | None) -> str:
        return f"{id_}_0"


class PairsField(Field):
    """A list of [name, value] pairs."""

    widget = PairsWidget

    def __init__(self, label: str, help_text: str = "") -> None:
        super().__init__(label=label, required=False, help_text=help_text)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _rows(initial) != _rows(data)


@dataclass(frozen=True)
class Column:
    """One column of `RowsField`: text, or a choice of (value, label)."""

    name: str
    label: str
    choices: tuple[tuple[str, str], ...] = ()
    placeholder: str = ""


class RowsWidget(Widget):
    """Rows of named columns; the first one names the row, and a row without it does not count."""

    template_name = "openmid/rows.html"

    def __init__(self, columns: Sequence[Column], what: str) -> None:
        super().__init__()
        self.columns, self.what = tuple(columns), what

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        rows = [self._cells(each) for each in (value or []) if isinstance(each, dict)]
        context["widget"] |= {"rows": [*rows, self._cells({})], "columns": self.columns, "what": self.what}
        return context

    def _cells(self, row: dict[str, Any]) -> list[tuple[Column, str]]:
        return [(column, _cell(row.get(column.name))) for column in self.columns]

    def format_value(self, value: Any) -> Any:
        return value

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[dict[str, str]]:
        columns = [data.getlist(f"{name}-{column.name}") for column in self.columns]
        rows = [
            dict(zip((column.name for column in self.columns), cells, strict=True))
            for cells in zip(*columns, strict=False)
        ]
        first = self.columns[0].name
        return [{key: cell for key, cell in row.items() if cell} for row in rows if row[first].strip()]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str | None) -> str:
        return f"{id_}_0"


class RowsField(Field):
    """A list of objects; `read` makes of a row's texts what is kept."""

    def __init__(
        self,
        label: str,
        columns: Sequence[Column],
        what: str,
        read: Callable[[dict[str, str]], dict[str, Any]] = dict,
        help_text: str = "",
    ) -> None:
        super().__init__(label=label, required=False, widget=RowsWidget(columns, what), help_text=help_text)
        self.read = read

    def clean(self, value: Any) -> list[dict[str, Any]]:
        return [self.read(row) for row in value or []]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.clean(data)


def _cell(value: Any) -> str:
    if value is None or value is False:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _rows(value: Any) -> list[tuple[str, str]]:
    pairs = value if isinstance(value, list) else []  # an address may say what a new record has: anything
    return [(str(left), MASK if is_sealed(str(right)) else str(right)) for left, right in pairs]

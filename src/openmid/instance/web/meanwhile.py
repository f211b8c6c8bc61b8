"""A form that says when its record was changed while it was open, and does not write old values over that silently."""

from __future__ import annotations

from typing import Any

from django import forms

SEEN = "_mod_count"
"""The hidden field: the record's sys_mod_count when the page was made. API and new records have none."""


class MeanwhileForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """The form of a record that two people, or two tabs, may have open."""

    def clean(self) -> dict[str, Any]:
        """What the page showed is what stands there; the next answer has the new count, so a second Save is a decision."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        record, seen = self.instance, self.data.get(SEEN, "")
        if seen and not record._state.adding and seen != str(record.sys_mod_count):
            self.add_error(
                None,
                f"{record.sys_updated_by or 'Somebody'} saved this record at {record.sys_updated_on:%H:%M:%S} UTC, after "
                "this page was opened; nothing is saved now. Reload to see that, or save again to write over it.",
            )
        return cleaned

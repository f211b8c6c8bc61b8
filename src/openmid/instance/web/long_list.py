"""Lists that may have very many rows."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest

from openmid.instance.web.unfolded import Admin, ChangeList


class _CountedOnce(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """Where nothing is filtered, what was found is all that there is: there is nothing more to show."""
        super().get_results(request)
        if not self.query and not self.get_filters_params():
            self.full_result_count = self.result_count


class LongListAdmin(Admin):
    """Pages of a model whose rows are not counted a second time, without the list's filters."""

    show_full_result_count = False

    def filtered(self, request: HttpRequest) -> QuerySet[Any]:
        """What the list shows under the filters in the address.

        Raises:
            BadRequest: they are none.
        """
        try:
            return self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters as error:
            raise BadRequest(str(error)) from None

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return _CountedOnce

"""`/api/v1/mid-servers`: what scripts do with MID Servers beside the tables."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase, JsonResponse

from openmid.instance.mid import enrolment
from openmid.instance.mid.models import MidServer
from openmid.instance.table_api.problems import BadInputError, NoRecordError
from openmid.instance.table_api.tables import read
from openmid.instance.table_api.views import api, demand, method_not_allowed


@api
def mid_server(request: HttpRequest, name: str, verb: str) -> HttpResponseBase:
    """POST: `validate` (`{"fingerprint"}`), `invalidate`, `rekey`, `prove`, `pause`, `resume`, `restart`."""
    if request.method != "POST":
        return method_not_allowed(request, "POST")
    demand(request, "mid.change_midserver", "validate MID Servers")
    found = MidServer.objects.filter(name=name).first()
    if found is None:
        raise NoRecordError
    try:
        if verb == "validate":
            enrolment.validate(found, str(read(request.body).get("fingerprint", "")))
        elif verb == "invalidate":
            enrolment.invalidate(found)
        elif verb == "prove":
            found.ask_for_proof()
        elif verb in ("pause", "resume"):
            found.pause(verb == "pause")
        elif verb == "restart":
            found.ask_for_restart()
        else:
            enrolment.request_rekey(found)
    except enrolment.EnrolmentRefused as error:
        raise BadInputError(str(error), error.hint) from None
    return JsonResponse(
        {"result": {"name": found.name, "validated": found.validated, "fingerprint": found.fingerprint}}
    )

"""The Table API's errors: `{"error": {"message", "detail"}, "status": "failure"}` and a status.

ApiError
  BadInputError        400: the body, a value, or the query; `detail` names the fields
  NotSignedInError     401
  NotAllowedError      403
  NoRecordError        404
  InTheWayError        409: the same again shows what it was
  TooManyError         429: `Retry-After` says how long to wait
  OutOfOrderError      503
"""

from __future__ import annotations

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import JsonResponse


class ApiError(Exception):
    """Raised to answer with an error."""

    status = 500

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail

    def answer(self) -> JsonResponse:
        """The error as it goes out."""
        failure = {"error": {"message": str(self), "detail": self.detail or None}, "status": "failure"}
        return JsonResponse(failure, status=self.status)


class BadInputError(ApiError):
    """Raised when the body, a value, or the query cannot be taken."""

    status = 400


class NotSignedInError(ApiError):
    """Raised when the request shows no user."""

    status = 401

    def __init__(self, detail: str = "Required to provide Auth information") -> None:
        super().__init__("User Not Authenticated", detail)

    def answer(self) -> JsonResponse:
        response = super().answer()
        response["WWW-Authenticate"] = 'Basic realm="openmid"'
        return response


class NotAllowedError(ApiError):
    """Raised when the user may not do this."""

    status = 403


class TooManyError(ApiError):
    """Raised when too many passwords were wrong."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__("Too many failed sign-ins", f"wait {seconds} seconds")
        self.seconds = seconds

    def answer(self) -> JsonResponse:
        response = super().answer()
        response["Retry-After"] = str(self.seconds)
        return response


class OutOfOrderError(ApiError):
    """Raised when the machine under the database fails."""

    status = 503


class NoRecordError(ApiError):
    """Raised when the record is not there."""

    status = 404

    def __init__(self) -> None:
        super().__init__("No Record found", "Record doesn't exist or ACL restricts the record retrieval")


class InTheWayError(ApiError):
    """Raised when another request made, changed or deleted a record between a check and the commit."""

    status = 409

    def __init__(self) -> None:
        super().__init__("Another request was in the way", "nothing was done: send it again")


def invalid(error: ValidationError) -> BadInputError:
    """A `BadInputError` that names each field with its sentences."""
    found = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    fields = [name for name in found if name != NON_FIELD_ERRORS]
    said = [
        " ".join(texts) if name == NON_FIELD_ERRORS else f"{name}: {' '.join(texts)}" for name, texts in found.items()
    ]
    return BadInputError(f"Invalid value of {', '.join(fields)}" if fields else "Invalid values", "; ".join(said))

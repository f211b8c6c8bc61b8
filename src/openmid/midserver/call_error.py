"""What ends a call before its answer, where the one who failed knows the cause."""

from __future__ import annotations


class CallError(Exception):
    """Raised with the code of a cause of `openmid.diagnosis` and the words that its sentence takes."""

    def __init__(self, code: str, detail: str = "", remedy: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.remedy = remedy

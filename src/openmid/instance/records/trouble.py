"""What a database says when the machine under it fails, as a sentence and what to do; nothing was changed by then."""

from __future__ import annotations

AWAY = ("the instance's database server does not answer", "see that PostgreSQL runs, then try again")
ZERO_BYTE = ("a text with a zero byte in it cannot be kept in PostgreSQL", "leave the byte out")
_WORDS = (
    ("disk is full", "the instance's disk is full", "make room on it; what was asked for was not done"),
    ("disk I/O error", "the instance cannot read or write its disk", "look into the system's log; check the disk"),
    ("readonly database", "the instance may not write its database", "give openmid.sqlite3 to the instance's user"),
    ("server is away", *AWAY),
    ("connection to server", *AWAY),
    ("server closed the connection", *AWAY),
    ("terminating connection", *AWAY),
    ("connection is lost", *AWAY),
    ("connection is closed", *AWAY),
    ("connection slots", "the instance's database server has no free connection", "raise its max_connections"),
    ("too many clients", "the instance's database server has no free connection", "raise its max_connections"),
    ("No space left on device", "the disk of the instance's database server is full", "make room; nothing was done"),
    ("read-only transaction", "the instance's database server takes no writes", "name the primary in instance.json"),
    ("NUL (0x00)", *ZERO_BYTE),
    ("unsupported Unicode escape", *ZERO_BYTE),
    ("database is locked", "the instance's database is held by another process", "end that process, or try again"),
)


def of_the_database(error: Exception) -> tuple[str, str] | None:
    """The sentence and the hint for an error of the database; None when it is a defect of ours."""
    return next(((sentence, hint) for words, sentence, hint in _WORDS if words in str(error)), None)

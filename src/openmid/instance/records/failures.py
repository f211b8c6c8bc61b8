"""What a database that is a server of its own adds to failures; `django.db`'s classes for everything else.

OperationalError (Django's)
  DatabaseAway       the server does not answer: nothing was done
    CommitUnknown    it went away during a commit: `PostgresqlConnection.committed` finds out
  Collision          another node's transaction was in the way: nothing was done, and it may be done again
IntegrityError (Django's)
  Duplicate          another row has this key already, perhaps since a moment ago
"""

from __future__ import annotations

from django.db import IntegrityError, OperationalError


class DatabaseAway(OperationalError):
    """Raised when the database server does not answer."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the database server is away: {why}")


class CommitUnknown(DatabaseAway):
    """Raised when the connection was lost during a commit of the transaction `mark`."""

    def __init__(self, mark: str) -> None:
        super().__init__("it went during a commit")
        self.mark = mark


class Collision(OperationalError):
    """Raised when a transaction gave way to another one."""


class Duplicate(IntegrityError):
    """Raised when another row has this key."""

"""External credential stores on this very host: environment variables, and files that somebody else puts there."""

from __future__ import annotations

import os
from pathlib import Path

from openmid.midserver.errors import SecretUnavailable
from openmid.midserver.external_store import Options

PREFIX = "OPENMID_SECRET_"
FOLDER = "/run/secrets"
MOST_BYTES = 64 * 1024


class Environment:
    """The secret `PARTNER` is the variable OPENMID_SECRET_PARTNER: the instance names secrets, not any variable."""

    def __init__(self, options: Options) -> None:
        self._prefix = options.get("prefix", PREFIX)

    def secret(self, name: str) -> str:
        """The variable's value."""
        try:
            return os.environ[self._prefix + name]
        except KeyError:
            raise SecretUnavailable(
                f"the MID Server's environment has no variable {self._prefix}{name}",
                "set it, and restart the MID Server",
            ) from None


class Files:
    """The secret `partner` is the file of that name in the folder: /run/secrets, or what systemd hands over
    (systemd.exec(5), LoadCredential=). Line ends at its end do not belong to it."""

    def __init__(self, options: Options) -> None:
        given = os.environ.get("CREDENTIALS_DIRECTORY", "")
        self._folder = options.agent / options.get("folder", given or FOLDER)

    def secret(self, name: str) -> str:
        """The file's text."""
        path = self._folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts or not name or "\0" in name:
            raise SecretUnavailable(f'"{name}" is not the name of a secret', f"it is a file's name in {self._folder}")
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise SecretUnavailable(f"{path} is too large for a secret", "it has at most 64 KB")
            return content.decode().rstrip("\r\n")
        except OSError as error:
            raise SecretUnavailable(
                f"{path} cannot be read: {error.strerror}", "put it there, readable for the MID Server's user only"
            ) from error
        except UnicodeDecodeError:
            raise SecretUnavailable(f"{path} is not text", "a password belongs there") from None

"""The one secret that everything else on this host hangs on: security/secret.key, or a credential of that name that
systemd hands to the service (systemd.exec(5), LoadCredential=, LoadCredentialEncrypted=). Imports no cryptography."""

from __future__ import annotations

import os
from pathlib import Path

from openmid.midserver import redact
from openmid.midserver.config import write_atomic
from openmid.midserver.errors import StartError

FILE = "security/secret.key"
CREDENTIAL, CREDENTIALS = "secret.key", "CREDENTIALS_DIRECTORY"


def place(agent: Path) -> Path:
    """Where the secret is: systemd's credential if there is one, else the agent folder's own file."""
    folder = os.environ.get(CREDENTIALS, "")
    given = Path(folder, CREDENTIAL)
    return given if folder and given.is_file() else agent / FILE


def read(agent: Path) -> str:
    """The secret; empty when there is none yet.

    Raises:
        StartError: it is there, and cannot be read.
    """
    path = place(agent)
    try:
        return redact.learn(path.read_text("ascii").strip())
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise StartError(f"{path} cannot be read: {reason}", "give it to the user that runs the MID Server") from error


def make(agent: Path) -> str:
    """A new secret in the agent folder: 256 random bits."""
    from openmid.fips import keys

    (agent / FILE).parent.mkdir(mode=0o700, exist_ok=True)
    secret = redact.learn(keys.random_bytes(32).hex())
    write_atomic(agent / FILE, secret.encode())
    return secret

"""Files of trusted certificates: PEM, or a BCFKS truststore."""

from __future__ import annotations

from pathlib import Path

from openmid import keystore
from openmid.midserver import redact


def trusted(path: Path, password: str) -> str | bytes:
    """PEM text, or DER certificates in a row, as `tls.client_context` takes them.

    Raises:
        KeystoreError, OSError, UnicodeDecodeError: it is not there, or does not open.
    """
    if keystore.detect(path) == "PEM":
        return path.read_text("ascii")
    store = keystore.load(path, redact.learn(password), terms=keystore.Terms(old_algorithms=False))
    return b"".join(entry.certificate for entry in store.certificates().values())

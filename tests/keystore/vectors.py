"""The vectors and what their manifest says of them (tests/vectors/PROVENANCE.md)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vectors" / "keystores"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
FILES: dict[str, dict[str, Any]] = {vector["file"]: vector for vector in MANIFEST["files"]}

# The pair that most tests need: RSA 2048 with a chain of three.
PLAIN_PEM = FOLDER / "pem-pkcs8-key-and-chain.pem"
STORE_PASSWORD = "changeit"


def of_type(*types: str) -> list[str]:
    """File names of these types that are valid."""
    return [
        name
        for name, vector in FILES.items()
        if vector["type"] in types and not str(vector.get("note", "")).startswith("INVALID")
    ]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

"""How many libcryptos a process of this Python has: the one behind `ssl` and `hashlib`, and perhaps one inside the
`cryptography` package. A statically linked OpenSSL has no file name of its own; it is recognised by its version text.
"""

from __future__ import annotations

import importlib.util
import mmap
import re
from functools import cache
from pathlib import Path

# OPENSSL_VERSION_TEXT, e.g. "OpenSSL 4.0.3 29 Sep 2026"
_VERSION_TEXT = re.compile(rb"OpenSSL \d+\.\d+\.\d+[^\0]{0,20} \d{1,2} [A-Z][a-z]{2} \d{4}")


@cache
def cryptography_binding() -> Path | None:
    """The compiled part of `cryptography`, found without importing it; None when it is not installed."""
    spec = importlib.util.find_spec("cryptography")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for found in sorted(Path(folder, "hazmat", "bindings").glob("_rust*")):
            if found.suffix in (".so", ".pyd"):
                return found
    return None


@cache
def cryptography_has_its_own() -> bool:
    """True for the wheel, which carries a static OpenSSL; False where it is linked to the system's libcrypto."""
    binding = cryptography_binding()
    if binding is None:
        return False
    with binding.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _VERSION_TEXT.search(content) is not None


def mapped(name: str) -> list[tuple[Path, int]]:
    """Files of that name that this process has mapped as code, each with its inode (Linux, proc(5) maps)."""
    found: dict[tuple[Path, int], None] = {}
    for row in Path("/proc/self/maps").read_text().splitlines():
        fields = row.split(maxsplit=5)
        if len(fields) == 6 and Path(fields[5]).name.removesuffix(" (deleted)") == name and "x" in fields[1]:
            found[Path(fields[5]), int(fields[4])] = None
    return list(found)

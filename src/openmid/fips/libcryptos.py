"""Which cryptographic libraries this process has: the libcrypto behind `ssl` and `hashlib`, perhaps one inside the
`cryptography` package, and whatever else was loaded. A statically linked OpenSSL has no file name of its own, so a
library is recognised by the version text in it, as it lies in memory: a file that was replaced since deceives nobody.

Linux: proc(5), maps and mem.
"""

from __future__ import annotations

import importlib
import importlib.util
import mmap
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from openmid.fips.proof import Library

# The text that a library answers when it is asked for its version; OpenSSL's also stands in programs compiled with its
# headers. BoringSSL and AWS-LC say "OpenSSL 1.1.1 (compatible; BoringSSL)".
VERSION_TEXTS = {
    b"OpenSSL ": re.compile(
        rb"OpenSSL (?:\d+\.\d+\.\d+[^\0]{0,20} \d{1,2} [A-Z][a-z]{2} \d{4}|FIPS Provider|Legacy Provider)"
    ),
    b"BoringSSL": re.compile(rb"BoringSSL"),
    b"AWS-LC": re.compile(rb"AWS-LC[ .\d]*"),
    b"LibreSSL ": re.compile(rb"LibreSSL \d[.\d]*"),
    b"NSS ": re.compile(rb"NSS \d+\.[.\d]+"),
    b"GnuTLS ": re.compile(rb"GnuTLS \d+\.[.\d]+"),
    b"Libgcrypt ": re.compile(rb"Libgcrypt \d+\.[.\d]+"),
}
# In a libcrypto itself, and in nothing that is only linked to one.
_INSIDE = b"OpenSSL Default Provider"
_CHUNK, _OVERLAP = 1 << 20, 128
# Asking must not load anything: a file that was replaced meanwhile would come in as a second library.
LOADED_ONLY: int = getattr(os, "RTLD_NOLOAD", 0) | getattr(os, "RTLD_NOW", 0)


@dataclass(frozen=True)
class Mapping:
    """A file that this process has mapped as code. `spans` are the readable addresses at which it lies."""

    path: Path
    device: str
    inode: int
    spans: tuple[tuple[int, int], ...]

    def holds(self, address: int) -> bool:
        return any(start <= address < end for start, end in self.spans)


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
        return content.find(_INSIDE) >= 0


def mappings() -> list[Mapping]:
    """Every file that is mapped as code."""
    spans: dict[tuple[str, str, int], list[tuple[int, int]]] = {}
    code = set()
    for row in Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines():
        addresses, flags, _, device, inode, *name = row.split(maxsplit=5)
        if inode == "0" or not name:
            continue
        key = name[0].removesuffix(" (deleted)"), device, int(inode)
        if "r" in flags:
            start, _, end = addresses.partition("-")
            spans.setdefault(key, []).append((int(start, 16), int(end, 16)))
        if "x" in flags:
            code.add(key)
    return [Mapping(Path(key[0]), key[1], key[2], tuple(spans.get(key, ()))) for key in spans if key in code]


def mapped(name: str) -> list[tuple[Path, int]]:
    """Files of that name that are mapped as code, each with its inode."""
    return [(one.path, one.inode) for one in mappings() if one.path.name == name]


def libraries(modules: dict[int, str]) -> list[Library]:
    """The cryptographic libraries of this process. `modules`: inodes of FIPS modules that belong here, and their roles."""
    found = mappings()
    roles = {file: f"libcrypto of {name}" for name, file in known_files(found).items()}
    return [
        Library(str(one.path), version, roles.get(one, modules.get(one.inode, "")))
        for one in found
        if (version := _version(one))
    ]


def known_files(found: list[Mapping]) -> dict[str, Mapping]:
    """Where the libcryptos lie that the proof tries. `_hashlib`'s is `ssl`'s unless it is listed by itself."""
    binding = cryptography_binding() if "cryptography.hazmat.bindings._rust" in sys.modules else None
    addresses = {
        "hashlib": symbol(_extension("_hashlib"), "OpenSSL_version_num"),
        "ssl": symbol(_extension("_ssl"), "OpenSSL_version_num"),
        "cryptography": symbol(str(binding), "PyInit__rust") if binding else None,
    }
    files = {
        name: one for name, address in addresses.items() for one in found if address is not None and one.holds(address)
    }
    if files.get("hashlib") == files.get("ssl"):
        files.pop("hashlib", None)
    return files


def symbol(library: str | None, name: str) -> int | None:
    """The address at which a loaded library (None: the program itself) finds a function; None when it does not, or when
    the file there is no longer the one that is loaded."""
    import ctypes

    try:
        function = getattr(ctypes.CDLL(library, mode=LOADED_ONLY), name, None)
    except OSError:
        return None
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def provider_available(library: str | None, provider: str) -> bool:
    """Whether the libcrypto that `library` finds has loaded a provider (OSSL_PROVIDER(3)).

    Raises OSError or AttributeError where it cannot be asked.
    """
    import ctypes

    available = ctypes.CDLL(library, mode=LOADED_ONLY).OSSL_PROVIDER_available
    available.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    return bool(available(None, provider.encode()))


def ssl_extension() -> str | None:
    """The file of Python's `_ssl`; None where it is part of the program itself."""
    return _extension("_ssl")


def _extension(name: str) -> str | None:
    return getattr(importlib.import_module(name), "__file__", None)


_versions: dict[Mapping, str] = {}


def _version(file: Mapping) -> str:
    """The version text in a mapped file, empty for what is no cryptographic library. Read once per mapping."""
    if file not in _versions:
        texts = sorted({text for span in file.spans for text in _texts(*span)})
        _versions[file] = ", ".join(texts)
    return _versions[file]


def version_texts(content: bytes) -> Iterator[str]:
    """The version texts of cryptographic libraries in `content`."""
    for beginning, whole in VERSION_TEXTS.items():
        at = content.find(beginning)  # much quicker than the expression
        if at >= 0:
            yield from (text.decode(errors="replace").strip() for text in whole.findall(content, at))


def _texts(start: int, end: int) -> Iterator[str]:
    with open("/proc/self/mem", "rb", buffering=0) as memory:  # noqa: PTH123  not a path, this process's memory
        for at in range(start, end, _CHUNK):
            try:
                part = os.pread(memory.fileno(), min(_CHUNK + _OVERLAP, end - at), at)
            except OSError:  # beyond the end of the file
                return
            yield from version_texts(part)

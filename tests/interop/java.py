"""Bouncy Castle in a Java process that stays: what StoreChecker.java says, as Python has it."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests import parts

BC = "org.bouncycastle.jce.provider.BouncyCastleProvider"
BC_FIPS = "org.bouncycastle.jcajce.provider.BouncyCastleFipsProvider"


class JavaError(Exception):
    """Java refused: `kind` is the exception's class, the text its message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class JavaEntry(NamedTuple):
    """An entry as Java sees it. `kind` is private, secret, pbe, certificate, or sealed: then `algorithm` says why."""

    kind: str
    algorithm: str
    key: bytes | None
    certificates: tuple[str, ...]  # SHA-256
    created: int  # ms
    signs: str  # true, false or the error; "-" for other kinds


@cache
def checker() -> tempfile.TemporaryDirectory[str]:
    """StoreChecker, compiled once for the session: every Bouncy Castle has the classes that it names."""
    folder = tempfile.TemporaryDirectory(prefix="openmid-checker-")
    compiler = (parts.program("java", "default-jre-headless"), "-m", "jdk.compiler/com.sun.tools.javac.Main")
    source = Path(__file__).with_name("StoreChecker.java")
    subprocess.run([*compiler, "-cp", parts.bcprov(), "-d", folder.name, source], check=True)
    return folder


class Java:
    """One process. Its provider's own self-tests take seconds, so there is one for all tests of a session."""

    def __init__(self, jar: Path, provider: str, *options: str) -> None:
        java = parts.program("java", "default-jre-headless")
        path = f"{jar}:{checker().name}"
        words = (java, "-Xmx1g", "-XX:+UseSerialGC", *options, "-cp", path, "StoreChecker", provider)
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ((self.provider, self.version),) = self._reply()
        self.name = self.provider

    def close(self) -> None:
        """End of input is the end."""
        self._process.communicate(timeout=30)

    def _ask(self, *fields: str) -> list[list[str]]:
        assert self._process.stdin
        self._process.stdin.write("\t".join(fields) + "\n")
        self._process.stdin.flush()
        rows = self._reply()
        if rows and rows[0][0] == "error":
            raise JavaError(rows[0][1], decoded(rows[0][2]))
        return rows

    def _reply(self) -> list[list[str]]:
        rows: list[list[str]] = []
        assert self._process.stdout
        for line in self._process.stdout:
            if line == ".\n":
                return rows
            rows.append(line.rstrip("\n").split("\t"))
        raise AssertionError(f"Java ended with status {self._process.wait()}: {rows}")

    def read(
        self, path: Path, password: str | None, kind: str = "BCFKS", keys: Sequence[str | None] = ()
    ) -> dict[str, JavaEntry]:
        """Every entry; a key is tried with the passwords `keys`, by default the store's. Raises JavaError."""
        rows = self._ask("read", str(path), kind, encoded(password), passwords(keys or (password,)))
        return {decoded(alias): entry(*rest) for alias, *rest in rows}

    def copy(
        self,
        path: Path,
        password: str | None,
        target: Path,
        new_password: str | None,
        options: str = "default",
        *,
        kinds: tuple[str, str] = ("BCFKS", "BCFKS"),
        keys: Sequence[str | None] = (),
        new_key: str | None = None,
    ) -> dict[str, str]:
        """Have Java write what it read; what it could not take over, and why. Raises JavaError."""
        source = (str(path), kinds[0], encoded(password), passwords(keys or (password,)))
        new = (str(target), kinds[1], encoded(new_password), encoded(new_key if new_key is not None else new_password))
        return {decoded(alias): decoded(why) for alias, why in self._ask("copy", *source, *new, options)}


def entry(kind: str, algorithm: str, key: str, certificates: str, created: str, signs: str) -> JavaEntry:
    clear = None if key == "-" else base64.b64decode(key)
    digests = () if certificates == "-" else tuple(certificates.split(","))
    return JavaEntry(kind, decoded(algorithm) if kind == "sealed" else algorithm, clear, digests, int(created), signs)


def encoded(text: str | None) -> str:
    if text is None:
        return "-"
    return base64.b64encode(text.encode("utf-16-be", "surrogatepass")).decode() or "="


def passwords(texts: Sequence[str | None]) -> str:
    return ",".join(map(encoded, texts))


def decoded(field: str) -> str:
    return "" if field == "=" else base64.b64decode(field).decode("utf-16-be", "surrogatepass")

"""The real parts that tests talk to. A missing one is a skip that names it, and a failure under OPENMID_REQUIRE_ALL=1."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

BCPROV_JARS = (Path("/usr/share/java/bcprov.jar"),)
CHROMIUM_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def missing(part: str, package: str) -> None:
    """End the test: `part` is not on this machine, Debian's `package` has it."""
    sentence = f"{part} is not on this machine (Debian package {package})"
    if os.environ.get("OPENMID_REQUIRE_ALL") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def program(name: str, package: str) -> str:
    """The path of a program that a test needs."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        missing(name, package)
    assert found
    return found


def bcprov() -> Path:
    """Bouncy Castle's provider, as Debian packages it."""
    for jar in BCPROV_JARS:
        if jar.exists():
            return jar
    missing("Bouncy Castle's bcprov.jar", "libbcprov-java")
    raise AssertionError


def bc_fips(version: str = "2.1.2") -> Path:
    """Bouncy Castle's FIPS provider, as scripts/fetch-bc-fips fetched it."""
    return _fetched(f"bc-fips-{version}.jar")


def current_bcprov() -> Path:
    """A newer Bouncy Castle than Debian's, from where bc-fips comes from."""
    return _fetched("bcprov-jdk18on-1.87.jar")


def _fetched(name: str) -> Path:
    """Maven may reach no registry: then a skip it is."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    jar = Path(cache, "openmid", "bc-fips", name)
    if jar.exists():
        return jar
    sentence = f"{name} is not on this machine (scripts/fetch-bc-fips gets it, with Maven)"
    if os.environ.get("OPENMID_REQUIRE_BC_FIPS") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def chromium() -> str:
    """A Chromium that Playwright can drive."""
    for name in CHROMIUM_NAMES:
        found = shutil.which(name)
        if found:
            return found
    return program("chromium-headless-shell", "chromium-headless-shell")


def postgresql() -> Path:
    """The folder of PostgreSQL's programs: initdb, pg_ctl, pg_dump."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: int(each.parts[-3]))
    if found:
        return found[-1].parent
    return Path(program("initdb", "postgresql")).parent

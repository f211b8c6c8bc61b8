"""Building the provider: what is read of apt's lists, what is missing, and that a second call builds nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from openmid.fips import apt_sources, build
from openmid.fips.errors import BuildImpossible
from openmid.fips.provider import Provider
from tests import parts

SCRIPT = Path(__file__).parents[2] / "scripts" / "build-fips-provider"
DEB822 = """\
# The base system
Types: deb
# URIs: http://commented.invalid/debian
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.invalid/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://off.invalid/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://other.invalid/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/other.gpg
"""
ONE_LINE = """\
# deb http://commented.invalid/debian bookworm main
deb http://mirror.invalid/debian bookworm main non-free # with a remark
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.pgp] http://mirror.invalid/debian bookworm-updates main
deb-src http://mirror.invalid/debian bookworm main
deb http://mirror.invalid/debian bookworm-backports main
deb http://packages.invalid bookworm-pgdg main
deb [signed-by=/etc/apt/keyrings/docker.asc] http://docker.invalid/linux/debian bookworm stable
deb cdrom:[Debian 12]/ bookworm main
"""


def apt_folder(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = tmp_path / "apt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "apt"


def test_deb822_lists_are_read(tmp_path: Path) -> None:
    apt = apt_folder(tmp_path, {"sources.list.d/debian.sources": DEB822})
    key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert apt_sources.source_lines("bookworm", apt) == [
        f"deb-src {key} http://mirror.invalid/debian bookworm main",
        f"deb-src {key} http://mirror.invalid/debian bookworm-updates main",
        f"deb-src {key} http://mirror.invalid/debian-security bookworm-security main",
    ]


@pytest.mark.parametrize("name", ["sources.list", "sources.list.d/debian.list"])
def test_one_line_lists_are_read(tmp_path: Path, name: str) -> None:
    apt = apt_folder(tmp_path, {name: ONE_LINE})
    assert apt_sources.source_lines("bookworm", apt) == [
        "deb-src http://mirror.invalid/debian bookworm main",
        "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.pgp] "
        "http://mirror.invalid/debian bookworm-updates main",
    ]


def test_files_of_other_endings_are_not_read(tmp_path: Path) -> None:
    apt = apt_folder(
        tmp_path, {"sources.list.d/debian.sources.disabled": DEB822, "sources.list.d/x.list.save": ONE_LINE}
    )
    assert apt_sources.source_lines("bookworm", apt) == []


def test_versions_come_newest_first() -> None:
    parts.program("dpkg", "dpkg")
    answer = "\n\n".join(
        f"Package: {name}\nBinary: openssl, libssl3\nVersion: {version}\nFiles:\n 0 1 x.dsc\n"
        for name, version in [
            ("openssl", "3.0.9-1~deb12u1"),
            ("openssl", "3.0.20-1~deb12u2"),
            ("openssl", "3.0.20-1~deb12u1"),
            ("openssl-other", "9"),
        ]
    )
    assert build._versions(answer) == ["3.0.20-1~deb12u2", "3.0.20-1~deb12u1", "3.0.9-1~deb12u1"]


def test_what_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("apt-get", "make"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildImpossible, match="dpkg-source, cc, perl, openssl missing") as raised:
        build.expect_tools()
    assert raised.value.hint == "sudo apt-get install dpkg-dev build-essential perl openssl"


def test_without_apt_nothing_can_be_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildImpossible, match="this machine has no apt"):
        build.expect_tools()


def run(*words: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run([SCRIPT, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


def cache_with(provider: Provider, folder: Path) -> Path:
    built = folder / "openmid" / "fips" / f"{provider.version}-{os.uname().machine}" / "fips.so"
    built.parent.mkdir(parents=True)
    built.write_bytes(provider.path.read_bytes())
    return built


def test_what_was_built_is_not_built_again(provider: Provider, tmp_path: Path) -> None:
    built = cache_with(provider, tmp_path)
    for words in ([], ["--print-path"]):
        done = run(*words, cache=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{built}\n", "")


def test_a_built_module_that_does_not_load_is_not_offered(provider: Provider, tmp_path: Path) -> None:
    cache_with(provider, tmp_path).write_text("not a module")
    done = run("--print-path", cache=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "openmid: no provider has been built yet\nhint: scripts/build-fips-provider\n"


def test_wrong_usage(tmp_path: Path) -> None:
    done = run("--frobnicate", cache=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: build-fips-provider")


def test_a_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(BuildImpossible, match="is not writable"), build.one_at_a_time():
        pass

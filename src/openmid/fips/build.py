"""Building a FIPS provider from the distribution's source package, once, into the user's cache folder.

For distributions without a package of their own (Debian 12). `scripts/build-fips-provider` and `python -m
openmid.fips.build` run it; both work without any installed dependency. Progress to stderr, the path to stdout.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from openmid.fips import apt_sources, distribution, provider
from openmid.fips.errors import BuildImpossible, FipsError

USAGE = (
    "usage: build-fips-provider [--print-path]\n  --print-path  print the path of the built provider, and never build\n"
)
CONFIGURE = ("enable-fips", "no-tests")
# A program (or a Perl module) that the build needs, and Debian's package that has it.
NEEDED = {"dpkg-source": "dpkg-dev", "cc": "build-essential", "make": "build-essential", "perl": "perl"}
PERL_MODULES = ("-MIPC::Cmd", "-MFindBin", "-MFile::Compare", "-MTime::Piece")
_ADDRESS = re.compile(r"\w+://\S+\s*|\[IP: [^]]*\]")  # a mirror's address helps nobody here; the log has it


@dataclass
class Build:
    """One build: its temporary folder, its log, its clock."""

    folder: Path
    log: Path
    started: float = field(default_factory=time.monotonic)

    def say(self, sentence: str) -> None:
        print(f"[{time.monotonic() - self.started:4.0f} s] {sentence}", file=sys.stderr, flush=True)  # noqa: T201

    def run(self, words: list[str], *, where: Path) -> str:
        """Run it, keep what it says in the log, return its stdout. Raises BuildImpossible with its last error."""
        environment = os.environ | {"LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            words, cwd=where, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}\n")
        if done.returncode != 0:
            rows = [row for row in (done.stdout + done.stderr).splitlines() if row.strip()]
            telling = (
                [row for row in rows if row.startswith("E: ") or "error:" in row or "***" in row] or rows[-1:] or ["?"]
            )
            reason = _ADDRESS.sub("", telling[0].removeprefix("E: ")).strip()
            raise BuildImpossible(f"{Path(words[0]).name} failed: {reason}", f"see {self.log}")
        return done.stdout

    def apt(self, program: str, *words: str, where: Path) -> str:
        """apt with lists and caches of our own: nothing of the machine's is changed, no root is needed."""
        settings = {
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            "APT::Sandbox::User": "root",  # the folder is ours alone
            "Acquire::Languages": "none",
            "Acquire::PDiffs": "false",
            "Acquire::Retries": "3",
        }
        options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return self.run([program, *options, *words], where=where)


def build() -> Path:
    """The path of a built fips.so; built now if there is none. Raises BuildImpossible."""
    if built := usable():
        return built
    expect_tools()
    with one_at_a_time():
        return usable() or _build()


def usable() -> Path | None:
    """The newest cached build that this machine's OpenSSL loads."""
    for path in provider.cached():
        try:
            provider.describe(path)
        except FipsError:
            continue
        return path
    return None


def expect_tools() -> None:
    """Raises BuildImpossible naming everything that is missing and the package for it."""
    if shutil.which("apt-get") is None:
        raise BuildImpossible(
            "a FIPS provider can be built only from a Debian source package, and this machine has no apt",
            distribution.advice(),
        )
    missing = {name: package for name, package in NEEDED.items() if shutil.which(name) is None}
    if (
        "perl" not in missing
        and subprocess.run(["perl", *PERL_MODULES, "-e", "1"], capture_output=True, check=False).returncode
    ):
        missing["perl's modules"] = "perl"
    if shutil.which("openssl") is None:
        missing["openssl"] = "openssl"
    if missing:
        packages = " ".join(dict.fromkeys(missing.values()))
        raise BuildImpossible(
            f"a FIPS provider cannot be built: {', '.join(missing)} missing on this machine",
            f"sudo apt-get install {packages}",
        )


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Concurrent calls wait here, and then find what the first one built."""
    folder = provider.cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise BuildImpossible(
            f"the cache folder {folder} is not writable: {error.strerror}", "set XDG_CACHE_HOME to a folder that is"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another build is running: waiting for it", file=sys.stderr, flush=True)  # noqa: T201
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build() -> Path:
    lines = apt_sources.source_lines(distribution.os_release().get("VERSION_CODENAME", ""))
    if not lines:
        raise BuildImpossible(
            f"{apt_sources.APT} has no entry of the distribution's own archive, so its source package cannot be fetched",
            "restore the distribution's entry in sources.list.d, or name a fips.so in OPENMID_FIPS_PROVIDER",
        )
    log = provider.cache_folder() / "build.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="openmid-build-fips-") as name:
        work = Build(Path(name), log)
        (work.folder / "sources.list").write_text("\n".join(lines) + "\n")
        for needed in ("lists/partial", "cache/archives/partial", "source"):
            (work.folder / needed).mkdir(parents=True)
        work.say("reading the distribution's list of source packages")
        work.apt("apt-get", "update", "-q", where=work.folder)
        version = _download(work)
        module = _compile(work, version)
        path = _install(work, module, version)
        work.say("done")
    return path


def _download(work: Build) -> str:
    """Fetch the newest source package of openssl whose files are all there (mirrors lag). Returns its version."""
    versions = _versions(work.apt("apt-cache", "showsrc", "openssl", where=work.folder))
    problem = BuildImpossible("the distribution's archive has no source package openssl")
    for version in versions:
        work.say(f"fetching openssl {version} (15 MB)")
        try:
            work.apt(
                "apt-get",
                "source",
                "-q",
                "--only-source",
                "--download-only",
                f"openssl={version}",
                where=work.folder / "source",
            )
        except BuildImpossible as error:
            work.say("not all of its files are there: trying the version before it")
            problem = error
            continue
        return version
    raise problem


def _versions(showsrc: str) -> list[str]:
    """Versions in the answer of `apt-cache showsrc openssl`, newest first (deb-version(7))."""
    found: set[str] = set()
    for block in showsrc.split("\n\n"):
        fields = dict(row.split(": ", 1) for row in block.splitlines() if ": " in row and not row.startswith(" "))
        if fields.get("Package") == "openssl" and "Version" in fields:
            found.add(fields["Version"])

    def compare(one: str, other: str) -> int:
        newer = subprocess.run(["dpkg", "--compare-versions", one, "gt", other], check=False).returncode == 0
        return 1 if newer else -1

    return sorted(found, key=functools.cmp_to_key(compare), reverse=True)


def _compile(work: Build, version: str) -> Path:
    sources = work.folder / "source"
    tree = sources / "openssl"
    dsc = next(sources.glob(f"openssl_{version.rpartition(':')[2]}.dsc"))
    # apt has checked the files against the signed lists; dpkg-source would want the packager's personal key as well.
    work.run(["dpkg-source", "--no-check", "-x", dsc.name, str(tree)], where=sources)
    work.say(f"configuring ({' '.join(CONFIGURE)})")
    work.run(["./Configure", *CONFIGURE], where=tree)
    cores = len(os.sched_getaffinity(0))
    work.say(f"compiling the provider on {cores} cores")
    work.run(["make", f"-j{cores}", "build_generated"], where=tree)
    work.run(["make", f"-j{cores}", "providers/fips.so"], where=tree)
    return tree / "providers" / "fips.so"


def _install(work: Build, module: Path, version: str) -> Path:
    """Put fips.so and what is known of its making into the cache, by one rename."""
    facts = provider.describe(module)
    final = provider.cache_folder() / f"{facts.version}-{platform.machine()}"
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=final.parent))
    shutil.copy2(module, new / provider.MODULE)
    (new / provider.MODULE).chmod(0o644)
    (new / "build.json").write_text(
        json.dumps(
            {
                "name": facts.name,
                "version": facts.version,
                "build": facts.build,
                "source_package": f"openssl {version}",
                "distribution": distribution.os_release().get("PRETTY_NAME", ""),
                "architecture": platform.machine(),
                "configure": list(CONFIGURE),
                "sha256": hashlib.sha256(module.read_bytes()).hexdigest(),
                "seconds": round(time.monotonic() - work.started, 1),
                "built": datetime.now(UTC).isoformat(timespec="seconds"),
            },
            indent=2,
        )
        + "\n"
    )
    new.chmod(0o755)
    if final.exists():  # one that does not load here
        final.rename(new.with_name(new.name + "-old"))
        shutil.rmtree(new.with_name(new.name + "-old"))
    new.rename(final)
    return final / provider.MODULE


def main(words: list[str]) -> int:
    """Exit status 0 with the path on stdout, 1 with a sentence on stderr, 2 for wrong usage."""
    if words not in ([], ["--print-path"]):
        sys.stderr.write(USAGE)
        return 0 if words in (["--help"], ["-h"]) else 2
    try:
        path = usable() if words else build()
        if path is None:
            raise BuildImpossible("no provider has been built yet", "scripts/build-fips-provider")
    except FipsError as error:
        sys.stderr.write(f"openmid: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Finding a FIPS provider, and staging one copy of it for each libcrypto of a process.

One fips.so must not be shared by two libcryptos of one process: the second initialisation overwrites the first one's
call-backs (openssl/openssl#27691). So `ssl`'s libcrypto and the one inside the `cryptography` wheel get a copy each.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from openmid.fips import configuration, distribution, libcryptos, openssl
from openmid.fips.errors import FipsError, ProviderNotFound, ProviderRefused, StagingFailed

MODULE = "fips.so"
ENVIRONMENT = "OPENMID_FIPS_PROVIDER"
# Where distributions put it beside `openssl version -m`; Ubuntu Pro's module has a folder of its own.
PLACES = (
    "/usr/lib/*/ossl-modules/fips.so",
    "/usr/lib/*/ossl-modules-3/fips.so",
    "/usr/lib64/ossl-modules/fips.so",
    "/usr/lib/ossl-modules/fips.so",
    "/usr/local/lib64/ossl-modules/fips.so",
    "/usr/local/lib/ossl-modules/fips.so",
)
# Module versions that are known to carry a CMVP certificate (for their own build, on the listed environments).
CERTIFIED = {"3.0.8": "FIPS 140-2", "3.0.9": "FIPS 140-2", "3.1.2": "FIPS 140-3"}


@dataclass(frozen=True)
class Provider:
    """A FIPS module that this machine's OpenSSL loads; name, version and build as the module itself says."""

    path: Path
    name: str
    version: str
    build: str

    @property
    def certificate(self) -> str:
        """Whether this version is one that is known to carry a certificate, as a plain sentence."""
        return certificate_statement(self.version, built_here=self.path.is_relative_to(cache_folder()))


def certificate_statement(version: str, *, built_here: bool) -> str:
    """What may be said of a module's validation. Certificates belong to a version, its build and its environment."""
    standard = CERTIFIED.get(version)
    if standard is None:
        known = ", ".join(CERTIFIED)
        said = f"version {version} is not one that is known to carry a certificate ({known} are)"
    else:
        said = f"version {version} is known to carry a {standard} certificate, for its own build and environments"
    if built_here:
        said += "; this one was built here from the distribution's source: the same code without a certificate"
    return said


@dataclass(frozen=True)
class Staged:
    """The folder that `stage` wrote."""

    folder: Path

    @property
    def ssl_conf(self) -> Path:
        return self.folder / "ssl" / "openssl.cnf"

    @property
    def cryptography_conf(self) -> Path:
        """The wheel's own configuration; the one of `ssl` where both share the system's libcrypto."""
        own = self.folder / "cryptography" / "openssl.cnf"
        return own if own.parent.is_dir() else self.ssl_conf

    def record(self) -> StagedRecord:
        """What was staged. Raises StagingFailed when the folder does not hold it."""
        path = self.folder / "provider.json"
        try:
            return StagedRecord(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise StagingFailed(
                f"{path} is missing or damaged, so the staged FIPS provider is not known",
                "switch FIPS Enforced Mode off and on again",
            ) from error


@dataclass(frozen=True)
class StagedRecord:
    """provider.json beside the copies: `mac` is fipsinstall's, `sha256` of fips.so in hex, `source` where it was found."""

    name: str
    version: str
    build: str
    mac: str
    sha256: str
    source: str
    certificate: str


def cache_folder() -> Path:
    """Where built providers are kept, one folder for each version and architecture."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "openmid" / "fips"


def cached() -> list[Path]:
    """The built providers of this architecture, newest version first."""
    found = cache_folder().glob(f"*-{platform.machine()}/{MODULE}")
    return sorted(found, key=lambda path: _version_key(path.parent.name), reverse=True)


def _version_key(folder: str) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.partition("-")[0].split(".") if part.isdigit())


def find_provider(explicit: Path | None = None, beside: Path | None = None) -> Provider:
    """The provider at `explicit`, else of $OPENMID_FIPS_PROVIDER, else in the first of the usual places that has one.

    `beside` is a folder that comes before the usual places: a MID Server's own `agent/lib`.

    Raises ProviderRefused when a named file is not one, ProviderNotFound (with every place searched and the package
    for this distribution) when there is none.
    """
    named = explicit or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    if named is not None:
        return describe(named)
    searched: list[str] = []
    for path in _places(beside):
        searched.append(str(path))
        if not path.is_file():
            continue
        try:
            return describe(path)
        except ProviderRefused as error:
            searched[-1] += f" ({error})"
    raise ProviderNotFound(
        "no OpenSSL FIPS provider was found; searched: " + ", ".join(searched) + f", and ${ENVIRONMENT}",
        distribution.advice(),
    )


def _places(beside: Path | None) -> Iterator[Path]:
    done = openssl.run("version", "-m", conf=openssl.NO_CONFIGURATION)
    folder = done.stdout.decode(errors="replace").partition('"')[2].partition('"')[0]
    places = [beside / MODULE] if beside else []
    places += [Path(folder) / MODULE] if folder else []
    for pattern in PLACES:
        places += sorted(Path("/").glob(pattern.removeprefix("/"))) or [Path(pattern)]
    places += cached() or [cache_folder() / MODULE]
    yield from dict.fromkeys(places)


def describe(path: Path) -> Provider:
    """The facts of a module, by loading a copy of it alone. Raises ProviderRefused when it is not a FIPS module."""
    if not path.is_file():
        raise ProviderRefused(f"{path} is not there or not a file", f"name a fips.so, or unset {ENVIRONMENT}")
    with tempfile.TemporaryDirectory(prefix="openmid-fips-") as name:
        folder = Path(name)
        try:
            _stage_copy(path, folder, folder, for_libssl=False)
            facts = _facts(folder / "openssl.cnf")
        except OSError as error:
            raise ProviderRefused(f"{path} cannot be read: {error.strerror}") from error
        except StagingFailed as error:
            raise ProviderRefused(
                f"{path} is not a FIPS module that this machine's OpenSSL can load: {error}"
            ) from error
    return Provider(path.absolute(), *facts)


def stage(provider: Provider, folder: Path) -> Staged:
    """Write folder/{ssl,cryptography}/{fips.so,fipsmodule.cnf,openssl.cnf} and provider.json, replacing what is there.

    Where `cryptography` shares the system's libcrypto there is only the copy `ssl`. Raises StagingFailed.
    """
    folder = folder.resolve()
    names = ["ssl", "cryptography"] if libcryptos.cryptography_has_its_own() else ["ssl"]
    try:
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=_existing(folder.parent)))
        try:
            macs = {_stage_copy(provider.path, new / name, folder / name, for_libssl=name == "ssl") for name in names}
            _write_record(provider, new, macs.pop())
            new.chmod(0o755)
            _exchange(new, folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise StagingFailed(f"the FIPS provider cannot be staged in {folder}: {error.strerror}") from error
    return Staged(folder)


def _existing(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _stage_copy(source: Path, write_to: Path, final: Path, *, for_libssl: bool) -> str:
    """One copy with its two configuration files, which speak of the folder `final`. Returns the MAC."""
    write_to.mkdir(exist_ok=True)
    module = write_to / MODULE
    if source.resolve() != module.resolve():
        module.write_bytes(source.read_bytes())
        module.chmod(0o644)
    text = _fipsinstall(module)
    files = {
        "fipsmodule.cnf": configuration.module_conf(text, final / MODULE),
        "openssl.cnf": configuration.openssl_conf(final / "fipsmodule.cnf", for_libssl=for_libssl),
    }
    for name, content in files.items():
        (write_to / name).write_text(content)
        (write_to / name).chmod(0o644)
    return configuration.mac(text)


def _fipsinstall(module: Path) -> str:
    """What `openssl fipsinstall` writes. `-self_test_onload` leaves install-status out: the known-answer self-tests
    then run at every load, as FIPS 140-3 asks (ISO/IEC 19790, 7.10.2)."""
    out = module.with_name("fipsinstall.out")
    words = ("fipsinstall", "-module", str(module), "-out", str(out), "-self_test_onload")
    done = openssl.run(*words, conf=openssl.NO_CONFIGURATION)
    if done.returncode != 0 or not out.is_file():
        raise StagingFailed(f"openssl fipsinstall refused it: {openssl.complaint(done)}")
    text = out.read_text()
    out.unlink()
    return text


def _facts(conf: Path) -> tuple[str, str, str]:
    """Name, version and build info of the provider under `conf`. Raises StagingFailed when it is not active."""
    done = openssl.run("list", "-providers", "-verbose", conf=conf)
    block = done.stdout.decode(errors="replace").partition("\n  fips\n")[2]
    facts: dict[str, str] = {}
    for row in block.splitlines():
        if not row.startswith("    "):
            break
        key, _, value = row.strip().partition(": ")
        facts.setdefault(key, value.strip())
    if done.returncode != 0 or facts.get("status") != "active":
        raise StagingFailed(f"it does not become active: {openssl.complaint(done)}")
    if "FIPS" not in facts.get("name", ""):
        raise StagingFailed(f"it is {facts.get('name') or 'a provider without a name'}")
    return facts["name"], facts.get("version", ""), facts.get("build info", "")


def _write_record(provider: Provider, folder: Path, mac: str) -> None:
    digest = hashlib.sha256((folder / "ssl" / MODULE).read_bytes()).hexdigest()
    facts = asdict(provider) | {"mac": mac, "sha256": digest, "certificate": provider.certificate}
    record = StagedRecord(source=str(facts.pop("path")), **facts)
    (folder / "provider.json").write_text(json.dumps(asdict(record), indent=2) + "\n")


def _exchange(new: Path, folder: Path) -> None:
    """Put `new` where `folder` is. Two renames; a folder that exists is moved aside first and then removed."""
    if not folder.exists():
        new.rename(folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(aside / folder.name)
    new.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


__all__ = ["FipsError", "Provider", "ProviderNotFound", "Staged", "StagedRecord", "describe", "find_provider", "stage"]

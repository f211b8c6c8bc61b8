"""The operations that the proof tries in each libcrypto, and the files that it looks at."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from pathlib import Path

from openmid.fips import configuration, libcryptos, openssl
from openmid.fips.activation import initial_environment
from openmid.fips.proof import Check, Library
from openmid.fips.provider import MODULE, Staged, StagedRecord

SUCCEEDS = "succeeds"
REFUSED = "refused"
# The key of a module's integrity check is public: OpenSSL's FIPSKEY (Configure); vendors may build with another.
MAC_KEY = bytes.fromhex("f4556650ac31d35461610bac4ed81b1a181b2d8a43ea2854cbae22ca74560813")


def attempt(name: str, expected: str, operation: Callable[[], object]) -> Check:
    """Try it. An approved operation answers (a wrong answer raises AssertionError); a refused one raises anything."""
    try:
        operation()
    except Exception as error:  # every binding has errors of its own
        words = str(error).split("\n")[0][:160] or type(error).__name__
        return Check(name, expected, expected == REFUSED and not isinstance(error, AssertionError), words)
    return Check(name, expected, expected == SUCCEEDS)


def equal(made: bytes, known: bytes) -> None:
    """Raises AssertionError when an answer is not the known one."""
    if made != known:
        raise AssertionError("the answer is not the known one")


def openssl_version(name: str) -> str:
    """The version text of a libcrypto, `ssl` or `cryptography`."""
    if name == "ssl":
        import ssl

        return ssl.OPENSSL_VERSION
    from cryptography.hazmat.backends.openssl.backend import backend

    return str(backend.openssl_version_text())


def ssl_operations() -> tuple[Check, ...]:
    """What `ssl` and `hashlib` do."""
    from openmid.fips import checks_ssl

    return tuple(attempt(*row) for row in checks_ssl.OPERATIONS)


def cryptography_operations() -> tuple[Check, ...]:
    """What the cryptography package does."""
    from openmid.fips import checks_cryptography

    return tuple(attempt(*row) for row in checks_cryptography.OPERATIONS)


def files(staged: Staged, record: StagedRecord, conf: Path) -> tuple[Check, ...]:
    """The configuration in force is the staged one, unchanged; the mapped module is the staged one, with its MAC."""
    return (
        attempt("being started under the staged configuration", SUCCEEDS, lambda: _started_under(staged)),
        attempt("reading the configuration as it was staged", SUCCEEDS, lambda: _unchanged(staged, conf, record)),
        attempt("loading the staged copy of the module", SUCCEEDS, lambda: _loaded(staged, conf, record)),
        attempt("the MAC of the module", SUCCEEDS, lambda: _expect_mac(conf, record)),
    )


def process(staged: Staged) -> tuple[tuple[Library, ...], tuple[Check, ...]]:
    """Every cryptographic library that this process has loaded by now, and whether each is one that the proof knows."""
    found: list[Library] = []

    def look() -> None:
        modules = {conf.with_name(MODULE).stat().st_ino: "FIPS module" for conf in _confs(staged)}
        found.extend(libcryptos.libraries(modules))
        unknown = [f"{one.path} ({one.version})" for one in found if not one.role]
        if unknown:
            raise ValueError(f"loaded, and not known to the proof: {', '.join(unknown)}")

    check = attempt("loading no cryptographic library but those that are proved", SUCCEEDS, look)
    return tuple(found), (check,)


def _confs(staged: Staged) -> set[Path]:
    """One where both share a libcrypto, else two."""
    return {staged.ssl_conf, staged.cryptography_conf}


def _started_under(staged: Staged) -> None:
    found = initial_environment().get("OPENSSL_CONF", "")
    if found != str(staged.ssl_conf):
        raise ValueError(f"OPENSSL_CONF was {found or 'not set'}")
    if os.geteuid() != os.getuid() or os.getegid() != os.getgid():
        raise ValueError("OpenSSL ignores OPENSSL_CONF in a set-uid process")


def _unchanged(staged: Staged, conf: Path, record: StagedRecord) -> None:
    module_conf = conf.with_name("fipsmodule.cnf")
    if conf.read_text() != configuration.openssl_conf(module_conf, for_libssl=conf == staged.ssl_conf):
        raise ValueError(f"{conf} is not the configuration that was staged")
    text = module_conf.read_text()
    if configuration.mac(text) != record.mac or "install-status" in text:
        raise ValueError(f"{module_conf} does not carry the MAC that was staged, or skips the self-tests")


def _loaded(staged: Staged, conf: Path, record: StagedRecord) -> None:
    module = conf.with_name(MODULE)
    if hashlib.sha256(module.read_bytes()).hexdigest() != record.sha256:
        raise ValueError(f"{module} is not the file that was staged")
    mapped = libcryptos.mapped(MODULE)
    if not any(inode == module.stat().st_ino and path == module.resolve() for path, inode in mapped):
        raise ValueError(f"{module} is not loaded")
    if len(mapped) != len(_confs(staged)):
        raise ValueError(f"{len(mapped)} FIPS modules are loaded instead of {len(_confs(staged))}")


def _expect_mac(conf: Path, record: StagedRecord) -> None:
    """The HMAC of the module's file, computed anew; where its maker has a key of its own, by the machine's openssl."""
    module = conf.with_name(MODULE)
    if hmac.digest(MAC_KEY, module.read_bytes(), "sha256").hex(":").upper() == record.mac:
        return
    words = ("fipsinstall", "-module", str(module), "-in", str(module.with_name("fipsmodule.cnf")), "-verify")
    if openssl.run(*words, conf=openssl.NO_CONFIGURATION).returncode != 0:
        raise ValueError(f"it is not the MAC of {module}")

"""What this machine's distribution calls the package that brings a FIPS provider."""

from __future__ import annotations

import platform

BUILD = (
    "build one from the distribution's source package: scripts/build-fips-provider (or python -m openmid.fips.build)"
)
# os-release ID (or ID_LIKE) -> what to do. Debian is decided by its version.
ADVICE = {
    "debian": "sudo apt-get install openssl-provider-fips",
    "ubuntu": f"sudo pro enable fips-updates (Ubuntu Pro, package openssl-fips-module-3), or {BUILD}",
    "amzn": "sudo dnf install openssl-fips-provider-latest",
    "rhel": "sudo dnf install openssl-fips-provider (or openssl-libs where that holds it)",
    "fedora": "sudo dnf install openssl-fips-provider (or openssl-libs where that holds it)",
    "suse": "sudo zypper install libopenssl-3-fips-provider",
}
FIRST_DEBIAN_WITH_A_PACKAGE = 13


def os_release() -> dict[str, str]:
    """The fields of /etc/os-release; empty where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def advice(release: dict[str, str] | None = None) -> str:
    """One line for this distribution: the package to install, or how to build."""
    release = os_release() if release is None else release
    family = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    version = release.get("VERSION_ID", "").partition(".")[0]
    if release.get("ID") == "debian" and version.isdigit() and int(version) < FIRST_DEBIAN_WITH_A_PACKAGE:
        return BUILD
    found = next((ADVICE[name] for name in family if name in ADVICE), None)
    return found or "install your distribution's OpenSSL FIPS provider, or name a fips.so in OPENMID_FIPS_PROVIDER"

"""The conversion that FIPS Enforced Mode asks for, as the command that people know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROVIDER = "org.bouncycastle.jcajce.provider.BouncyCastleFipsProvider"
PASSWORD = "<keystore password>"  # noqa: S105  a placeholder: no password is ever put into a message


def conversion_command(
    source: Path | str,
    source_type: str,
    destination: Path | str,
    keytool: Path | str = "agent/jre/bin/keytool",
    provider_path: Path | str = "agent/lib/bc-fips.jar",
) -> str:
    """The keytool command line that converts `source` to BCFKS: one line, ready for a POSIX shell but for the passwords."""
    import shlex  # brings re: only an error needs it

    words = [keytool, "-importkeystore", "-v"]
    words += ["-srckeystore", source, "-srcstoretype", source_type, "-srcstorepass", PASSWORD]
    words += ["-destkeystore", destination, "-deststoretype", "BCFKS", "-deststorepass", PASSWORD]
    words += ["-provider", PROVIDER, "-providerpath", provider_path]
    return shlex.join(str(word) for word in words)

"""The `openmid` command. Every command imports what it needs when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point. `openmid keytool` goes straight to keytool, which loads neither click nor anything else of ours."""
    if sys.argv[1:2] == ["keytool"]:
        from openmid.keystore.keytool.__main__ import main as keytool

        sys.exit(keytool(sys.argv[2:]))
    from openmid.cli.commands import openmid

    openmid(prog_name="openmid")

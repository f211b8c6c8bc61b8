"""The `openmid` command. Every command imports what it needs when it runs."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import NoReturn


def main() -> None:
    """Entry point. `openmid keytool` goes straight to keytool, which loads neither click nor anything else of ours."""
    if sys.argv[1:2] == ["keytool"]:
        from openmid.keystore.keytool.__main__ import main as keytool

        sys.exit(keytool(sys.argv[2:]))
    from openmid.cli.commands import openmid

    try:
        openmid(prog_name="openmid")
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        _disk_is_full(error)
    except UnicodeEncodeError as error:
        if error.reason != "surrogates not allowed":
            raise
        # Python keeps such bytes of a command line as lone surrogates. Files may be called so, and nothing else.
        sys.stderr.write("openmid: what was given is not UTF-8\nhint: look at the encoding of the terminal\n")
        sys.exit(1)


def _disk_is_full(error: OSError) -> NoReturn:
    """Mostly standard output's, where every command writes; what names no file does not say which it was."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # no second complaint at exit
    with contextlib.suppress(OSError):
        sys.stderr.write(
            f"openmid: standard output, or a file, cannot be written: {error.strerror}\nhint: make room on its disk\n"
        )
    sys.exit(1)

"""`python -m openmid.keystore.keytool`, `openmid keytool`, and `agent/bin/keytool`.

Reports of success go to standard error and errors to standard output, as keytool has it. Exit status: 0, or 1 for every
failure (130 when interrupted).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from openmid.keystore.errors import KeystoreError
from openmid.keystore.keytool.flags import NOT_OFFERED
from openmid.keystore.keytool.options import KeytoolError, Request, UsageError, parse

_MODULES = {  # each is loaded when its command is called
    "-certreq": "generate",
    "-changealias": "change",
    "-delete": "change",
    "-exportcert": "show",
    "-genkeypair": "generate",
    "-importcert": "import_certificate",
    "-importkeystore": "import_keystore",
    "-keypasswd": "change",
    "-list": "report",
    "-printcert": "show",
    "-printcertreq": "show",
    "-showinfo": "show",
    "-storepasswd": "change",
}
_SHOWN = "backslashreplace"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name); the exit status."""
    _open_closed_streams()
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, _SHOWN), (sys.stderr, _SHOWN)):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)  # on stdin as on the command line
    try:
        status = _guarded(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: no second complaint at exit
        return 1
    except OSError as error:
        return _stream_failed(error)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 130
    return status


def _stream_failed(error: OSError) -> int:
    """Standard output or standard error takes nothing more (a full disk): whichever is left says so."""
    said = f"keytool error: standard output or standard error cannot be written: {error.strerror}\n"
    for stream in (sys.stderr, sys.stdout):
        try:
            stream.write(said)
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # no second complaint at exit
        else:
            said = ""
    return 1


def _open_closed_streams() -> None:
    """Python has None for a standard stream that was closed (`2>&-`)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  for the process's life


def _guarded(arguments: list[str]) -> int:
    try:
        request = parse(arguments)
        if request.help or not request.command:
            from openmid.keystore.keytool.usage import usage

            print(usage(request.command or None), file=sys.stdout if request.help else sys.stderr)
            return 0
        _run(request)
    except UsageError as error:
        from openmid.keystore.keytool.usage import usage

        sys.stderr.write(f"{error}\n{usage(error.command)}\n")
        return 1
    except (KeytoolError, KeystoreError) as error:
        return _failed(str(error), error.hint)
    except OSError as error:
        if error.filename is None:
            raise
        return _failed(f"{error.filename}: {error.strerror}", "check owner and mode of the file and its folders")
    return 0


def _failed(sentence: str, hint: str) -> int:
    sys.stdout.write(f"keytool error: {sentence}\n")
    if hint:
        sys.stdout.write(f"hint: {hint}\n")
    return 1


def _run(request: Request) -> None:
    if request.command in NOT_OFFERED:
        raise KeytoolError(f"{request.command} is not offered", f"instead: {NOT_OFFERED[request.command][1]}")
    name = f"openmid.keystore.keytool.{_MODULES[request.command]}"
    __import__(name)
    sys.modules[name].run(request)
    if request.verbose:
        from openmid.keystore.keytool import prompts

        prompts.explain_flags(request)


def program() -> NoReturn:
    """For a process that is nothing but this command: what a long life needs is left out, which saves a tenth of its CPU.

    Nothing waits for the interpreter's end: threads are joined, files closed, streams flushed.
    """
    import gc

    gc.disable()
    status = main()
    try:
        sys.stderr.flush()
    except OSError:
        status = 1
    os._exit(status)


if __name__ == "__main__":
    program()

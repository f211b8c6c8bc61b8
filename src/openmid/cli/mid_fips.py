"""`openmid mid fips on|off|status`: what agent/bin/scripts/set-fips-enforced-mode.sh runs.

Results go to stdout, everything else to stderr with a `hint:` line. Exit status: 0 done (status: enforced), 1 failed
and put back (status: not enforced), 2 usage, 3 broken.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from openmid.fips.errors import FipsError
from openmid.midserver import control, fips_mode
from openmid.midserver.config import agent_folder
from openmid.midserver.errors import ConfigError, MidError, as_sentences

USAGE = 2
EXIT = {fips_mode.ENFORCED: 0, fips_mode.OFF: 1, fips_mode.BROKEN: 3}


def _folder(required: bool) -> Callable[[Any], Any]:
    return click.option(
        "--dir",
        "folder",
        default="." if required else None,
        type=click.Path(path_type=Path, file_okay=False),
        help="The MID Server's folder. Default: the current one.",
    )


def _sentences(failed: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """What goes wrong is a sentence and a hint; exit status 3 when the mode is broken, else `failed`."""

    def around(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(context: click.Context, folder: Path | None, **options: Any) -> None:
            try:
                with as_sentences():
                    command(folder or context.obj, **options)
            except (MidError, FipsError) as error:
                click.echo(f"openmid: {error}", err=True)
                if error.hint:
                    click.echo(f"hint: {error.hint}", err=True)
                sys.exit(3 if isinstance(error, fips_mode.Broken) else failed)

        return run

    return around


@click.group(invoke_without_command=True)
@_folder(required=True)
@click.pass_context
def fips(context: click.Context, folder: Path) -> None:
    """Switch FIPS Enforced Mode on or off while the MID Server is stopped, or say how it stands."""
    context.obj = folder
    if context.invoked_subcommand is None:
        click.echo(context.get_usage(), err=True)
        click.echo("openmid: one of on, off, status is missing", err=True)
        sys.exit(USAGE)


@fips.command()
@click.option(
    "--provider",
    type=click.Path(path_type=Path),
    help="A fips.so. Default: OPENMID_FIPS_PROVIDER, or the usual places.",
)
@_folder(required=False)
@click.pass_context
@_sentences(1)
def on(folder: Path, provider: Path | None) -> None:
    """Stage the provider, make a new key pair by it, convert the truststore, prove it, and enforce."""
    _report(fips_mode.switch_on(folder, provider))


@fips.command()
@_folder(required=False)
@click.pass_context
@_sentences(1)
def off(folder: Path) -> None:
    """Undo what `on` changed, and only that."""
    _report(fips_mode.switch_off(folder))


@fips.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_folder(required=False)
@click.pass_context
@_sentences(USAGE)  # neither enforced nor not: it could not be found out
def status(folder: Path, as_json: bool) -> None:
    """Prove it in a fresh process, and say what the running one last proved.

    Exit status 0: enforced, 1: not enforced, 3: broken.
    """
    try:
        found = fips_mode.status(folder)
    except ConfigError as error:  # no MID Server there: neither enforced nor not
        raise click.UsageError(str(error)) from error
    running = _running(folder)
    if running and not running["enforced"] and found.mode == fips_mode.ENFORCED:
        found = replace(found, mode=fips_mode.BROKEN, reason=f"the running MID Server has lost it: {running['reason']}")
    if as_json:
        click.echo(json.dumps(asdict(found) | {"running": running}, indent=2))
    else:
        click.echo(f"FIPS Enforced Mode is {found.mode}" + (f": {found.reason}" if found.reason else ""))
        _report_provider(found)
        if running:
            said = f"proved at {running['time']}" if running["enforced"] else f"lost: {running['reason']}"
            click.echo(f"running   pid {running['pid']}, {said}")
    sys.exit(EXIT[found.mode])


def _running(folder: Path) -> dict[str, Any] | None:
    """The proof of the process that serves the folder, as it last said: pid, enforced, time, reason."""
    own = control.status(agent_folder(folder))
    proof = own.get("proof")
    return {"pid": own["pid"], **{name: proof[name] for name in ("enforced", "time", "reason")}} if proof else None


def _report(done: fips_mode.Outcome) -> None:
    mode = "on" if done.mode == fips_mode.ENFORCED else "off"
    if done.status is not None:
        _report_provider(done.status)
    for word, paths in (
        ("backup", done.backups),
        ("modified", done.modified),
        ("created", done.created),
        ("removed", done.removed),
    ):
        for path in paths:
            click.echo(f"{word:<9} {path}")
    for sentence in done.repaired:
        click.echo(f"repaired  {sentence}")
    if done.announced:
        click.echo(f"new key   {done.announced}")
    for sentence in done.kept:
        click.echo(f"kept      {sentence}")
    click.echo(
        f"FIPS Enforced Mode is {'already ' if done.already else ''}{mode}"
        + ("; nothing was changed" if done.already and not done.repaired else "")
    )
    if not done.already:
        click.echo("start the MID Server: agent/bin/mid.sh start", err=True)


def _report_provider(found: fips_mode.Status) -> None:
    if found.provider is not None:
        record = found.provider
        click.echo(f"provider  {record.name} {record.version} (build {record.build})")
        click.echo(f"          {record.certificate}")
        click.echo(f"          found at {record.source}")
        click.echo(f"MAC       {record.mac}")
    for one in found.proof.libcryptos if found.proof else ():
        passed = sum(check.passed for check in one.checks)
        click.echo(f"proved    {one.name} ({one.openssl_version}): {passed} of {len(one.checks)} checks")
    for library in found.proof.libraries if found.proof else ():
        click.echo(f"loaded    {library.path} ({library.version}): {library.role or 'UNKNOWN'}")

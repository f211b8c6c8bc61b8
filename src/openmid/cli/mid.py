"""`openmid mid …`: install and run a MID Server. Results go to stdout, everything else to stderr, with a `hint:` line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from openmid.midserver.errors import MidError, as_sentences

NOT_RUNNING = 3  # Linux Standard Base, init script actions


class MidGroup(click.Group):
    """`fips` is imported only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, "fips"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "fips":
            command = import_module("openmid.cli.mid_fips").fips
            assert isinstance(command, click.Command)
            return command
        return super().get_command(ctx, cmd_name)


def _sentences(command: Callable[..., None]) -> Callable[..., None]:
    """A MidError becomes its sentence, its hint, and exit status 1."""

    @wraps(command)
    def run(**options: Any) -> None:
        try:
            with as_sentences():
                command(**options)
        except MidError as error:
            click.echo(f"openmid: {error}", err=True)
            if error.hint:
                click.echo(f"hint: {error.hint}", err=True)
            raise SystemExit(1) from None

    return run


def _agent(command: Callable[..., None]) -> Callable[..., None]:
    """`--dir DIR`, the MID Server's folder or its agent folder."""
    option = click.option(
        "--dir",
        "folder",
        default=".",
        type=click.Path(path_type=Path, file_okay=False),
        help="The MID Server's folder. Default: the current one.",
    )
    return option(_sentences(command))


@click.group(cls=MidGroup)
def mid() -> None:
    """Install, run and switch a MID Server."""


@mid.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--url", required=True, help="The instance, https://…")
@click.option("--name", required=True, help="What the instance shall call this MID Server.")
@click.option(
    "--ca", required=True, type=click.Path(path_type=Path), help="The CA that the instance is trusted by (PEM)."
)
@click.option(
    "--token", required=True, type=click.Path(path_type=Path), help="A file with the one-time enrolment token."
)
@_sentences
def install(folder: Path, url: str, name: str, ca: Path, token: Path) -> None:
    """Lay out a MID Server's folder in DIR.

    Run again, it renews the scripts, and the token of a MID Server that is not enrolled yet. It never
    overwrites another MID Server.
    """
    from openmid.midserver import install as room

    agent, new = room.install(folder, room.wish(url, name, ca, token))
    click.echo(f"{'installed' if new else 'already there'}: the MID Server {name} of {url}")
    click.echo(
        f"  agent folder   {agent}\n  configuration  {agent / 'config.xml'}\n  log            {agent / 'logs/agent0.log'}"
    )
    click.echo(f"start it: {shlex.quote(str(agent / 'bin/mid.sh'))} start", err=True)


@mid.command()
@_agent
def run(folder: Path) -> None:
    """Run the MID Server in the foreground; its log goes to stderr too."""
    import os

    from openmid.midserver import start as room

    try:
        with as_sentences():
            room.run(folder, console=room.BACKGROUND not in os.environ)
    except MidError as error:
        room.report_ready(error=error)
        raise


@mid.command()
@_agent
def start(folder: Path) -> None:
    """Start the MID Server in the background, and wait until it says that it is up."""
    from openmid.midserver import config, control

    click.echo(control.start(config.agent_folder(folder)))


@mid.command()
@_agent
def stop(folder: Path) -> None:
    """Stop the MID Server: it finishes and delivers what it runs."""
    from openmid.midserver import config, control

    pid = control.stop(config.agent_folder(folder))
    click.echo(f"stopped (pid {pid})" if pid else "not running")


@mid.command()
@_agent
def restart(folder: Path) -> None:
    """Stop, then start."""
    from openmid.midserver import config, control

    agent = config.agent_folder(folder)
    control.stop(agent)
    click.echo(control.start(agent))


@mid.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_agent
def status(folder: Path, as_json: bool) -> None:
    """Say whether the MID Server runs, and how it stands. Exit status 0: running, 3: not running."""
    from openmid.midserver import config, control

    found = control.status(config.agent_folder(folder))
    if as_json:
        click.echo(json.dumps(found))
    else:
        from openmid.cli.mid_status import lines

        for line in lines(found):
            click.echo(line)
        for row in _checks(found.get("proof") or {"libcryptos": []}):
            click.echo(row)
    raise SystemExit(0 if found["running"] else NOT_RUNNING)


@mid.command()
@_agent
def rekey(folder: Path) -> None:
    """Make a new key pair for the stopped MID Server, and announce it to the instance."""
    from openmid.midserver import rekey as room

    done = room.rekey(folder)
    click.echo(f"fingerprint    {done.fingerprint}")
    for path in done.backups:
        click.echo(f"backup         {path}")
    click.echo(f"announced      {done.announced}")


@mid.group()
def service() -> None:
    """The MID Server as a service of this host: systemd, or a scheduled task on Windows."""


@service.command("print")
@_agent
def service_print(folder: Path) -> None:
    """Print the unit (or the task), with this folder's paths."""
    from openmid.midserver import config, os_service

    click.echo(os_service.Service.of(config.agent_folder(folder)).text(), nl=False)


@service.command("install")
@_agent
def service_install(folder: Path) -> None:
    """Install the service, enable it at boot, and start it. As root, on Linux."""
    from openmid.midserver import config, os_service

    for row in os_service.Service.of(config.agent_folder(folder)).install():
        click.echo(row)


@service.command("uninstall")
@_agent
def service_uninstall(folder: Path) -> None:
    """Stop the service and remove it; the MID Server's folder stays as it is."""
    from openmid.midserver import config, os_service

    for row in os_service.Service.of(config.agent_folder(folder)).uninstall():
        click.echo(row)


def _checks(proof: dict[str, Any]) -> list[str]:
    """The proof of FIPS Enforced Mode, a line for each check."""
    named = [(one["name"], check) for one in proof["libcryptos"] for check in one["checks"]]
    named += [("process", check) for check in proof.get("checks", [])]
    return [
        f"  {'proved' if check['passed'] else 'FAILED'}       {name}: {check['name']} {_outcome(check)}"
        for name, check in named
    ]


def _outcome(check: dict[str, Any]) -> str:
    return "succeeds" if check["expected"] == "succeeds" else "is refused"

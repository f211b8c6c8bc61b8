"""`openmid instance rotate-key|backup|restore|purge`: what an administrator does from time to time."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openmid.cli.instance import folder_option, instance, sentences, use

if TYPE_CHECKING:
    from openmid.instance.operations.service import Service


@instance.command("rotate-key")
@folder_option
@sentences
def rotate_key(folder: Path) -> None:
    """Encrypt every stored secret anew under a new key.

    The instance may run meanwhile. Backups from before hold secrets under the old key: keep their secrets/field.key with
    them. Instances that share a database must share the folder secrets/ too.
    """
    found = use(folder)
    from openmid.instance.operations.rotation import rotate

    click.echo(f"{rotate(found)} secrets are encrypted under the new key")


@instance.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-secrets", is_flag=True, help="With the keys that open what is stored: keep it like a password.")
@folder_option
@sentences
def backup(file: Path, with_secrets: bool, folder: Path) -> None:
    """Write a backup (.tar.gz) of the instance, which may run meanwhile.

    Without --with-secrets the folder secrets/ stays out: keep a copy of it elsewhere, or a restored instance cannot open
    its stored passwords.
    """
    found = use(folder)
    from openmid.instance.operations.backup import backup as write_backup

    names = write_backup(found, file.absolute(), secrets=with_secrets)
    click.echo(f"{file}: {len(names)} files, {file.stat().st_size:,} bytes")
    if not with_secrets:
        click.echo(f"openmid: {found.secrets} is not in it: keep a copy of that folder elsewhere", err=True)


@instance.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@sentences
def restore(file: Path, folder: Path) -> None:
    """Lay a backup out in the new folder DIR; then bring it up to date: openmid instance init DIR."""
    from openmid.instance.folder import Folder
    from openmid.instance.operations.backup import restore as lay_out

    made = Folder(folder.absolute())
    if not lay_out(file, made):
        click.echo(
            f"openmid: the backup has no secrets: copy the instance's folder secrets/ to {folder}/secrets", err=True
        )
    again, dump = f"openmid instance init {shlex.quote(str(folder))}", shlex.quote(str(made.dump))
    if made.dump.exists():
        restores = f"pg_restore --no-owner --dbname URL {dump}"
        click.echo(f"openmid: next, with an empty database's URL: {restores}", err=True)
        click.echo(f"openmid: next: {again} --database URL, then delete {dump}", err=True)
        return
    click.echo(f"openmid: next: {again}", err=True)


@instance.command()
@click.option("--older-than", "days", type=click.IntRange(1), default=90, show_default=True, help="In days.")
@folder_option
@sentences
def purge(days: int, folder: Path) -> None:
    """Delete executions that ended and are older than so many days, with their jobs and answers.

    A running instance does this once an hour by "retention_days" in instance.json (90; 0 keeps everything).
    """
    use(folder)
    from openmid.instance.audit.models import Event
    from openmid.instance.audit.trail import note
    from openmid.instance.ecc.writer import close_writer
    from openmid.instance.operations.retention import tidy

    try:
        done = tidy(days)
    finally:
        close_writer()
    note(Event.COMMAND, display=f"purge: {done.executions} executions older than {days} days were deleted")
    click.echo(f"{done.executions} executions and {done.items} other items are deleted")


@instance.group()
def service() -> None:
    """The instance as a service of systemd, fenced in: it writes in its folder and nowhere else."""


def _service(folder: Path) -> Service:
    """Of the instance in `folder`; as enforced as this command's own environment says."""
    from openmid.instance import fips
    from openmid.instance.folder import Folder
    from openmid.instance.operations.service import Service

    return Service(Folder(folder.absolute()), enforced=fips.wanted())


@service.command("print")
@folder_option
@sentences
def service_print(folder: Path) -> None:
    """Print the unit, with this folder's paths."""
    click.echo(_service(folder).text(), nl=False)


@service.command("install")
@folder_option
@sentences
def service_install(folder: Path) -> None:
    """Install the unit, enable it at boot, and start it. As root.

    With OPENMID_FIPS=enforced in the environment the service runs in FIPS Enforced Mode.
    """
    for row in _service(folder).install():
        click.echo(row)


@service.command("uninstall")
@folder_option
@sentences
def service_uninstall(folder: Path) -> None:
    """Stop the service and remove its unit; the instance's folder stays as it is."""
    for row in _service(folder).uninstall():
        click.echo(row)

"""`openmid instance mid …`: MID Servers as an administrator sees them from the instance's host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from openmid.cli.instance import fail, folder_option, instance, sentences, use


@instance.group()
def mid() -> None:
    """MID Servers: enrolment tokens, validation."""


@mid.command("token")
@click.argument("name")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file (0600) instead.")
@folder_option
@sentences
def mid_token(name: str, output: Path | None, folder: Path) -> None:
    """Make a one-time enrolment token for the MID Server NAME; it is good for one hour."""
    use(folder)
    from openmid.instance.errors import FolderError
    from openmid.instance.folder import write
    from openmid.instance.mid.models import EnrolmentToken

    _, clear = EnrolmentToken.issue(name)
    if output is None:
        click.echo(clear)
        return
    target, content = output.resolve(), f"{clear}\n".encode()
    try:
        if target.is_file() or not output.exists():
            write(target, content, 0o600)
        else:  # /dev/stdout, a pipe: root could replace a device
            output.write_bytes(content)
    except OSError as error:
        raise FolderError(f"{output} cannot be written: {error.strerror}", "name another file") from None


@mid.command("validate")
@click.argument("name")
@click.option("--fingerprint", required=True, help="What the MID Server's host shows.")
@folder_option
@sentences
def mid_validate(name: str, fingerprint: str, folder: Path) -> None:
    """Confirm a MID Server's key: from then on it gets work and secrets."""
    use(folder)
    from openmid.instance.mid import enrolment

    try:
        enrolment.validate(_mid(name), fingerprint)
    except enrolment.EnrolmentRefused as error:
        fail(str(error), error.hint)


@mid.command("invalidate")
@click.argument("name")
@folder_option
@sentences
def mid_invalidate(name: str, folder: Path) -> None:
    """Take a MID Server's validation back: no work and no secrets."""
    use(folder)
    from openmid.instance.mid import enrolment

    enrolment.invalidate(_mid(name))


@mid.command("rekey")
@click.argument("name")
@folder_option
@sentences
def mid_rekey(name: str, folder: Path) -> None:
    """Let a MID Server of this name enrol again with another key."""
    use(folder)
    from openmid.instance.mid import enrolment

    enrolment.request_rekey(_mid(name))


@mid.command("prove")
@click.argument("name")
@folder_option
@sentences
def mid_prove(name: str, folder: Path) -> None:
    """Have a running MID Server prove FIPS Enforced Mode anew; its record shows it within some seconds."""
    use(folder)
    _mid(name).ask_for_proof()


@mid.command("pause")
@click.argument("name")
@folder_option
@sentences
def mid_pause(name: str, folder: Path) -> None:
    """Give a MID Server no new work until it is resumed; what runs is finished."""
    use(folder)
    _mid(name).pause(True)


@mid.command("resume")
@click.argument("name")
@folder_option
@sentences
def mid_resume(name: str, folder: Path) -> None:
    """Let a paused MID Server work again."""
    use(folder)
    _mid(name).pause(False)


@mid.command("restart")
@click.argument("name")
@folder_option
@sentences
def mid_restart(name: str, folder: Path) -> None:
    """Have a running MID Server finish what runs and start anew."""
    use(folder)
    _mid(name).ask_for_restart()


@mid.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@folder_option
@sentences
def mid_list(as_json: bool, folder: Path) -> None:
    """List the MID Servers."""
    use(folder)
    from openmid.instance.mid.models import MidServer

    columns = ("name", "status", "validated", "fips_enforced", "version", "host_name", "fingerprint")
    rows = [{column: getattr(each, column) for column in columns} for each in MidServer.objects.all()]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        fips = "FIPS Enforced" if row["fips_enforced"] else "not FIPS Enforced"
        valid = {"true": "validated", "false": "not validated", "rekey": "rekey"}[row["validated"]]
        click.echo(f"{row['name']}  {row['status']}  {valid}  {fips}  {row['version']}  {row['fingerprint']}")


def _mid(name: str) -> Any:
    from openmid.instance.errors import NotDoneError
    from openmid.instance.mid.models import MidServer

    found = MidServer.objects.filter(name=name).first()
    if found is None:
        raise NotDoneError(f"there is no MID Server named {name}", "look at: openmid instance mid list")
    return found

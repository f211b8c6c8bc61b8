"""`openmid instance …`: set up and run an instance. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from openmid.instance.folder import Folder

ROLES = (
    "admin",
    "connection_admin",
    "credential_admin",
    "action_designer",
    "flow_operator",
    "mid_server",
    "auditor",
)
"""As in openmid.instance.access.roles, which this module must not load before it is needed."""
F = TypeVar("F", bound=Callable[..., Any])


def sentences(command: Callable[..., None]) -> Callable[..., None]:
    """What goes wrong is said in one sentence, with a hint, and exit status 1."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        import sqlite3

        from django.core.exceptions import ValidationError
        from django.db import DatabaseError

        from openmid.fips.errors import FipsError
        from openmid.instance.errors import InstanceError

        try:
            command(*arguments, **options)
        except ValidationError as error:
            fail(" ".join(error.messages))
        except (DatabaseError, sqlite3.Error) as error:
            fail(*_of_the_database(error))
        except (InstanceError, FipsError) as error:
            fail(str(error), getattr(error, "hint", ""))
        except BrokenPipeError:
            raise  # whoever read the output has enough: click ends quietly
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            fail(f"{where}{error.strerror or error}", "see the disk and who owns the folder, then try again")

    return run


def _of_the_database(error: Exception) -> tuple[str, str]:
    from openmid.instance.records.trouble import of_the_database

    first = (str(error).strip().splitlines() or [""])[0]
    usual = f"the instance's database cannot be used: {first}", "run openmid instance init, or restore a backup"
    return of_the_database(error) or usual


def fail(message: str, hint: str = "") -> None:
    """Say it, and exit with status 1."""
    click.echo(f"openmid: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    sys.exit(1)


def folder_option(command: F) -> F:
    """`--dir DIR`, or OPENMID_INSTANCE_DIR."""
    return click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="OPENMID_INSTANCE_DIR",
        required=True,
        help="The instance's folder (or OPENMID_INSTANCE_DIR).",
    )(command)


def _host_names(_: click.Context, option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, each a host's name or address, without scheme and port."""
    from django.core.exceptions import ValidationError

    from openmid.instance.connections.validation import host

    for name in names:
        try:
            host(name)
        except ValidationError as error:
            raise click.BadParameter(" ".join(error.messages), param=option) from None
    return names


@click.group()
def instance() -> None:
    """Set up and run an instance, the control plane."""


@instance.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--host", help="The address to listen on [127.0.0.1].")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on [8443].")
@click.option(
    "--public-name",
    "public_names",
    multiple=True,
    callback=_host_names,
    help="A name by which browsers and MID Servers call it.",
)
@click.option(
    "--certificate", type=click.Path(dir_okay=False, resolve_path=True), help="Its certificate and chain, PEM."
)
@click.option("--key", type=click.Path(dir_okay=False, resolve_path=True), help="The certificate's key, PEM.")
@click.option("--behind-proxy", "proxies", multiple=True, metavar="ADDRESS", help="A reverse proxy that ends TLS.")
@click.option("--database", metavar="URL", default="", help="PostgreSQL: postgresql://user@host/name [SQLite in DIR].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@sentences
def init(
    folder: Path,
    host: str | None,
    port: int | None,
    public_names: tuple[str, ...],
    certificate: str | None,
    key: str | None,
    proxies: tuple[str, ...],
    database: str,
    as_json: bool,
) -> None:
    """Make an instance's folder: database, administrator, CA. Run again, it brings the folder up to date.

    Without --certificate and --key the instance makes a CA of its own and renews its certificate. Given files stay where
    they are, and are read again when they change. Behind a proxy it speaks plain HTTP to that proxy's addresses: pass the
    headers Host, X-Forwarded-For and X-Forwarded-Proto on. The URL of --database holds no password: that comes from
    OPENMID_DATABASE_PASSWORD, and is kept in DIR/secrets, or from where libpq looks (PGPASSWORD, ~/.pgpass).
    """
    from openmid.instance.folder import Folder, Listen
    from openmid.instance.setup import ADMIN, initialise

    if bool(certificate) != bool(key):
        raise click.UsageError("--certificate and --key belong together")
    before = Folder(folder).listen() if Folder(folder).settings.exists() else Listen()
    listen = Listen(
        host or before.host,
        port or before.port,
        public_names or before.public_names,
        certificate or before.certificate,
        key or before.key,
        proxies or before.proxies,
    )
    made, password = initialise(folder, listen, database)
    if as_json:
        found = {"url": listen.url, "ca": str(made.ca), "user": ADMIN if password else None, "password": password}
        click.echo(json.dumps(found))
        return
    click.echo(f"url       {listen.url}\nca        {made.ca}")
    if password:
        click.echo(f"user      {ADMIN}\npassword  {password}")
        click.echo("openmid: the password is shown this once", err=True)
    click.echo(f"openmid: start the instance with: openmid instance run {shlex.quote(str(folder))}", err=True)


@instance.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@sentences
def run(folder: Path) -> None:
    """Run the instance until it is told to stop (SIGINT, SIGTERM)."""
    from openmid.instance.setup import check_migrations

    found = use(folder)
    check_migrations(found)
    from openmid.instance.serve import serve

    serve(found)


@instance.group()
def token() -> None:
    """API tokens, by which scripts sign in."""


@token.command("create")
@click.argument("name")
@click.option("--user", "username", required=True, help="The token may do what this user may.")
@click.option("--scope", type=click.Choice(["full", "run", "read"]), default="full", show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good for. Else: until it is deleted.")
@folder_option
@sentences
def create_token(name: str, username: str, scope: str, days: int | None, folder: Path) -> None:
    """Make an API token and print it, this once.

    The scope run is for those who start, follow and cancel executions; read changes nothing.
    """
    use(folder)
    from openmid.instance.access.models import ApiToken

    click.echo(ApiToken.issue(name, _user(username), scope, days))


@token.command("delete")
@click.argument("name")
@folder_option
@sentences
def delete_token(name: str, folder: Path) -> None:
    """Delete an API token: it is refused from then on."""
    use(folder)
    from openmid.instance.access.models import ApiToken
    from openmid.instance.errors import NotDoneError

    if not ApiToken.objects.filter(name=name).delete()[0]:
        raise NotDoneError(f"there is no API token named {name}")


@instance.group()
def user() -> None:
    """People who sign in."""


@user.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True)
@folder_option
@sentences
def create_user(name: str, role: str, folder: Path) -> None:
    """Make a user and print the generated password, this once."""
    use(folder)
    from django.contrib.auth.models import User

    from openmid.instance.access import roles
    from openmid.instance.errors import NotDoneError

    if User.objects.filter(username=name).exists():
        raise NotDoneError(
            f"there is a user named {name} already", "openmid instance user password sets a new password"
        )
    click.echo(roles.create_user(name, role))


@user.command("password")
@click.argument("name")
@folder_option
@sentences
def reset_password(name: str, folder: Path) -> None:
    """Give a user a new generated password and print it, this once."""
    use(folder)
    from openmid.instance.access import roles

    found, password = _user(name), roles.generated_password()
    found.set_password(password)
    found.save()
    click.echo(password)


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@folder_option
@sentences
def list_users(as_json: bool, folder: Path) -> None:
    """Who may sign in: name, roles, active or not, two-factor sign-in, the last sign-in."""
    use(folder)
    from openmid.instance.access import roles

    found = roles.users()
    if as_json:
        click.echo(json.dumps({"users": found}))
        return
    for each in found:
        said = [each["name"], ",".join(each["roles"]) or "no role", "active" if each["active"] else "disabled"]
        said.append("two-factor" if each["second_factor"] else "password only")
        click.echo("  ".join([*said, f"last sign-in {each['last_login'] or 'never'}"]))


@user.command("disable")
@click.argument("name")
@folder_option
@sentences
def disable_user(name: str, folder: Path) -> None:
    """Refuse a user from now on: no sign-in, no session, no token. What he made stays."""
    use(folder)
    _set_active(name, False)
    click.echo(f"{name} is disabled")


@user.command("enable")
@click.argument("name")
@folder_option
@sentences
def enable_user(name: str, folder: Path) -> None:
    """Let a disabled user in again."""
    use(folder)
    _set_active(name, True)
    click.echo(f"{name} may sign in")


@user.command("reset-second-factor")
@click.argument("name")
@folder_option
@sentences
def reset_second_factor(name: str, folder: Path) -> None:
    """Let a user sign in with the password alone again: the telephone is lost, and the recovery codes too."""
    use(folder)
    from openmid.instance.access import totp

    removed = totp.remove(_user(name))
    click.echo(f"{name}: the second factor is removed" if removed else f"{name} has no second factor")


def _set_active(name: str, active: bool) -> None:
    from django.contrib.auth.models import User

    from openmid.instance.errors import NotDoneError

    found = _user(name)
    others = User.objects.filter(is_active=True, is_superuser=True).exclude(pk=found.pk)
    if not active and found.is_superuser and not others.exists():
        raise NotDoneError(
            f"{name} is the only administrator who may sign in",
            "make another one first: openmid instance user create NAME --role admin",
        )
    found.is_active = active
    found.save()


@instance.command()
@click.option("--since", type=click.DateTime(), help="Only entries from this time (UTC) on.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of CSV.")
@folder_option
@sentences
def audit(since: datetime | None, as_json: bool, folder: Path) -> None:
    """Write the audit trail to stdout: who changed what, from where, the value before and after."""
    use(folder)
    from openmid.instance.audit import trail
    from openmid.instance.audit.models import Audit

    start = int(since.replace(tzinfo=UTC).timestamp()) * 1_000_000 if since else 0
    entries = Audit.objects.filter(sys_created_on__gte=start).order_by("sys_created_on", "pk")
    for line in trail.as_json_lines(entries) if as_json else trail.as_csv(entries):
        click.echo(line, nl=False)


def use(folder: Path) -> Folder:
    """Django set up on the instance's folder."""
    from openmid.instance import setup

    return setup.use(folder)


def _user(name: str) -> Any:
    from django.contrib.auth.models import User

    from openmid.instance.errors import NotDoneError

    found = User.objects.filter(username=name).first()
    if found is None:
        raise NotDoneError(f"there is no user named {name}", f"make one: openmid instance user create {name} --role …")
    return found


from openmid.cli import instance_mid, instance_operations  # noqa: E402, F401  their commands hang on `instance`

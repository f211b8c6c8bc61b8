"""Making an instance's folder, and Django ready in this process."""

from __future__ import annotations

import os
from pathlib import Path

from openmid.instance import databases, fips
from openmid.instance.errors import FolderError
from openmid.instance.folder import ENVIRONMENT, Folder, Listen

ADMIN = "admin"


def use(path: Path) -> Folder:
    """Django set up on an instance's folder.

    Raises:
        FolderError: it is not one.
        NotEnforced: it should be in FIPS Enforced Mode, and is not.
    """
    folder = Folder(path.absolute())
    folder.listen()
    fips.enforce(folder)
    databases.expect(folder)
    _setup(folder)
    return folder


def check_migrations(folder: Folder) -> None:
    """Raises FolderError when the database is not of this version of openmid."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    unknown = set(executor.loader.applied_migrations) - set(executor.loader.disk_migrations)
    if unknown:
        raise FolderError(
            f"{folder.database_name} was written by a newer openmid", "run that version, or restore a backup"
        )
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise FolderError(
            f"{folder.database_name} was written by an older openmid",
            f"bring it up to date: openmid instance init {folder.path}",
        )
    connection.close()


def initialise(path: Path, listen: Listen, database: str = "") -> tuple[Folder, str | None]:
    """Make or bring up to date an instance's folder. Returns the administrator's password if one was made now.

    `database`: PostgreSQL's URL; empty: as before, and SQLite for a new folder.

    Raises:
        FolderError: the folder is something else, or cannot be written; the database's URL is not one, or its server
            does not answer.
    """
    from openmid.instance import tls

    folder = Folder(path.absolute())
    if database:
        databases.check(database)
    if folder.path.is_dir() and not folder.settings.exists() and any(folder.path.iterdir()):
        raise FolderError(f"{path} is neither empty nor an instance's folder", "name another folder")
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.path.chmod(0o700)
        folder.write_listen(listen)  # first: an init that was killed can be run again
        fips.enforce(folder)
        initialised = databases.prepare(folder, database)
        for secret in ("field.key", "django.key"):
            folder.secret(secret, create=not initialised)
        if listen.certificate:
            tls.check_given(listen)
        elif not listen.proxies:
            tls.ensure(folder, listen.names)
    except OSError as error:
        raise FolderError(f"{path} cannot be written: {error.strerror}", "choose a folder of your own") from None
    _setup(folder)
    return folder, _migrate()


def _setup(folder: Folder) -> None:
    os.environ[ENVIRONMENT] = str(folder.path)
    os.environ["DJANGO_SETTINGS_MODULE"] = "openmid.instance.settings"
    import django

    django.setup()


def _migrate() -> str | None:
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from openmid.instance.access.roles import ADMIN as ROLE
    from openmid.instance.access.roles import create_roles, create_user

    call_command("migrate", verbosity=0, interactive=False)
    # clear: else a file stays that is younger than the one of a package that was built before it was collected
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    create_roles()
    if User.objects.filter(is_superuser=True).exists():
        return None
    return create_user(ADMIN, ROLE)

"""Making an instance's folder, and Django ready in this process."""

from __future__ import annotations

import os
from pathlib import Path

from openmid.instance.errors import FolderError
from openmid.instance.folder import ENVIRONMENT, Folder, Listen

ADMIN = "admin"


def use(path: Path) -> Folder:
    """Django set up on an instance's folder.

    Raises:
        FolderError: it is not one.
    """
    folder = Folder(path.absolute())
    folder.listen()
    _setup(folder)
    return folder


def initialise(path: Path, listen: Listen) -> tuple[Folder, str | None]:
    """Make or bring up to date an instance's folder. Returns the administrator's password if one was made now.

    Raises:
        FolderError: the folder is something else, or cannot be written.
    """
    from openmid.instance import tls

    folder = Folder(path.absolute())
    if folder.path.is_dir() and not folder.settings.exists() and any(folder.path.iterdir()):
        raise FolderError(f"{path} is neither empty nor an instance's folder", "name another folder")
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.path.chmod(0o700)
        for secret in ("field.key", "django.key"):
            folder.secret(secret, create=not folder.database.exists())
        folder.write_listen(listen)
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
    call_command("collectstatic", verbosity=0, interactive=False)
    create_roles()
    if User.objects.filter(is_superuser=True).exists():
        return None
    return create_user(ADMIN, ROLE)

"""The roles: `admin` may everything; `mid_server` makes enrolment tokens and sees MID Servers, no more."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User

from openmid.fips import keys

ADMIN = "admin"
MID_SERVER = "mid_server"
ROLES = (ADMIN, MID_SERVER)
MID_SERVER_MAY = ("view_midserver", "view_midissue", "view_enrolmenttoken", "add_enrolmenttoken")


def create_roles() -> None:
    """The groups and their permissions; run after every migration."""
    admin, _ = Group.objects.get_or_create(name=ADMIN)
    admin.permissions.set(Permission.objects.all())
    mid_server, _ = Group.objects.get_or_create(name=MID_SERVER)
    mid_server.permissions.set(Permission.objects.filter(codename__in=MID_SERVER_MAY))


def create_user(username: str, role: str, password: str | None = None) -> str:
    """A user who may sign in, with one role: the password, which is generated when none is given."""
    password = password or generated_password()
    user = User.objects.create_user(username, password=password, is_staff=True, is_superuser=role == ADMIN)
    user.groups.add(Group.objects.get(name=role))
    return password


def generated_password() -> str:
    """About 119 bits, readable aloud: five groups of four letters and digits."""
    alphabet = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    wide = int.from_bytes(keys.random_bytes(64))  # so wide that no letter is likelier than another
    letters = []
    for _ in range(20):
        wide, one = divmod(wide, len(alphabet))
        letters.append(alphabet[one])
    return "-".join("".join(letters[at : at + 4]) for at in range(0, 20, 4))

"""The roles, and what each may do with each kind of record. `admin` may everything."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User

from openmid.fips import keys
from openmid.instance.access.models import TotpDevice

ADMIN = "admin"
CONNECTION_ADMIN = "connection_admin"
CREDENTIAL_ADMIN = "credential_admin"
ACTION_DESIGNER = "action_designer"
FLOW_OPERATOR = "flow_operator"
MID_SERVER = "mid_server"
AUDITOR = "auditor"

WHAT = {
    ADMIN: "everything",
    CONNECTION_ADMIN: "aliases, connections and MID Protocol Profiles",
    CREDENTIAL_ADMIN: "credentials and MID Protocol Profiles",
    ACTION_DESIGNER: "actions: designs, tests and runs them",
    FLOW_OPERATOR: "executions: starts, follows and cancels them",
    MID_SERVER: "sees MID Servers, makes enrolment tokens",
    AUDITOR: "sees everything, the audit trail too, and changes nothing",
}
ROLES = tuple(WHAT)
RUNNERS = frozenset({ADMIN, ACTION_DESIGNER, FLOW_OPERATOR})
FOLLOWERS = RUNNERS | {AUDITOR}

SEE, MAKE, EDIT = ("view",), ("view", "add"), ("view", "add", "change", "delete")
CONNECTIONS = ("connectionalias", "httpconnection")
PROFILES = ("midprotocolprofile",)
SERVERS = (
    "midserver",
    "midissue",
    "midcluster",
    "clustermember",
    "midcapability",
    "midapplication",
    "iprange",
)
CREDENTIALS = ("credential", "basicauthcredential", "apikeycredential", "oauthcredential")
ACTIONS = ("action", "actionversion", "step")
EXECUTIONS = ("execution",)
"""Adding one is starting it, changing one is cancelling it."""
FILES = ("attachment",)
SYSTEM = ("user", "group", "apitoken", "totpdevice", "audit", "enrolmenttoken", "eccqueueitem")

MAY: dict[str, dict[tuple[str, ...], tuple[str, ...]]] = {
    CONNECTION_ADMIN: {CONNECTIONS: EDIT, PROFILES: EDIT, SERVERS: SEE, CREDENTIALS: SEE},
    CREDENTIAL_ADMIN: {PROFILES: EDIT, CREDENTIALS: EDIT, CONNECTIONS: SEE, SERVERS: SEE},
    ACTION_DESIGNER: {ACTIONS: EDIT, EXECUTIONS: EDIT, FILES: EDIT, CONNECTIONS: SEE},
    FLOW_OPERATOR: {ACTIONS: SEE, EXECUTIONS: EDIT, FILES: EDIT},
    MID_SERVER: {("midserver", "midissue"): SEE, ("enrolmenttoken",): MAKE},
    AUDITOR: dict.fromkeys((CONNECTIONS, CREDENTIALS, PROFILES, SERVERS, ACTIONS, EXECUTIONS, FILES, SYSTEM), SEE),
}


def create_roles() -> None:
    """The groups and their permissions; run after every migration."""
    admin, _ = Group.objects.get_or_create(name=ADMIN)
    admin.permissions.set(Permission.objects.all())
    for name, may in MAY.items():
        role, _ = Group.objects.get_or_create(name=name)
        codenames = [f"{verb}_{model}" for models, verbs in may.items() for model in models for verb in verbs]
        role.permissions.set(Permission.objects.filter(codename__in=codenames))


def create_user(username: str, role: str, password: str | None = None) -> str:
    """A user who may sign in, with one role: the password, which is generated when none is given."""
    password = password or generated_password()
    user = User.objects.create_user(username, password=password, is_staff=True, is_superuser=role == ADMIN)
    user.groups.add(Group.objects.get(name=role))
    return password


def users() -> list[dict[str, Any]]:
    """Who may sign in, by name: `name`, `roles`, `active`, `second_factor`, `last_login` (ISO 8601, or None)."""
    paired = set(TotpDevice.objects.filter(confirmed=True).values_list("user_id", flat=True))
    return [
        {
            "name": each.username,
            "roles": sorted(group.name for group in each.groups.all()),
            "active": each.is_active,
            "second_factor": each.pk in paired,
            "last_login": each.last_login.isoformat(timespec="seconds") if each.last_login else None,
        }
        for each in User.objects.order_by("username").prefetch_related("groups")
    ]


def generated_password() -> str:
    """About 119 bits, readable aloud: five groups of four letters and digits."""
    alphabet = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    wide = int.from_bytes(keys.random_bytes(64))  # so wide that no letter is likelier than another
    letters = []
    for _ in range(20):
        wide, one = divmod(wide, len(alphabet))
        letters.append(alphabet[one])
    return "-".join("".join(letters[at : at + 4]) for at in range(0, 20, 4))

"""Every page of the instance, which roles see it, and which show foreign bytes.

Data only: the browser, Django's client and bench/pages.py read it.

A record's page needs a record: `{key}` in a path is the sys_id (or number) of one, under the key of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ROLES = (
    "admin",
    "connection_admin",
    "credential_admin",
    "action_designer",
    "flow_operator",
    "mid_server",
    "auditor",
)
A, CO, CR, D, F, M, AU = ROLES
Who = frozenset[str]
ALL: Who = frozenset(ROLES)
NOBODY: Who = frozenset()


def who(*roles: str) -> Who:
    return frozenset(roles)


@dataclass(frozen=True)
class Kind:
    """A kind of record: who sees its list and its records, who makes one, who removes one.

    `foreign`: the sorts of its pages that show what a partner or a MID Server sent.
    """

    key: str
    path: str
    sees: Who
    makes: Who
    removes: Who
    in_menu: bool = True
    only_a_list: bool = False
    foreign: Who = NOBODY


@dataclass(frozen=True)
class Page:
    """One page. `sort` is list, new, record, history, remove or other."""

    name: str
    path: str
    sees: Who
    sort: str
    foreign: bool = False

    def at(self, records: Mapping[str, str]) -> str:
        """Its path for these records."""
        return self.path.format_map(records)


EVERYWHERE = who("list", "record", "history", "remove")
SEE_CREDENTIALS, EDIT_CREDENTIALS = who(A, CO, CR, AU), who(A, CR)
SEE_SERVERS = who(A, CO, CR, AU)
KINDS = (
    Kind("alias", "/connections/connectionalias/", who(A, CO, CR, D, AU), who(A, CO), who(A, CO)),
    Kind("connection", "/connections/httpconnection/", who(A, CO, CR, D, AU), who(A, CO), who(A, CO), in_menu=False),
    Kind(
        "profile",
        "/connections/midprotocolprofile/",
        who(A, CO, CR, AU),
        who(A, CO, CR),
        who(A, CO, CR),
        foreign=who("record"),
    ),
    Kind(
        "credential", "/connections/credential/", SEE_CREDENTIALS, NOBODY, EDIT_CREDENTIALS, False, True
    ),  # each leads to its kind
    Kind("basic_auth", "/connections/basicauthcredential/", SEE_CREDENTIALS, EDIT_CREDENTIALS, EDIT_CREDENTIALS),
    Kind("api_key", "/connections/apikeycredential/", SEE_CREDENTIALS, EDIT_CREDENTIALS, EDIT_CREDENTIALS),
    Kind("oauth", "/connections/oauthcredential/", SEE_CREDENTIALS, EDIT_CREDENTIALS, EDIT_CREDENTIALS),
    Kind("mid", "/mid/midserver/", SEE_SERVERS | {M}, NOBODY, who(A), foreign=EVERYWHERE),
    Kind("cluster", "/mid/midcluster/", SEE_SERVERS, who(A), who(A)),
    Kind("issue", "/mid/midissue/", SEE_SERVERS | {M}, NOBODY, who(A), foreign=EVERYWHERE),
    Kind("capability", "/mid/midcapability/", SEE_SERVERS, who(A), who(A), in_menu=False),
    Kind("application", "/mid/midapplication/", SEE_SERVERS, who(A), who(A), in_menu=False),
    Kind("ip_range", "/mid/iprange/", SEE_SERVERS, who(A), who(A), in_menu=False),
    Kind("action", "/actions/action/", who(A, D, F, AU), who(A, D), who(A, D), foreign=who("record")),
    Kind("execution", "/actions/execution/", who(A, D, F, AU), NOBODY, NOBODY, foreign=EVERYWHERE),
    Kind("attachment", "/attachments/attachment/", who(A, D, F, AU), NOBODY, who(A, D, F), foreign=EVERYWHERE),
    Kind("user", "/auth/user/", who(A, AU), who(A), who(A)),
    Kind("token", "/access/apitoken/", who(A, AU), who(A), who(A)),
    Kind("audit", "/audit/audit/", who(A, AU), NOBODY, NOBODY, foreign=EVERYWHERE),
)
OTHERS = (
    Page("home", "/", ALL, "other", foreign=True),
    Page("two-factor sign-in", "/second-factor/", ALL, "other"),
    Page("change password", "/password_change/", ALL, "other"),
    Page("new enrolment token", "/mid/midserver/enrolment-token/", who(A, M), "other"),
    Page("versions of an action", "/actions/action/{action}/all_versions/", who(A, D, F, AU), "other"),
    Page(
        "inputs of an action", "/actions/action/{action}/change/?step=inputs", who(A, D, F, AU), "other", foreign=True
    ),
    Page(
        "outputs of an action", "/actions/action/{action}/change/?step=outputs", who(A, D, F, AU), "other", foreign=True
    ),
    Page(
        "properties of an action",
        "/actions/action/{action}/change/?step=properties",
        who(A, D, F, AU),
        "other",
        foreign=True,
    ),
    Page(
        "new REST step", "/actions/action/{action}/change/?step=new", who(A, D, F, AU), "other", foreign=True
    ),  # without Save for those who may not
    Page("new SOAP step", "/actions/action/{action}/change/?step=new-soap", who(A, D, F, AU), "other", foreign=True),
    Page("execution with an error", "/actions/execution/{failed}/change/", who(A, D, F, AU), "other", foreign=True),
    Page("execution with a SOAP fault", "/actions/execution/{fault}/change/", who(A, D, F, AU), "other", foreign=True),
    Page("password of a user", "/auth/user/{user}/password/", who(A), "other"),
)


def _of(kind: Kind) -> Iterator[Page]:
    record = f"{kind.path}{{{kind.key}}}"
    yield Page(f"{kind.key}: list", kind.path, kind.sees, "list", "list" in kind.foreign)
    if kind.only_a_list:
        return
    yield Page(f"{kind.key}: new", f"{kind.path}add/", kind.makes, "new", "new" in kind.foreign)
    yield Page(f"{kind.key}: record", f"{record}/change/", kind.sees, "record", "record" in kind.foreign)
    yield Page(f"{kind.key}: history", f"{record}/history/", kind.sees, "history", "history" in kind.foreign)
    yield Page(f"{kind.key}: remove", f"{record}/delete/", kind.removes, "remove", "remove" in kind.foreign)


PAGES = (*OTHERS, *(page for kind in KINDS for page in _of(kind)))

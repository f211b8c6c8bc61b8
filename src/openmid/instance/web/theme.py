"""What the pages look like: django-unfold's settings. Imported by `openmid.instance.settings`, so it imports no models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy

PERMISSION = Callable[[HttpRequest], bool]


def _may(permission: str) -> PERMISSION:
    return lambda request: bool(getattr(request.user, "has_perm", lambda _: False)(permission))


def _item(title: str, icon: str, url: str, permission: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(url), "permission": _may(permission)}


def _file(name: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(name)


SEE_CREDENTIALS = "connections.view_credential"
NAVIGATION = [
    {
        "title": "IntegrationHub",
        "items": [
            _item(
                "Connection & Credential Alias",
                "hub",
                "admin:connections_connectionalias_changelist",
                "connections.view_connectionalias",
            ),
            _item("Basic Auth", "password", "admin:connections_basicauthcredential_changelist", SEE_CREDENTIALS),
            _item("API Keys", "vpn_key", "admin:connections_apikeycredential_changelist", SEE_CREDENTIALS),
            _item("OAuth 2.0", "token", "admin:connections_oauthcredential_changelist", SEE_CREDENTIALS),
        ],
    },
    {
        "title": "MID Server",
        "items": [
            _item("Servers", "dns", "admin:mid_midserver_changelist", "mid.view_midserver"),
            _item("Clusters", "lan", "admin:mid_midcluster_changelist", "mid.view_midcluster"),
            _item("Issues", "report", "admin:mid_midissue_changelist", "mid.view_midissue"),
            _item(
                "MID Protocol Profiles",
                "badge",
                "admin:connections_midprotocolprofile_changelist",
                "connections.view_midprotocolprofile",
            ),
        ],
    },
    {
        "title": "Process Automation",
        "items": [
            _item("Workflow Studio", "account_tree", "admin:actions_action_changelist", "actions.view_action"),
            _item("Executions", "play_circle", "admin:actions_execution_changelist", "actions.view_execution"),
            _item(
                "Attachments", "attach_file", "admin:attachments_attachment_changelist", "attachments.view_attachment"
            ),
        ],
    },
    {
        "title": "System",
        "items": [
            _item("Users", "person", "admin:auth_user_changelist", "auth.view_user"),
            _item("Tokens", "key", "admin:access_apitoken_changelist", "access.view_apitoken"),
            _item("Audit", "history", "admin:audit_audit_changelist", "audit.view_audit"),
        ],
    },
]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "openmid",
    "SITE_HEADER": "openmid",
    "SITE_SUBHEADER": "MID Servers, mutual TLS, FIPS",
    "SITE_SYMBOL": "shield_lock",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("openmid/icon.svg")}],
    "SITE_URL": None,  # there is no other site to return to
    "SHOW_BACK_BUTTON": True,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "STYLES": [lambda request: reverse("admin:colours"), _file("openmid/pages.css")],
    "SCRIPTS": [_file("openmid/pages.js")],
    "COLORS": {
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(65% .12 184)",
            "600": "oklch(51.1% .096 186.391)",
            "700": "oklch(43.7% .078 188.216)",
            "800": "oklch(38% .063 188.416)",
            "900": "oklch(33.6% .055 188.5)",
            "950": "oklch(27.7% .046 192.524)",
        },
    },
    "ACCOUNT": {
        "navigation": [
            {"title": "Two-factor sign-in", "link": reverse_lazy("admin:second_factor")},
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ]
    },
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": NAVIGATION},
}

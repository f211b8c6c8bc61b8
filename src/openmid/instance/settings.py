"""Django's settings. The instance's folder comes from OPENMID_INSTANCE_DIR; without one they only serve type checkers.

Secure by default: cookies for HTTPS only, no framing, no sniffing, names checked, HSTS except on loopback.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL

from openmid.fips import keys
from openmid.instance.databases import django_settings
from openmid.instance.errors import FolderError
from openmid.instance.folder import ENVIRONMENT, Folder, Listen
from openmid.instance.web.theme import UNFOLD as UNFOLD

OPENMID_FOLDER: Path | None = Path(os.environ[ENVIRONMENT]).absolute() if os.environ.get(ENVIRONMENT) else None
_folder = Folder(OPENMID_FOLDER) if OPENMID_FOLDER else None


def _listen() -> Listen:
    try:
        return _folder.listen() if _folder else Listen()
    except FolderError:
        return Listen()


SECRET_KEY = _folder.secret("django.key") if _folder else keys.identifier()
DEBUG = False
ALLOWED_HOSTS = [f"[{name}]" if ":" in name else name for name in _listen().names]
OPENMID_BEHIND_PROXY = bool(_listen().proxies)
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = ["openmid.instance.web.formats"]
ROOT_URLCONF = "openmid.instance.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "openmid.instance.web",  # before unfold: a template of ours goes before its own
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "openmid.instance.audit",
    "openmid.instance.access",
    "openmid.instance.mid",
    "openmid.instance.connections",
    "openmid.instance.ecc",
    "openmid.instance.attachments",
    "openmid.instance.actions",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "openmid.instance.records.actor.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

DATABASES = {"default": django_settings(_folder)}

STATIC_URL = "/static/"
STATIC_ROOT = str(_folder.static) if _folder else None

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_NAME = "openmid_session"
CSRF_COOKIE_NAME = "openmid_csrf"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# No inline script or style runs anywhere. unsafe-eval: unfold ships standard Alpine, which makes functions of the
# attributes that unfold itself writes. Pages that show foreign bytes are without it (web/plain.py, docs/instance.md).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
SECURE_HSTS_SECONDS = 0 if _listen().names[0] in ("127.0.0.1", "localhost", "::1") else 31_536_000
# No redirect to HTTPS: this server speaks nothing else, and behind a proxy refuses what came without it (`KnownHost`).
# What other names below the instance's do, and the browsers' preload list, is for the owner of the domain to say.
SILENCED_SYSTEM_CHECKS = ["security.W008", "security.W005", "security.W021"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# PBKDF2 with HMAC-SHA-256 (SP 800-132) and no other: Django's list has hashers that FIPS Enforced Mode refuses.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"openmid": {"level": "INFO"}, "django.request": {"level": "ERROR"}},
}

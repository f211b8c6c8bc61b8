"""What may stand in the fields of aliases, connections and profiles: each rule with its sentence."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse

from django.core.exceptions import ValidationError

_SCHEMES = """
about amqp amqps blob data file ftp ftps git http https imap javascript jdbc ldap ldaps mailto mqtt mqtts nfs pop3
redis sftp smb smtp ssh ssl svn tcp telnet tls udp unix urn ws wss
"""
KNOWN_SCHEMES = frozenset(_SCHEMES.split())
_LABEL = re.compile(r"\A(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_PATH = re.compile(r"\A(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/{}]|%[0-9A-Fa-f]{2})*\Z")


def alias_name(value: str) -> None:
    """Letters, digits, underscore."""
    if not re.fullmatch(r"[A-Za-z0-9_]+", value):
        raise ValidationError("An alias's name has only letters, digits and underscores.")


def protocol_name(value: str) -> None:
    """Lower-case letters and digits (the article: no upper case, no special characters, not http or https)."""
    if not re.fullmatch(r"[a-z0-9]+", value):
        raise ValidationError(
            f"“{value}” cannot be a protocol's name: it has only lower-case letters and digits, for example mauth."
        )
    if not value[0].isalpha():
        raise ValidationError(
            f"“{value}” cannot be a protocol's name: it starts with a letter (RFC 3986, section 3.1)."
        )
    if value in KNOWN_SCHEMES:
        raise ValidationError(f"“{value}” is a URL scheme that is already in use. Choose another name, such as mauth.")


def host(value: str) -> None:
    """A host name or an IP address, and nothing around it."""
    if "://" in value:
        raise ValidationError("Enter the host only, without https:// in front of it.")
    if "/" in value:
        raise ValidationError("Enter the host only. A path belongs in Base path.")
    if is_ipv6(value):
        return
    if ":" in value:
        raise ValidationError("Enter the host only. The port belongs in Port.")
    if not value.isascii():
        raise ValidationError(f"“{value}” has letters beyond ASCII: enter an international name in its xn-- form.")
    labels = value.rstrip(".").split(".")
    if len(value) > 253 or not all(_LABEL.match(label) for label in labels):
        raise ValidationError(f"“{value}” is neither a host name nor an IP address.")


def is_ipv6(value: str) -> bool:
    """Whether `value` is an IPv6 address, with or without brackets."""
    bare = value.removeprefix("[").removesuffix("]")
    try:
        ipaddress.IPv6Address(bare)
    except ValueError:
        return False
    zone = bare.partition("%")[2]  # anything at all, for the standard library
    return re.fullmatch(r"[A-Za-z0-9._~-]*", zone) is not None


def url_path(value: str) -> None:
    """A path without query and fragment."""
    if "?" in value or "#" in value:
        raise ValidationError("A path has no ? and no #: query parameters have a field of their own.")
    if "://" in value:
        raise ValidationError("Enter the path only, without the host.")
    if not _PATH.match(value):
        raise ValidationError("A path has only the characters that RFC 3986 allows; write others as %XX.")


def certificates(value: str) -> None:
    """One or more certificates in PEM."""
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise ValidationError(
            "CA certificates are in PEM: one or more blocks from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----."
        ) from None


def keystore_path(value: str) -> None:
    """One path, on one line."""
    if any(ord(character) < 32 for character in value):
        raise ValidationError("A keystore's path is one line.")
    if "-----BEGIN" in value:
        raise ValidationError(
            "This is the text of a certificate or key. Enter the path of the keystore file on the MID Server's host: the "
            "instance keeps no keystore."
        )


def one_line(value: str) -> None:
    """Text without control characters."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValidationError("This is one line, without control characters.")


def base_url(value: str, schemes: frozenset[str]) -> urllib.parse.SplitResult:
    """The parts of `https://host[:port][/path]` or the same with one of the registered protocols.

    Raises:
        ValidationError: another shape; says which part.
    """
    # urlsplit() passes over white space and control characters, and takes an empty query for none: what is stored, and
    # joined with a path, would be another URL than the one that was looked at.
    if any(ord(character) <= 32 or ord(character) == 127 for character in value):
        raise ValidationError("A URL has no spaces, line breaks or control characters in it.")
    if "?" in value or "#" in value:
        raise ValidationError("A base URL has no ? and no #: query parameters have a field of their own.")
    try:
        parts = urllib.parse.urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValidationError(f"“{value}” is not a URL.") from None
    if value.partition("://")[0] not in schemes:
        known = ", ".join(sorted(schemes))
        raise ValidationError(f"The URL starts with a protocol that is known here ({known}) and ://.")
    if parts.username is not None or parts.password is not None:
        raise ValidationError("A URL has no user name and password in it.")
    if not parts.hostname or port == 0:
        raise ValidationError("The URL names a host, and a port from 1 to 65535 if any.")
    host(parts.hostname)
    url_path(parts.path)
    return parts

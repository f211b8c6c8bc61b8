"""The OpenSSL configuration of an enforced process: only `fips` and `base`, and every fetch asks for `fips=yes`.

`OPENSSL_CONF` is read once, when libcrypto initialises (OpenSSL, config(5) and fips_module(7)).
"""

from __future__ import annotations

from pathlib import Path

from openmid.fips import policy
from openmid.fips.errors import StagingFailed

_SPECIAL = "\\$#'\"; "

_COMMON = """\
# Written by openmid for FIPS Enforced Mode. The proof compares this file with what was written: do not edit.
config_diagnostics = 1
openssl_conf = openssl_init
.include {module_conf}

[openssl_init]
providers = providers
alg_section = algorithms
{ssl_line}
[providers]
fips = fips_sect
base = base_sect

# Encoders and decoders, no cryptography.
[base_sect]
activate = 1

[algorithms]
default_properties = fips=yes
"""

# libssl reads this for every context; a program's own calls may narrow it. X25519 is absent on purpose: providers of
# the 3.0 series still carry it.
_SSL = """
[ssl_sect]
system_default = tls

[tls]
MinProtocol = TLSv1.2
CipherString = {suites}
Ciphersuites = {suites13}
Groups = {groups}
SignatureAlgorithms = {signatures}
"""


def quoted(path: Path) -> str:
    """A path as a value of an OpenSSL configuration. Raises StagingFailed for what no escape can carry."""
    text = str(path)
    if any(ord(character) < 32 for character in text):
        raise StagingFailed(f"the folder's name {text!r} contains a control character", "choose another folder")
    return "".join("\\" + character if character in _SPECIAL else character for character in text)


def openssl_conf(module_conf: Path, *, for_libssl: bool) -> str:
    """The text of openssl.cnf around `module_conf`, the file that fipsinstall wrote."""
    text = _COMMON.format(module_conf=quoted(module_conf), ssl_line="ssl_conf = ssl_sect\n" if for_libssl else "")
    if for_libssl:
        text += _SSL.format(
            suites=":".join(policy.TLS12_SUITES),
            suites13=":".join(policy.TLS13_SUITES),
            groups=":".join(policy.GROUPS),
            signatures=":".join(policy.TLS_SIGNATURES),
        )
    return text


def module_conf(written_by_fipsinstall: str, module: Path) -> str:
    """fipsinstall's file plus the module's absolute path, without which the load fails."""
    return written_by_fipsinstall.rstrip("\n") + f"\nmodule = {quoted(module)}\n"


def mac(module_conf_text: str) -> str:
    """The `module-mac` of a fipsmodule.cnf: HMAC-SHA-256 of fips.so, colon-separated hex; empty when there is none."""
    for row in module_conf_text.splitlines():
        key, _, value = row.partition("=")
        if key.strip() == "module-mac":
            return value.strip()
    return ""

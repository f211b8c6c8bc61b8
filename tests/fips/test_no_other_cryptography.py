"""Every place in the package where cryptography or randomness could be reached past the provider: none but these few."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "openmid"

# What goes past the provider although FIPS Enforced Mode is in force, and what to use instead.
KERNEL = "draws from the kernel: fips.keys.random_bytes"
BUILT_IN = "falls back to CPython's own code: name an approved constructor, hashlib.sha256"
GENERATOR = "OpenSSL's low-level generators bypass the provider: fips.keys.generate"
FORBIDDEN_MODULES = {
    "secrets": KERNEL,
    "random": KERNEL,
    "uuid": KERNEL,
    "crypt": "is libcrypt",
    "Crypto": "is a library of its own",
    "Cryptodome": "is a library of its own",
    "nacl": "is a library of its own",
    "OpenSSL": "is a second binding: ssl, or cryptography",
    "grpc": "brings BoringSSL",
    "_md5": "is CPython's own code",
    "_sha1": "is CPython's own code",
    "_sha256": "is CPython's own code",
    "_sha512": "is CPython's own code",
    "_sha3": "is CPython's own code",
    "_blake2": "is CPython's own code",
    "ctypes": "calls a library past its binding",
    "cffi": "calls a library past its binding",
    "cryptography.hazmat.decrepit": "is for keytool alone",
}
FORBIDDEN_NAMES = {
    "os.urandom": KERNEL,
    "os.getrandom": KERNEL,
    "uuid.uuid4": KERNEL,
    "hashlib.new": BUILT_IN,
    "hashlib.file_digest": BUILT_IN,
    "hashlib.md5": "MD5 is not approved",
    "hashlib.sha1": "SHA-1 is not approved",
    "hashlib.blake2b": "is CPython's own code",
    "hashlib.blake2s": "is CPython's own code",
    "hashlib.scrypt": "scrypt is not approved",
    "ssl._create_unverified_context": "trusts everybody",
    "x509.random_serial_number": KERNEL,
}
FORBIDDEN_CALLS = {  # by the last part of the name, whatever it is called on
    "generate_private_key": GENERATOR,
    "generate_key": GENERATOR,
    "generate_parameters": GENERATOR,
}
# hmac.new and hmac.digest are right with these only; by any other name CPython might do it itself.
APPROVED_DIGESTS = {"sha256", "sha384", "sha512"}

# Each with its reason. A new row is a decision, and stands in docs/fips.md as well.
ALLOWED: dict[str, set[str]] = {
    # The proof tries what has to be refused, and asks the libcrypto of `ssl` which providers it has.
    "fips/checks_ssl.py": {"hashlib.scrypt", "os.urandom"},
    "fips/libcryptos.py": {"ctypes"},
    # When to try again, with some jitter: no secret.
    "midserver/retry.py": {"random"},
    "system.py": {"ctypes"},  # Windows' kernel32: whether a process is alive
    # PKCS12's key derivation, and scrypt of BCFKS: an enforced process refuses PKCS12 before, and OpenSSL refuses scrypt.
    "keystore/kdf.py": {"hashlib.scrypt", "hashlib.new", "getattr of hashlib"},
    # keytool, a process of its own: fingerprints for people's eyes, and a key's identifier (RFC 5280, 4.2.1.2).
    "keystore/keytool/describe.py": {"hashlib.new"},
    "keystore/keytool/signing.py": {"hashlib.sha1"},
    # Old files, which keytool alone reads: the MID Server's process never loads it (tests/keystore/test_decrepit.py).
    "keystore/decrepit.py": {"cryptography.hazmat.decrepit", "hashlib.new", "hashlib.sha1", "hmac.digest with sha1"},
}


def modules() -> list[str]:
    return sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute; empty for what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, what, why) of everything in a module that may go past the provider."""
    tree = ast.parse(text)
    known: dict[str, str] = {}  # a local name: what it is
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = ((alias.name, alias.asname) for alias in node.names)
            known |= {own or name.partition(".")[0]: name if own else name.partition(".")[0] for name, own in names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node)
        elif isinstance(node, ast.Attribute | ast.Name):
            yield from _names(node, known)
        elif isinstance(node, ast.Call):
            yield from _calls(node, known)


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[int, str, str]]:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{name}" for name in names] if node.module and not node.level else []
    for name in names:
        for module, why in FORBIDDEN_MODULES.items():
            if name == module or name.startswith(f"{module}."):
                yield node.lineno, module, why


def _names(node: ast.Attribute | ast.Name, known: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    if not isinstance(node.ctx, ast.Load):
        return
    first, _, rest = dotted(node).partition(".")
    whole = known.get(first, "") + (f".{rest}" if rest else "")
    for name, why in FORBIDDEN_NAMES.items():
        if whole == name or whole.endswith(f".{name}"):
            yield node.lineno, name, why


def _calls(node: ast.Call, known: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    name = dotted(node.func)
    last = name.rpartition(".")[2] or getattr(node.func, "attr", "")
    if last in FORBIDDEN_CALLS:
        yield node.lineno, last, FORBIDDEN_CALLS[last]
    whole = known.get(name.partition(".")[0], "") + name[len(name.partition(".")[0]) :]
    if last == "generate" and whole != "openmid.fips.keys.generate":
        yield node.lineno, "generate", GENERATOR
    if (whole == "getattr" or last == "getattr") and node.args and known.get(dotted(node.args[0])) == "hashlib":
        yield node.lineno, "getattr of hashlib", BUILT_IN
    if last == "import_module" and node.args and isinstance(node.args[0], ast.Constant):
        module = str(node.args[0].value)
        if module in FORBIDDEN_MODULES:
            yield node.lineno, module, FORBIDDEN_MODULES[module]
    if whole in ("hmac.new", "hmac.digest"):
        digest = next((word.value for word in node.keywords if word.arg == "digestmod"), None)
        digest = digest or (node.args[2] if len(node.args) > 2 else None)
        if isinstance(digest, ast.Constant) and digest.value not in APPROVED_DIGESTS:
            yield node.lineno, f"{whole} with {digest.value}", BUILT_IN


def test_the_list_of_modules_is_the_package() -> None:
    assert len(modules()) > 100
    assert set(ALLOWED) <= set(modules())


@pytest.mark.parametrize("path", modules())
def test_nothing_goes_past_the_provider(path: str) -> None:
    found, allowed = list(findings((SOURCE / path).read_text())), ALLOWED.get(path, set())
    surplus = [f"src/openmid/{path}:{line}: {what} {why}" for line, what, why in found if what not in allowed]
    assert not surplus, "\n".join(surplus)
    assert allowed <= {what for _, what, _ in found}, f"{path} needs fewer exceptions: {allowed}"


@pytest.mark.parametrize(
    "text",
    [
        "import secrets",
        "from secrets import token_hex",
        "import os\nos.urandom(8)",
        "from os import urandom\nurandom(8)",
        "import os as system\nsystem.urandom(8)",
        "import hashlib\nhashlib.md5(b'')",
        "from hashlib import new\nnew('sha256')",
        "from hashlib import sha1 as quick\nquick(b'')",
        "import hashlib as h\nmaker = h.md5",
        "import uuid",
        "import random",
        "from cryptography.hazmat.primitives.asymmetric import rsa\nrsa.generate_private_key(65537, 2048)",
        "from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key\ngenerate_private_key(None)",
        "from cryptography.hazmat.primitives.asymmetric import ed25519\ned25519.Ed25519PrivateKey.generate()",
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\nAESGCM.generate_key(256)",
        "from cryptography import x509\nx509.random_serial_number()",
        "from joserfc.jwk import RSAKey\nRSAKey.generate_key(2048)",
        "import importlib\nimportlib.import_module('secrets')",
        "import hmac\nhmac.new(b'', b'', 'md5')",
        "import hmac\nhmac.new(b'', digestmod='sha1')",
        "from cryptography.hazmat.decrepit.ciphers.algorithms import RC2",
        "import ctypes",
        "import hashlib\ngetattr(hashlib, 'md5')",
    ],
)
def test_the_walker_finds_it(text: str) -> None:
    assert list(findings(text)), text


@pytest.mark.parametrize(
    "text",
    [
        "import hashlib\nhashlib.sha256(b'')\nhashlib.pbkdf2_hmac('sha256', b'', b'', 1)",
        "import os\nos.environ",
        "from openmid.fips import keys\nkeys.generate('RSA-3072')\nkeys.random_bytes(8)",
        "from openmid.instance.records import secrets",
        "import hmac\nhmac.compare_digest(b'', b'')\nhmac.digest(b'', b'', 'sha256')",
    ],
)
def test_the_walker_leaves_what_is_right(text: str) -> None:
    assert not list(findings(text)), text

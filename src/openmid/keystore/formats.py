"""What a file is, and who reads it. The first bytes decide, never the name."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from openmid.keystore.der import OCTET_STRING, OID, SEQUENCE, context
from openmid.keystore.errors import FileProblem, UnsupportedType, WrongType
from openmid.keystore.store import KeyStore

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
MAX_FILE = 64 * 1024 * 1024  # bytes; four times what BCFKS can hold under AES-CCM

DESCRIPTIONS = {
    "BCFKS": "a BCFKS keystore",
    "PKCS12": "a PKCS12 file",
    "PEM": "a PEM file",
    "JKS": "a Java keystore (JKS)",
    "JCEKS": "a Java keystore (JCEKS)",
    "BKS": "a Bouncy Castle keystore (BKS)",
    "UBER": "a Bouncy Castle keystore (UBER)",
    "PKCS7": "a PKCS#7 bundle of certificates",
    "DER": "a bare certificate or key (DER)",
    "UNKNOWN": "of no kind that openmid knows",
}
# Names that people and keytool use for the types above.
SYNONYMS = {
    "P12": "PKCS12",
    "PFX": "PKCS12",
    "PKCS#12": "PKCS12",
    "BCFKS-DEF": "BCFKS",
    "IBCFKS": "BCFKS",
    "BKS-V1": "BKS",
}
READ = ("BCFKS", "PKCS12", "PEM")
WRITTEN = ("BCFKS", "PKCS12")


def canonical(name: str) -> str:
    """The type's one name, whatever the case: `p12` is `PKCS12`."""
    upper = name.upper()
    return SYNONYMS.get(upper, upper)


def read_file(path: Path) -> bytes:
    """The file's bytes. Raises FileProblem with what the system said."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FileProblem(f"{path} is not a file")
            if status.st_size > MAX_FILE:
                raise FileProblem(
                    f"{path} is too large for a keystore: {status.st_size >> 20} MB, at most {MAX_FILE >> 20}"
                )
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        raise FileProblem(
            f"{path} does not exist", "check the path; a relative one starts in the current folder"
        ) from error
    except PermissionError as error:
        raise FileProblem(
            f"{path} may not be read by this user", "check the owner and mode of file and folders"
        ) from error
    except IsADirectoryError as error:
        raise FileProblem(f"{path} is a folder, not a keystore") from error
    except OSError as error:
        raise FileProblem(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FileProblem("a path cannot contain a zero byte") from error
    if not data:
        raise FileProblem(f"{path} is empty", "the program that should have written it did not finish")
    return data


def detect(path: Path | str) -> str:
    """`BCFKS`, `PKCS12`, `PEM`, `JKS`, `JCEKS`, `BKS`, `UBER`, `PKCS7`, `DER` or `UNKNOWN`. Raises FileProblem."""
    return recognise(read_file(Path(path)))


def recognise(data: bytes) -> str:
    """The type by content alone; a store that is cut short is still recognised."""
    if data.startswith(b"\xfe\xed\xfe\xed"):
        return "JKS"
    if data.startswith(b"\xce\xce\xce\xce"):
        return "JCEKS"
    if data[:3] == b"\0\0\0" and data[3:4] in (b"\1", b"\2") and data[4:7] == b"\0\0\0":
        return _bouncy_castle(data)
    if data[:1] == b"\x30":
        return _der(data)
    return "PEM" if b"-----BEGIN " in data else "UNKNOWN"


def _bouncy_castle(data: bytes) -> str:
    """BKS and UBER share a head: version, salt, iteration count. In BKS an entry follows in clear, in UBER ciphertext."""
    salt_length = int.from_bytes(data[7:8], "big")
    at = 8 + salt_length + 4
    entry, name_length = data[at : at + 1], int.from_bytes(data[at + 1 : at + 3], "big")
    if entry == b"\0" and len(data) == at + 21:
        return "BKS"  # empty: the end mark and a SHA-1 HMAC
    name = data[at + 3 : at + 3 + name_length]
    date = int.from_bytes(data[at + 3 + name_length : at + 11 + name_length], "big")  # milliseconds
    plausible = entry in (b"\1", b"\2", b"\3", b"\4") and len(name) == name_length and date < 1 << 44
    return "BKS" if plausible else "UBER"


def _skip_head(data: bytes, at: int) -> int:
    """The position after a tag and a length (BER's indefinite one too), without asking whether the content is there."""
    length = data[at + 1] if at + 1 < len(data) else 0
    return at + 2 + (length & 0x7F if length >= 0x80 else 0)


def _der(data: bytes) -> str:
    """Told apart by the first elements: docs/bcfks.md, "Which type a file is"."""

    def tag(at: int) -> int:
        return data[at] if at < len(data) else -1

    first = _skip_head(data, 0)
    if data[first : first + 3] == b"\2\1\3":
        return "PKCS12"
    if tag(first) == OID:
        return "PKCS7"
    if tag(first) != SEQUENCE:
        return "DER" if tag(first) == 2 else "UNKNOWN"
    second = _skip_head(data, first)
    if tag(second) == SEQUENCE:
        return "BCFKS"
    plain_store = data[second : second + 3] == b"\2\1\1" and _third_is_time(data, second)
    if plain_store:
        return "BCFKS"
    return "DER" if tag(second) in (OID, 2, context(0), OCTET_STRING) else "UNKNOWN"


def _third_is_time(data: bytes, at: int) -> bool:
    """ObjectStoreData in clear: version 1, an AlgorithmIdentifier, then GeneralizedTime; a certificate has a name there."""
    after_version = at + 3
    start = _skip_head(data, after_version)
    length = data[after_version + 1] if after_version + 1 < len(data) else 0
    return length < 0x80 and data[start + length : start + length + 1] == b"\x18"


def load(path: Path | str, password: str | None, type: str | None = None) -> KeyStore:  # noqa: A002
    """Read a keystore; the type is detected, and one that is given must be right.

    Raises FileProblem, WrongType, UnsupportedType, WrongPassword, Damaged, TooExpensive, NotApproved, KeyMismatch.
    """
    file = Path(path)
    return loads(read_file(file), password, type, str(file))


def loads(
    data: bytes,
    password: str | None,
    type: str | None = None,  # noqa: A002
    name: str = "the keystore",
) -> KeyStore:
    """As `load`, from bytes; `name` is what messages call it."""
    actual = recognise(data)
    if type is not None and canonical(type) != actual:
        expected = canonical(type)
        wanted = DESCRIPTIONS.get(expected, f"a keystore of type {type}")
        hint = f"say {actual} for its type" if actual in READ else ""
        raise WrongType(name, wanted, actual, DESCRIPTIONS[actual], hint)
    if actual == "BCFKS":
        from openmid.keystore import bcfks

        return bcfks.read(data, password, name)
    if actual == "PKCS12":
        from openmid.keystore import pkcs12

        return pkcs12.read(data, password, name)
    if actual == "PEM":
        from openmid.keystore import pem

        return pem.read(data, password, name)
    if actual == "UNKNOWN":
        raise WrongType(name, "a keystore", actual, DESCRIPTIONS[actual])
    raise UnsupportedType(
        f"{name} is {DESCRIPTIONS[actual]}, which this version recognises and does not read", _way_out(actual)
    )


def _way_out(actual: str) -> str:
    if actual in ("JKS", "JCEKS", "BKS", "UBER"):
        return "convert it where it was made: keytool -importkeystore with -deststoretype PKCS12"
    return "put the certificate and its key into one PEM file"


def dumps(store: KeyStore, password: str | None, type: str = "BCFKS") -> bytes:  # noqa: A002
    """The store's bytes. Raises Unstorable, UnsupportedType."""
    wanted = canonical(type)
    if wanted == "BCFKS":
        from openmid.keystore import bcfks

        return bcfks.write(store, password)
    if wanted == "PKCS12":
        from openmid.keystore import pkcs12

        return pkcs12.write(store, password)
    raise UnsupportedType(f"keystores of type {type} are not written", "write BCFKS or PKCS12")


def save(store: KeyStore, path: Path, password: str | None, kind: str) -> None:
    """Encode first, then replace the file in one step. Raises FileProblem, Unstorable, UnsupportedType."""
    write_atomically(path, dumps(store, password, kind))


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """A new file beside the old one, synced, renamed over it; the folder is synced too. Raises FileProblem."""
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = target.with_name(f".keystore.{os.getpid()}.{time.monotonic_ns()}.tmp")
    try:
        descriptor = os.open(temporary, _NEW_FILE, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _keep_owner(target, descriptor)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def _keep_owner(target: Path, descriptor: int) -> None:
    """A store that an administrator rewrites stays readable for the user whose it was."""
    if os.name == "posix" and os.geteuid() == 0 and target.exists():
        status = target.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # other systems do not open folders
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> FileProblem:
    if isinstance(error, FileNotFoundError):
        return FileProblem(
            f"{path} cannot be written: the folder {path.parent} does not exist", f"mkdir -p {path.parent}"
        )
    if isinstance(error, PermissionError):
        return FileProblem(f"{path} cannot be written by this user", f"check the owner and mode of {path.parent}")
    return FileProblem(f"{path} cannot be written: {error.strerror}")

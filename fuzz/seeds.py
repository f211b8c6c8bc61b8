"""Where the fuzzer starts: the vectors, re-made so that nothing in them costs time, and a dictionary of the formats' words.

`python -m fuzz.seeds FOLDER` writes FOLDER/<target>/* and FOLDER/words.dict.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from fuzz import targets
from openmid import keystore
from openmid.keystore import bcfks, decrepit, der, java_objects

ROOT = Path(__file__).parent.parent
VECTORS = ROOT / "tests" / "vectors"
LARGEST = 16 * 1024  # bytes
JAVA_DIGEST = 20  # bytes at the end of JKS, JCEKS and BKS


def vectors() -> Iterator[tuple[Path, bytes]]:
    """Every vector that is a file of its own and small."""
    for path in sorted(VECTORS.rglob("*")):
        if path.is_file() and path.suffix not in (".md", ".json", ".py") and path.stat().st_size <= LARGEST:
            yield path, path.read_bytes()


def seeds() -> Iterator[tuple[str, bytes]]:
    """(target, bytes)."""
    for path, data in vectors():
        yield from of_vector(path.name, data)
    for store in stores():
        sealed = bcfks.write(store, targets.PASSWORD, iterations=1)
        yield "bcfks", sealed
        yield "bcfks-content", targets.bcfks_content(sealed)
    for pfx in cheap_pkcs12():
        yield "pkcs12", pfx
        yield "pkcs12-content", authenticated_safe(pfx)


def of_vector(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    kind = keystore.formats.recognise(data).lower() if data else ""
    if kind in ("jks", "jceks", "bks"):
        yield kind, data[:-JAVA_DIGEST]
    elif kind in ("bcfks", "pkcs12", "pem"):
        yield kind, data
    elif kind:
        yield "der", data
    if kind == "jceks":
        yield from (("java-object", stream) for stream in java_objects_of(data))
    if kind == "pkcs12" and (safe := authenticated_safe(data)):
        yield "pkcs12-content", safe
    if name == "der-leaf.cer":
        yield "certificate", data


def java_objects_of(data: bytes) -> Iterator[bytes]:
    """Each serialised object in a JCEKS store, and the one that is encrypted in it."""
    at = data.find(b"\xac\xed\0\5")
    while at >= 0:
        stream = data[at : java_objects.end_of_object(data, at, len(data) - JAVA_DIGEST, "it")]
        sealed = java_objects.sealed_object(stream, "it")
        parameters = der.Reader(sealed.parameters).sequence("parameters")
        salt, count = parameters.octets("salt"), parameters.integer("count")
        yield stream
        yield decrepit.open_jceks(targets.PASSWORD, salt, count, sealed.content)
        at = data.find(b"\xac\xed\0\5", at + 1)


def stores() -> Iterator[keystore.KeyStore]:
    """What the BCFKS vectors hold, small enough each to be mutated well."""
    for _, data in vectors():
        if keystore.formats.recognise(data) != "BCFKS":
            continue
        try:
            store = keystore.loads(data, targets.PASSWORD)
            for alias in store:
                alone = keystore.KeyStore()
                alone.put(alias, cleared(store[alias]))
                yield alone
        except keystore.KeystoreError:
            continue


def cleared(entry: keystore.Entry) -> keystore.Entry:
    """Without the expensive seal that it came with."""
    return entry.copy() if isinstance(entry, keystore.KeyEntry) else entry


def authenticated_safe(pfx: bytes) -> bytes:
    """The content of a PFX's authSafe, b"" where it is BER."""
    try:
        body = der.Reader(pfx).sequence("pfx")
        body.integer("version")
        content = body.sequence("authSafe")
        content.oid("data")
        return content.element(der.context(0), "content").octets("safe")
    except der.DerError:
        return b""


def cheap_pkcs12() -> Iterator[bytes]:
    """PKCS12 as cryptography writes it, one iteration of everything."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import PrivateFormat, load_der_private_key, pkcs12
    from cryptography.x509 import load_der_x509_certificate

    (entry,) = keystore.load(VECTORS / "keystores" / "p12-ec-p256.p12", targets.PASSWORD).private_keys().values()
    key = load_der_private_key(entry.private_key, None)
    leaf, *chain = map(load_der_x509_certificate, entry.certificates)
    for algorithm in (pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, pkcs12.PBES.PBESv2SHA256AndAES256CBC):
        for digest in (hashes.SHA1(), hashes.SHA256()):
            builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1)
            encryption = builder.key_cert_algorithm(algorithm).hmac_hash(digest).build(targets.PASSWORD.encode())
            yield pkcs12.serialize_key_and_certificates(b"x", key, leaf, chain, encryption)  # type: ignore[arg-type]


def words() -> Iterator[bytes]:
    """Object identifiers and texts that stand in the library's source: what a mutation should try."""
    for module in targets.keystore_modules():
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for oid in re.findall(r'"([0-2](?:\.\d+){3,})"', source):
            yield der.oid(oid)
        for text in re.findall(r'"(-----[A-Z0-9 ]+(?:-----)?)"', source):
            yield text.encode()
    yield from (b"-----BEGIN PRIVATE KEY-----\n", b"-----END PRIVATE KEY-----\n", b"\x30\x80", b"\0\0", b"\x24\x80")


def write(folder: Path) -> None:
    for target in targets.DRESS:
        (folder / target).mkdir(parents=True, exist_ok=True)
    for target, data in seeds():
        (folder / target / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    quoted = sorted({"".join(f"\\x{byte:02x}" for byte in word) for word in words()})
    (folder / "words.dict").write_text("".join(f'"{word}"\n' for word in quoted))


if __name__ == "__main__":
    write(Path(sys.argv[1]))

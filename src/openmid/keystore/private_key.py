"""Private keys in their other shapes, into PKCS#8: PKCS#1, SEC1, encrypted PKCS#8, through cryptography."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from openmid.keystore import costs
from openmid.keystore.errors import Damaged, KeystoreError, NotApproved, UnsupportedType, WrongKeyPassword
from openmid.keystore.refusals import fips_enforced, refusals

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


def pkcs8(key: PrivateKeyTypes) -> bytes:
    """PKCS#8 DER, clear."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def open_encrypted(data: bytes, password: str | None, where: str) -> bytes:
    """An EncryptedPrivateKeyInfo's key. Raises WrongKeyPassword, Damaged, UnsupportedType, TooExpensive, NotApproved."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    costs.check(data, where)
    return _loaded(load_der_private_key, data, password, where)


def open_pem(data: bytes, password: str | None, where: str) -> bytes:
    """The key of any other PEM block. Raises WrongKeyPassword, Damaged, UnsupportedType, NotApproved."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return _loaded(load_pem_private_key, data, password, where)


def _loaded(
    load: Callable[[bytes, bytes | None], PrivateKeyTypes], data: bytes, password: str | None, where: str
) -> bytes:
    """Try without the password first: cryptography refuses one that is not needed."""
    try:
        return pkcs8(load(data, None))
    except TypeError:
        pass  # it is encrypted
    except refusals() as error:
        raise _refused(where, error) from error
    try:
        return pkcs8(load(data, (password or "").encode("utf-8", "surrogatepass")))
    except refusals() as error:
        raise _refused(where, error, encrypted=True) from error


def _refused(where: str, error: Exception, *, encrypted: bool = False) -> KeystoreError:
    """cryptography tells a wrong password from a cipher it does not know by its message only."""
    text = str(error)
    if encrypted and not text.startswith("Incorrect password") and fips_enforced():
        return NotApproved(
            f"the encryption of {where} is not one that FIPS Enforced Mode approves; the key is whole",
            "convert the file to BCFKS with the MID Server's keytool",
        )
    if "nknown cipher" in text or "nsupported" in text or type(error).__name__ == "UnsupportedAlgorithm":
        return UnsupportedType(
            f"{where} is of a kind, or encrypted in a way, that this version does not read: {text.rstrip('.')}",
            "re-encrypt it with: openssl pkcs8 -topk8 -v2 aes256 -in KEY -out NEW",
        )
    if encrypted:
        return WrongKeyPassword(f"the password does not open {where}", "check the private key's password")
    return Damaged(f"{where} is not a private key that can be read")

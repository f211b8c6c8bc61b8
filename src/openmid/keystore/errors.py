"""Everything that the keystore room raises. `str(error)` is one sentence; `hint`, where there is one, says what to do.

KeystoreError
  FileProblem          the file is missing, unreadable, empty, too large, or its folder cannot be written
  WrongType            the file is another type than was asked for
  UnsupportedType      the type is recognised, and it is not read (or not written) here
    OldAlgorithm       it is protected with an algorithm that this process is not to use (the MID Server's; keytool may)
  Unverified           a signed store, and no key was given to verify it with, or another key signed it
  WrongPassword        the store password does not open the store (or the store was changed: the two look alike)
    WrongKeyPassword   the store opens, and this key has a password of its own
  Damaged              the file is cut, changed or not what its format demands
  TooExpensive         opening it would cost more key derivation or memory than is allowed
  NotApproved          FIPS Enforced Mode refuses an algorithm that the store needs; the store is whole
  KeyMismatch          no certificate that was given belongs to the private key
  Unstorable           the target format cannot hold this entry
  NoSuchAlias          the store has no entry of that name
"""

from __future__ import annotations

from typing import ClassVar


def on_one_line(text: str) -> str:
    """Aliases and file names may hold anything: what would break a line, or steer a terminal, is escaped."""
    if text.isprintable():
        return text
    return "".join(char if _is_harmless(char) else char.encode("unicode_escape").decode() for char in text)


def _is_harmless(char: str) -> bool:
    """Letters, signs, and the world's other spaces, of which Python says that they do not print."""
    return char.isprintable() or (char.isspace() and char > "\x9f" and char not in "\u2028\u2029")


class KeystoreError(Exception):
    """The tree's root. `code` is stable and lower-case, for the diagnosis of a failed call."""

    code: ClassVar[str] = "keystore_error"

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(on_one_line(sentence))
        self.hint = on_one_line(hint)


class FileProblem(KeystoreError):
    """Raised before a byte is parsed, and when a store cannot be written."""

    code = "keystore_file"


class WrongType(KeystoreError):
    """Raised when the content says another type than the caller did."""

    code = "keystore_type"

    def __init__(self, name: str, expected: str, actual: str, described: str, hint: str = "") -> None:
        super().__init__(f"{name} is not {expected}: it is {described}", hint)
        self.expected = expected
        self.actual = actual


class UnsupportedType(KeystoreError):
    """Raised for a format that is known by its first bytes and not read (or not written) here."""

    code = "keystore_type_unsupported"


class OldAlgorithm(UnsupportedType):
    """Raised instead of loading the old algorithms where they were ruled out. Its hint is the conversion."""


class Unverified(KeystoreError):
    """Raised for a signed store without a key to verify it with, or when the signature is not by that key."""

    code = "keystore_signature"


class WrongPassword(KeystoreError):
    """Raised when the integrity check fails. A changed byte and a wrong password cannot be told apart."""

    code = "keystore_password"


class WrongKeyPassword(WrongPassword):
    """Raised when one key does not open with the password that was tried."""

    code = "key_password"


class Damaged(KeystoreError):
    """Raised when the bytes are not what the format demands, before or after the integrity check."""

    code = "keystore_damaged"


class TooExpensive(KeystoreError):
    """Raised before deriving: the file asks for more work than any writer of such stores does."""

    code = "kdf_too_expensive"


class NotApproved(KeystoreError):
    """Raised in an enforced process only: the provider refuses the store's key derivation."""

    code = "kdf_not_approved"


class KeyMismatch(KeystoreError):
    """Raised when a private key would be stored with a certificate of another key."""

    code = "key_mismatch"


class Unstorable(KeystoreError):
    """Raised on writing: this entry has no place in that format."""

    code = "keystore_unstorable"


class NoSuchAlias(KeystoreError, KeyError):
    """Raised by `store[alias]`. Also a KeyError, so that `store.get`-like code works as expected."""

    code = "alias_missing"

    def __str__(self) -> str:
        return str(self.args[0])

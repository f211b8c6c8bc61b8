"""What the fuzzer (fuzz/run) found, each as a test; and its corpus, once through."""

from __future__ import annotations

import zlib

import pytest
from fuzz import corpus, targets

from openmid import keystore


@pytest.mark.parametrize("target", targets.DRESS)
def test_the_corpus_holds_no_surprise(target: str) -> None:
    """Inputs that once reached something new, at most 150 a target."""
    inputs = list(corpus.members(target))
    assert inputs, "KEEP=1 fuzz/run writes one"
    for name, data in inputs:
        try:
            targets.exercise(target, data)
        except Exception as error:
            raise AssertionError(f"{target}/{name}, CRC {zlib.crc32(data):x}") from error


@pytest.mark.parametrize("kind", ["PKCS12", "PEM"])
def test_a_trusted_certificate_that_is_none_is_written_where_it_can_be_read_only(kind: str) -> None:
    """BCFKS keeps any bytes, as Bouncy Castle does; the PKCS12 file that was made of them could not be read."""
    store = keystore.KeyStore()
    store.put("x", keystore.TrustedCertificateEntry(b"\x30\0"))
    assert keystore.loads(keystore.dumps(store, "password"), "password").aliases() == ["x"]
    with pytest.raises(keystore.Damaged, match="the certificate of 'x' is not"):
        keystore.dumps(store, "password", kind)


def test_an_alias_breaks_no_message() -> None:
    """A store's aliases end up in messages, logs and terminals."""
    store = keystore.KeyStore()
    store.put("a\r\nb\x1b[31m\u202ec\u2028é 鍵", keystore.OpaqueEntry(7, b""))
    with pytest.raises(keystore.Unstorable) as caught:
        keystore.dumps(store, "password", "PKCS12")
    assert str(caught.value).startswith(r"'a\r\nb\x1b[31m\u202ec\u2028é 鍵' is of a kind")
    with pytest.raises(keystore.NoSuchAlias, match=r"it holds 'a\\r\\nb"):
        store["x"]


@pytest.mark.parametrize("cipher", ["AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC", "DES-CBC"])
@pytest.mark.parametrize("vector", ["", "00", "8D29C4FEC8F97B590BB789", "00" * 8, "00" * 16, "00" * 32])
def test_a_pem_keys_vector_of_a_wrong_length(cipher: str, vector: str) -> None:
    """The parser's own error left the library."""
    head = f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: {cipher},{vector}\n\n"
    with pytest.raises(keystore.KeystoreError) as caught:
        keystore.loads(f"{head}{'A' * 64}\n-----END RSA PRIVATE KEY-----\n".encode(), "changeit")
    assert isinstance(caught.value, keystore.Damaged | keystore.UnsupportedType | keystore.WrongKeyPassword)

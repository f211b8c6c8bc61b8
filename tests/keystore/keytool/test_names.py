"""Names and extensions: drawn, damaged, and in the forms that people type."""

from __future__ import annotations

import contextlib

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from openmid.keystore.der import DerError
from openmid.keystore.errors import Damaged
from openmid.keystore.keytool import certificate_files, extensions, names
from openmid.keystore.keytool.options import KeytoolError
from tests.keystore.keytool.transcript import CERTIFICATES
from tests.keystore.vectors import FOLDER

VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(VALUES, VALUES)
def test_any_value_survives_its_quotes(one: str, other: str) -> None:
    one, other = one.strip() or "x", other.strip() or "y"
    typed = f"CN={names.quoted(one)}, OU={names.quoted(other)}"
    if typed.startswith('CN="') or not one.startswith("#"):
        assert names.text(names.encode(typed)) == typed


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    with contextlib.suppress(KeytoolError, DerError):
        names.text(names.encode(text))


@pytest.mark.parametrize(("typed", "shown"), [
    ("cn=a,o=b", "CN=a, O=b"),
    ("CN=a; O=b", "CN=a, O=b"),
    (r"CN=a\, b", 'CN="a, b"'),
    (r"CN=M\C3\BCller", "CN=Müller"),
    ("CN=#0C0161", "CN=a"),
    ("1.2.3.4=x", "OID.1.2.3.4=x"),
    ("OID.1.2.3.4=x, S=y", "OID.1.2.3.4=x, ST=y"),
    ("CN=a+UID=b", "UID=b + CN=a"),
])  # fmt: skip
def test_forms_of_names(typed: str, shown: str) -> None:
    assert sorted(names.text(names.encode(typed)).split(" + ")) == sorted(shown.split(" + "))


def test_the_encoding_is_what_cryptography_reads() -> None:
    name = x509.load_der_x509_certificate((CERTIFICATES / "more.cer").read_bytes()).subject
    assert names.encode(names.text(name.public_bytes())) != b""
    made = names.encode('CN="More, \\"ext\\"", O=A B, C=ZZ, EMAILADDRESS=a@b.example')
    assert names.text(made) == 'CN="More, \\"ext\\"", O=A B, C=ZZ, EMAILADDRESS=a@b.example'


def test_damaged_bundles_and_extensions_raise_nothing_else() -> None:
    for data in ((FOLDER / "p7b-chain.p7b").read_bytes(), (CERTIFICATES / "extensions.cer").read_bytes()):
        for bit in range(0, len(data) * 8, 5):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            try:
                for certificate in certificate_files.certificates(bytes(changed)):
                    extensions.text(extensions.of_certificate(certificate))
            except (Damaged, DerError):
                continue


def test_pem_that_is_cut_or_is_not_base64() -> None:
    data = (CERTIFICATES / "reply-ca.pem").read_bytes()
    for broken in (data[:-30], data.replace(b"MII", b"M!I")):
        with pytest.raises(Damaged):
            certificate_files.certificates(broken)
    assert certificate_files.certificates(b"") == certificate_files.certificates(b"junk") == []

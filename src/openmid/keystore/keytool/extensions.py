"""X.509 extensions in keytool's words (RFC 5280, 4.2). What it has no words for is dumped, as keytool does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from openmid.keystore import der
from openmid.keystore.der import DerError, Reader
from openmid.keystore.errors import on_one_line
from openmid.keystore.keytool import names

_USAGES = ("DigitalSignature", "Non_repudiation", "Key_Encipherment", "Data_Encipherment", "Key_Agreement",
           "Key_CertSign", "Crl_Sign", "Encipher_Only", "Decipher_Only")  # fmt: skip
_NETSCAPE = ("SSL client", "SSL server", "S/MIME", "Object Signing", "", "SSL CA", "S/MIME CA", "Object Signing CA")
_REASONS = ("unused", "key compromise", "CA compromise", "affiliation changed", "superseded", "cessation of operation",
            "certificate hold", "privilege withdrawn", "AA compromise")  # fmt: skip
PURPOSES = {
    "2.5.29.37.0": "anyExtendedKeyUsage", "1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning", "1.3.6.1.5.5.7.3.4": "emailProtection", "1.3.6.1.5.5.7.3.5": "ipsecEndSystem",
    "1.3.6.1.5.5.7.3.6": "ipsecTunnel", "1.3.6.1.5.5.7.3.7": "ipsecUser", "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
}  # fmt: skip
METHODS = {
    "1.3.6.1.5.5.7.48.1": "ocsp", "1.3.6.1.5.5.7.48.2": "caIssuers", "1.3.6.1.5.5.7.48.3": "timeStamping",
    "1.3.6.1.5.5.7.48.5": "caRepository",
}  # fmt: skip


class Extension(NamedTuple):
    """One extension; `value` is what its OCTET STRING holds."""

    oid: str
    critical: bool
    value: bytes


def of_certificate(data: bytes) -> list[Extension]:
    """A certificate's. Raises DerError."""
    signed = Reader(data).sequence("the certificate").sequence("the certificate's body")
    while signed.peek() >= 0 and signed.peek() != der.context(3):
        signed.any("a field")
    if signed.peek() < 0:
        return []
    return read(signed.element(der.context(3), "the extensions"))


def read(outer: Reader) -> list[Extension]:
    """Extensions ::= SEQUENCE OF Extension. Raises DerError."""
    body = outer.sequence("the extensions")
    found = []
    while body.peek() >= 0:
        one = body.sequence("an extension")
        oid = one.oid("an extension's name")
        critical = one.peek() == der.BOOLEAN and one.element(der.BOOLEAN, "criticality").rest() != b"\0"
        found.append(Extension(oid, critical, one.octets("an extension's value")))
    return found


def text(extensions: list[Extension]) -> str:
    """Numbered, those without a name of their own first, as keytool sorts them."""
    order = sorted(extensions, key=lambda one: _KINDS[one.oid][0] if one.oid in _KINDS else one.oid)
    return "".join(f"#{number}: {_one(extension)}\n" for number, extension in enumerate(order, 1))


def _one(extension: Extension) -> str:
    head = f"ObjectId: {extension.oid} Criticality={'true' if extension.critical else 'false'}\n"
    if extension.oid in _KINDS:
        try:
            return head + _KINDS[extension.oid][1](Reader(extension.value))
        except (DerError, UnicodeDecodeError, ValueError):
            pass  # not what RFC 5280 says: dumped
    if not extension.value:
        return f"{head}(Empty value)\n"
    return f"{head}{dump(extension.value)}\n"


def dump(data: bytes) -> str:
    """Sixteen bytes a line."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        cells = [f"{byte:02X} " for byte in row] + ["   "] * (16 - len(row))
        letters = "".join(chr(byte) if 0x20 <= byte <= 0x7A else "." for byte in row)
        lines.append(f"{at:04X}: {''.join(cells[:8])}  {''.join(cells[8:])} {letters}\n")
    return "".join(lines)


def _all(reader: Reader, read_one: Callable[[Reader], str]) -> list[str]:
    """Every element of a SEQUENCE OF."""
    body = reader.sequence("a list")
    found = []
    while body.peek() >= 0:
        found.append(read_one(body))
    return found


def _bits(reader: Reader, meanings: tuple[str, ...], tag: int = der.BIT_STRING) -> list[str]:
    content = reader.element(tag, "flags").rest()[1:]
    return [
        meaning for at, meaning in enumerate(meanings) if at // 8 < len(content) and content[at // 8] & 0x80 >> at % 8
    ]


def _general_name(reader: Reader) -> str:
    """GeneralName (RFC 5280, 4.2.1.6)."""
    tag = reader.peek()
    body = reader.element(tag, "a name")
    number = tag & 0x1F
    if number == 0:
        return f"Other-Name: Unrecognized ObjectIdentifier: {body.oid('a kind of name')}"
    if number in (1, 2, 6):
        return {1: "RFC822Name", 2: "DNSName", 6: "URIName"}[number] + ": " + on_one_line(body.rest().decode("latin-1"))
    if number == 4:
        return names.shown(body.any("a name"))
    if number == 7:
        return f"IPAddress: {_address(body.rest())}"
    if number == 8:
        return f"OIDName: {der.dotted(body.rest(), 'a name')}"
    raise DerError("a name is of a kind that has no text")


def _general_names(reader: Reader) -> str:
    found = []
    while reader.peek() >= 0:
        found.append(_general_name(reader))
    return f"[{', '.join(found)}]"


def _address(raw: bytes) -> str:
    if len(raw) in (8, 32):  # with its mask, in name constraints
        return f"{_address(raw[: len(raw) // 2])}/{_address(raw[len(raw) // 2 :])}"
    if len(raw) == 4:
        return ".".join(str(byte) for byte in raw)
    if len(raw) == 16:
        return ":".join(format(int.from_bytes(raw[at : at + 2], "big"), "x") for at in range(0, 16, 2))
    raise DerError("an address has a length that no address has")


def _alternative_names(title: str) -> Callable[[Reader], str]:
    def show(reader: Reader) -> str:
        return f"{title} [\n" + "".join(f"  {name}\n" for name in _all(reader, _general_name)) + "]\n"

    return show


def _access(title: str) -> Callable[[Reader], str]:
    def one(reader: Reader) -> str:
        pair = reader.sequence("an access description")
        method = pair.oid("an access method")
        return f"\n   accessMethod: {METHODS.get(method, method)}\n   accessLocation: {_general_name(pair)}\n"

    return lambda reader: f"{title} [\n  [{', '.join(_all(reader, one))}]\n]\n"


def _authority_key(reader: Reader) -> str:
    body = reader.sequence("the authority's key")
    lines = "AuthorityKeyIdentifier [\n"
    if body.peek() == 0x80:
        lines += f"KeyIdentifier [\n{dump(body.element(0x80, 'the key').rest())}]\n"
    if body.peek() == der.context(1):
        lines += _general_names(body.element(der.context(1), "the issuer")) + "\n"
    if body.peek() == 0x82:
        lines += f"SerialNumber: {body.element(0x82, 'the serial number').rest().hex(':')}\n"
    return lines + "]\n"


def _subject_key(reader: Reader) -> str:
    return f"SubjectKeyIdentifier [\nKeyIdentifier [\n{dump(reader.octets('the key'))}]\n]\n"


def _basic_constraints(reader: Reader) -> str:
    body = reader.sequence("the constraints")
    authority = body.peek() == der.BOOLEAN and body.element(der.BOOLEAN, "the flag").rest() != b"\0"
    length = f":{body.integer('the length')}" if body.peek() == der.INTEGER else ": no limit"
    shown = length if authority else ": undefined"
    return f"BasicConstraints:[\n  CA:{'true' if authority else 'false'}\n  PathLen{shown}\n]\n"


def _key_usage(reader: Reader) -> str:
    return "KeyUsage [\n" + "".join(f"  {usage}\n" for usage in _bits(reader, _USAGES)) + "]\n"


def _netscape_type(reader: Reader) -> str:
    return "NetscapeCertType [\n" + "".join(f"   {use}\n" for use in _bits(reader, _NETSCAPE)) + "]\n"


def _purposes(reader: Reader) -> str:
    found = _all(reader, lambda body: body.oid("a purpose"))
    return "ExtendedKeyUsages [\n" + "".join(f"  {PURPOSES.get(oid, oid)}\n" for oid in found) + "]\n"


def _distribution_points(reader: Reader) -> str:
    return f"CRLDistributionPoints [\n  [{', '.join(_all(reader, _distribution_point))}]]\n"


def _distribution_point(reader: Reader) -> str:
    body = reader.sequence("a distribution point")
    lines = "DistributionPoint:\n"
    if body.peek() == der.context(0):
        name = body.element(der.context(0), "the point's name").element(der.context(0), "the point's full name")
        lines += f"     {_general_names(name)}\n"
    if body.peek() == 0x81:
        lines += "   ReasonFlags:\n" + "".join(f"    {reason}\n" for reason in _bits(body, _REASONS, 0x81))
    if body.peek() == der.context(2):
        lines += f"   CRLIssuer:{_general_names(body.element(der.context(2), 'the issuer'))}\n"
    return lines


def _policies(reader: Reader) -> str:
    return f"CertificatePolicies [\n{''.join(_all(reader, _policy))}]\n"


def _policy(reader: Reader) -> str:
    body = reader.sequence("a policy")
    oid = body.oid("a policy")
    qualifiers = _all(body, _qualifier) if body.peek() == der.SEQUENCE else []
    return f"  [CertificatePolicyId: [{oid}]\n[{', '.join(qualifiers)}]  ]\n"


def _qualifier(reader: Reader) -> str:
    body = reader.sequence("a qualifier")
    oid = body.oid("a qualifier")
    return f"PolicyQualifierInfo: [\n  qualifierID: {oid}\n  qualifier: {dump(body.any('a qualifier'))}\n]"


def _name_constraints(reader: Reader) -> str:
    body = reader.sequence("the constraints")
    lines, separator = "NameConstraints: [", ", \n"
    for number, title in ((0, "Permitted"), (1, "Excluded")):
        if body.peek() == der.context(number):
            trees = body.element(der.context(number), "the trees")
            shown = []
            while trees.peek() >= 0:
                name = _general_name(trees.sequence("a tree"))
                shown.append(
                    f"   GeneralSubtree: [\n    GeneralName: {name}\n    Minimum: 0\n    Maximum: undefined    ]\n"
                )
            lines += f"\n    {title}:   GeneralSubtrees:\n[\n{separator.join(shown)}]\n"
    return lines + "   ]\n"


def _policy_mappings(reader: Reader) -> str:
    return f"PolicyMappings [\n[{', '.join(_all(reader, _policy_mapping))}]]\n"


def _policy_mapping(reader: Reader) -> str:
    body = reader.sequence("a mapping")
    issuer, subject = body.oid("a policy"), body.oid("a policy")
    return (f"CertificatePolicyMap: [\nIssuerDomain:CertificatePolicyId: [{issuer}]\n"
            f"SubjectDomain:CertificatePolicyId: [{subject}]\n]\n")  # fmt: skip


def _policy_constraints(reader: Reader) -> str:
    body = reader.sequence("the constraints")
    counts = {}
    for tag, word in ((0x80, "Require"), (0x81, "Inhibit")):
        raw = body.element(tag, "a count").rest() if body.peek() == tag else None
        counts[word] = "unspecified" if raw is None else str(int.from_bytes(raw, "big"))
    return f"PolicyConstraints: [  Require: {counts['Require']};\tInhibit: {counts['Inhibit']} ]\n"


def _inhibit_any_policy(reader: Reader) -> str:
    return f"InhibitAnyPolicy: {reader.integer('the count')}\n"


# By object identifier: the name that keytool sorts by, and the words.
_KINDS: dict[str, tuple[str, Callable[[Reader], str]]] = {
    "1.3.6.1.5.5.7.1.1": ("AuthorityInfoAccess", _access("AuthorityInfoAccess")),
    "1.3.6.1.5.5.7.1.11": ("SubjectInfoAccess", _access("SubjectInfoAccess")),
    "2.16.840.1.113730.1.1": ("NetscapeCertType", _netscape_type),
    "2.5.29.14": ("SubjectKeyIdentifier", _subject_key),
    "2.5.29.15": ("KeyUsage", _key_usage),
    "2.5.29.17": ("SubjectAlternativeName", _alternative_names("SubjectAlternativeName")),
    "2.5.29.18": ("IssuerAlternativeName", _alternative_names("IssuerAlternativeName")),
    "2.5.29.19": ("BasicConstraints", _basic_constraints),
    "2.5.29.30": ("NameConstraints", _name_constraints),
    "2.5.29.31": ("CRLDistributionPoints", _distribution_points),
    "2.5.29.32": ("CertificatePolicies", _policies),
    "2.5.29.33": ("PolicyMappings", _policy_mappings),
    "2.5.29.35": ("AuthorityKeyIdentifier", _authority_key),
    "2.5.29.36": ("PolicyConstraints", _policy_constraints),
    "2.5.29.37": ("ExtendedKeyUsage", _purposes),
    "2.5.29.54": ("InhibitAnyPolicy", _inhibit_any_policy),
}

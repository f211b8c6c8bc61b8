"""`keytool -genkeypair` and `-certreq`. Keys come from openmid.fips.keys, the project's only generator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from openmid.keystore import certificate as x509
from openmid.keystore import der
from openmid.keystore.entries import KeyEntry, PrivateKeyEntry
from openmid.keystore.errors import KeystoreError, on_one_line
from openmid.keystore.keytool import extension_values, names, prompts, report, show, stores
from openmid.keystore.keytool.change import unlock
from openmid.keystore.keytool.options import KeytoolError, Request
from openmid.keystore.keytool.prompts import say
from openmid.keystore.keytool.signing import Signer, signer
from openmid.keystore.keytool.stores import Opened

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_CURVE_NAMES = {"p-256": "secp256r1", "prime256v1": "secp256r1", "p-384": "secp384r1", "p-521": "secp521r1"}
_CURVE_SIZES = {"256": "secp256r1", "384": "secp384r1", "521": "secp521r1"}
_RSA_SIZES = ("2048", "3072", "4096")
_DEFAULT_DAYS = "90"
_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_QUESTIONS = (
    ("CN", "What is your first and last name?"),
    ("OU", "What is the name of your organizational unit?"),
    ("O", "What is the name of your organization?"),
    ("L", "What is the name of your City or Locality?"),
    ("ST", "What is the name of your State or Province?"),
    ("C", "What is the two-letter country code for this unit?"),
)


def run(request: Request) -> None:
    """Raises KeytoolError, KeystoreError."""
    if request.command == "-certreq":
        _request_certificate(request)
    else:
        _generate(request)


def _generate(request: Request) -> None:
    opened = stores.change_or_begin(request)
    algorithm, described = _algorithm(request)
    alias = stores.spelled(request.alias, opened.kind)
    if alias in opened.store:
        raise KeytoolError(
            f"Key pair not generated, alias <{alias}> already exists", "choose another -alias, or -delete the old one"
        )
    days = _days(request)
    own_password = _given_key_password(request, opened)
    name = names.encode(request.values["-dname"]) if request.has("-dname") else _asked_name()
    key = _new_key(algorithm)
    signing = signer(key, request.get("-sigalg"), alias)
    certificate = _self_signed(request, signing, name, days)
    say(f"Generating {described} key pair and self-signed certificate ({signing.name}) with a validity of {days:,} days\n"
        f"\tfor: {names.shown(name)}")  # fmt: skip
    if own_password is None and opened.kind != "PKCS12" and not request.has("-keypass"):
        own_password = _asked_key_password(alias)
    opened.store.set_private_key(alias, key, [certificate], password=own_password)
    stores.save(request, opened)
    curve = _CURVE_SIZES.get(request.get("-keysize") or "") if algorithm.startswith("P-") else None
    old = f'Specifying -keysize for generating EC keys is deprecated, please use "-groupname {curve}" instead.'
    report.warn(request, opened.store, [old] if curve else [])


def _new_key(algorithm: str) -> bytes:
    from openmid.fips import keys
    from openmid.fips.errors import FipsError

    try:
        return keys.generate(algorithm)
    except FipsError as error:
        raise KeystoreError(str(error), error.hint) from error


def _algorithm(request: Request) -> tuple[str, str]:
    """(the generator's name for it, keytool's)."""
    asked, size, group = request.get("-keyalg"), request.get("-keysize"), request.get("-groupname")
    if asked is None:
        raise KeytoolError("The -keyalg option must be specified.", "-keyalg EC or -keyalg RSA")
    if size is not None and group is not None:
        raise KeytoolError("Cannot specify both -groupname and -keysize")
    if asked.upper() == "RSA":
        size = size or "3072"
        if group is not None or size not in _RSA_SIZES:
            raise KeytoolError(
                f"RSA keys of {size} bits are not made", f"-keysize {', '.join(_RSA_SIZES)} are approved"
            )
        return f"RSA-{size}", f"{int(size):,} bit RSA"
    if asked.upper() != "EC":
        raise KeytoolError(f"{asked} KeyPairGenerator not available", "-keyalg EC or -keyalg RSA are approved")
    lower = (group or "secp256r1").lower()
    curve = _CURVE_SIZES.get(size, "") if size is not None else _CURVE_NAMES.get(lower, lower)
    if curve not in _CURVES:
        raise KeytoolError(f"EC keys of {group or size} are not made", f"-groupname {', '.join(_CURVES)} are approved")
    return _CURVES[curve], f"{_CURVES[curve][2:]} bit EC ({curve})"


def _days(request: Request) -> int:
    text = request.values.get("-validity", _DEFAULT_DAYS)
    if not text.isdecimal() or int(text) == 0:
        raise KeytoolError("Validity must be greater than zero", "-validity is a number of days")
    return int(text)


def _given_key_password(request: Request, opened: Opened) -> str | None:
    """-keypass, where it is another one than the store's."""
    given = request.get("-keypass")
    if given is None or given == opened.password:
        return None
    if opened.kind == "PKCS12":
        say("Warning:  Different store and key passwords not supported for PKCS12 KeyStores. "
            "Ignoring user-specified -keypass value.")  # fmt: skip
        return None
    stores.long_enough("Key", given)
    return given


def _asked_key_password(alias: str) -> str | None:
    """None for the store's: nothing typed, or nobody there."""
    for _ in range(3):
        say(f"Enter key password for <{on_one_line(alias)}>")
        typed = prompts.typed_password("\t(RETURN if same as keystore password):  ", "-keypass")
        if not typed:
            return None
        if len(typed) < prompts.MIN_PASSWORD:
            say(f"Key password is too short - must be at least {prompts.MIN_PASSWORD} characters")
        elif prompts.typed_password("Re-enter new password: ", "-keypass") == typed:
            return typed
        else:
            say("They don't match. Try again")
    raise KeytoolError("Too many failures - key not added to keystore")


def _asked_name() -> bytes:
    """keytool's six questions, until the answer is right."""
    answers = {keyword: "Unknown" for keyword, _ in _QUESTIONS}
    nobody = ("no distinguished name was given", "give it as -dname CN=client,O=Company,C=DE")
    while True:
        for keyword, question in _QUESTIONS:
            answers[keyword] = prompts.ask(f"{question}\n  [{answers[keyword]}]:  ", *nobody) or answers[keyword]
        name = ", ".join(f"{keyword}={names.quoted(answer)}" for keyword, answer in answers.items())
        if prompts.ask(f"Is {name} correct?\n  [no]:  ", *nobody).lower() in ("yes", "y"):
            say("")
            return names.encode(name)


def _self_signed(request: Request, signing: Signer, name: bytes, days: int) -> bytes:
    from openmid.fips.keys import random_bytes

    start = _start(request.get("-startdate"))
    serial = bytes((random_bytes(1)[0] & 0x3F | 0x40,)) + random_bytes(15)  # positive, of constant length
    try:
        validity = der.sequence(_time(start), _time(start + timedelta(days=days)))
    except OverflowError:
        raise KeytoolError(f"a validity of {days} days ends after the year 9999") from None
    extensions = extension_values.requested(request.extensions, signing.subject_key())
    body = der.sequence(
        der.tlv(der.context(0), der.integer(2)),
        der.tlv(der.INTEGER, serial),
        signing.identifier(),
        name,
        validity,
        name,
        signing.public,
        der.tlv(der.context(3), extension_values.encode(extensions)),
    )
    return signing.signed(body)


def _start(text: str | None) -> datetime:
    now = datetime.now(UTC).replace(microsecond=0)
    if text is None:
        return now
    from openmid.keystore.keytool.start_date import parse

    return parse(text, now)


def _time(moment: datetime) -> bytes:
    """UTCTime to 2049, GeneralizedTime after it (RFC 5280, 4.1.2.5)."""
    if 1950 <= moment.year < 2050:
        return der.tlv(der.UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return der.time(moment)


def _request_certificate(request: Request) -> None:
    store = stores.read(request)
    alias = stores.known_alias(request.alias, store)
    entry = store[alias]
    if not isinstance(entry, KeyEntry):
        raise KeytoolError(f"Alias <{alias}> has no key")
    if not isinstance(entry, PrivateKeyEntry):
        raise KeytoolError(f"Alias <{alias}> is a secret key, which signs nothing")
    unlock(entry, alias, request.get("-keypass"), "-keypass")
    signing = signer(entry.private_key, request.get("-sigalg"), alias)
    if request.has("-dname"):
        name = names.encode(request.values["-dname"])
    elif entry.certificates:
        name = x509.fields(entry.certificates[0]).subject
    else:
        raise KeytoolError(f"{alias} has no public key (certificate)", "give the subject as -dname")
    text = f"{report.pem(_certificate_request(request, signing, name), 'NEW CERTIFICATE REQUEST')}\n"
    show.write_output(request, text.encode())
    if request.verbose and request.has("-file"):
        say(f"Certification request stored in file <{request.get('-file')}>\nSubmit this to your CA")
    report.warn(request, store, report.request_weakness(signing.identifier(), signing.public))


def _certificate_request(request: Request, signing: Signer, name: bytes) -> bytes:
    """CertificationRequest (RFC 2986, 4)."""
    extensions = extension_values.encode(extension_values.requested(request.extensions, signing.subject_key()))
    attribute = der.sequence(der.oid(_EXTENSION_REQUEST), der.tlv(der.SET, extensions))
    body = der.sequence(der.integer(0), name, signing.public, der.tlv(der.context(0), attribute))
    return signing.signed(body)

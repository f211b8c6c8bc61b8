"""Every command and flag, as data. A flag is a row here once; a command names the flags that its help shows.

A flag that a command does not have is accepted there without effect, as Java's keytool does.
"""

from __future__ import annotations

# role of a flag: "" (has an argument), "switch", "password" (an argument in three forms), "provider" or "unused"
# (an argument, without effect), "refused" (a switch that is answered) and "refused argument".
FLAGS: dict[str, tuple[str, str, str]] = {  # name: (role, what the argument is called, help)
    "-addprovider": ("provider", "name", "accepted, without effect"),
    "-alias": ("", "alias", "alias name of the entry to process"),
    "-cacerts": ("refused", "", "Java's own truststore: not offered"),
    "-conf": ("refused argument", "url", "pre-configured options: not offered"),
    "-destalias": ("", "alias", "destination alias"),
    "-destkeypass": ("password", "arg", "destination key password"),
    "-destkeystore": ("", "keystore", "destination keystore name"),
    "-destprotected": ("refused", "", "destination keystore on a token: not offered"),
    "-destprovidername": ("provider", "name", "accepted, without effect"),
    "-deststorepass": ("password", "arg", "destination keystore password"),
    "-deststoretype": ("", "type", "destination keystore type: BCFKS, PKCS12 or PEM"),
    "-dname": ("", "name", "distinguished name"),
    "-ext": ("", "value", "X.509 extension; may be repeated"),
    "-file": ("", "file", "file name"),
    "-groupname": ("", "name", "elliptic curve: secp256r1, secp384r1 or secp521r1"),
    "-infile": ("", "file", "input file name"),
    "-jarfile": ("refused argument", "file", "signed jar files: not offered"),
    "-keyalg": ("", "alg", "key algorithm name: RSA or EC"),
    "-keypass": ("password", "arg", "key password"),
    "-keysize": ("", "size", "key bit size"),
    "-keystore": ("", "keystore", "keystore name"),
    "-new": ("password", "arg", "new password"),
    "-noprompt": ("switch", "", "do not prompt"),
    "-outfile": ("", "file", "output file name"),
    "-protected": ("refused", "", "keystore on a token: not offered"),
    "-providerarg": ("provider", "arg", "accepted, without effect"),
    "-providerclass": ("provider", "class", "accepted, without effect (also -provider)"),
    "-providername": ("provider", "name", "accepted, without effect"),
    "-providerpath": ("provider", "list", "accepted, without effect"),
    "-rfc": ("switch", "", "output in RFC style"),
    "-sigalg": ("", "alg", "signature algorithm name"),
    "-signer": ("refused argument", "alias", "a certificate signed by another entry: not offered"),
    "-signerkeypass": ("password", "arg", "signer key password"),
    "-srcalias": ("", "alias", "source alias"),
    "-srckeyfile": ("", "file", "private key of a PEM source, where it is not in the source itself (our extension)"),
    "-srckeypass": ("password", "arg", "source key password"),
    "-srckeystore": ("", "keystore", "source keystore name"),
    "-srcprotected": ("refused", "", "source keystore on a token: not offered"),
    "-srcprovidername": ("provider", "name", "accepted, without effect"),
    "-srcstorepass": ("password", "arg", "source keystore password"),
    "-srcstoretype": ("", "type", "source keystore type (told by content if not given); PEM is our extension"),
    "-sslserver": ("refused argument", "server[:port]", "a server's certificates: not offered"),
    "-startdate": ("", "date", "certificate validity start, as 2026/11/23, 15:30:00 or +1d-2H"),
    "-storepass": ("password", "arg", "keystore password"),
    "-storetype": ("", "type", "keystore type (told by content if not given; PKCS12 for a new one)"),
    "-tls": ("switch", "", "displays TLS configuration information"),
    "-trustcacerts": ("switch", "", "trust this system's CA bundle too"),
    "-v": ("switch", "", "verbose output"),
    "-validity": ("", "days", "validity number of days"),
}
OTHER_NAMES = {
    "-export": "-exportcert",
    "-import": "-importcert",
    "-genkey": "-genkeypair",
    "-importpassword": "-importpass",
    "-provider": "-providerclass",
}
WAYS_OUT = {  # what to do instead of a refused flag
    "-sslserver": "openssl s_client -connect SERVER:443 -showcerts",
    "-jarfile": "jarsigner -verify -verbose -certs FILE",
    "-signer": "-certreq makes a request that the signer answers",
    "-conf": "write the options on the command line",
}

_STORE = "-keystore -storepass -storetype"
_PROVIDERS = "-providername -addprovider -providerclass -providerarg -providerpath"

COMMANDS: dict[str, tuple[str, str]] = {  # name: (summary, its flags)
    "-certreq": ("Generates a certificate request", f"-alias -sigalg -file -keypass -dname -ext {_STORE} -v"),
    "-changealias": ("Changes an entry's alias", f"-alias -destalias -keypass {_STORE} -v"),
    "-delete": ("Deletes an entry", f"-alias {_STORE} -v"),
    "-exportcert": ("Exports certificate", f"-rfc -alias -file {_STORE} -v"),
    "-genkeypair": (
        "Generates a key pair",
        "-alias -keyalg -keysize -groupname -sigalg -dname -startdate -ext -validity -keypass " + f"{_STORE} -v",
    ),
    "-importcert": (
        "Imports a certificate or a certificate chain",
        f"-noprompt -trustcacerts -alias -file -keypass {_STORE} -v",
    ),
    "-importkeystore": (
        "Imports one or all entries from another keystore",
        "-srckeystore -destkeystore -srcstoretype -deststoretype -srcstorepass -deststorepass -srckeyfile -srcalias "
        "-destalias -srckeypass -destkeypass -noprompt -v",
    ),
    "-keypasswd": ("Changes the key password of an entry", f"-alias -keypass -new {_STORE} -v"),
    "-list": ("Lists entries in a keystore", f"-rfc -alias {_STORE} -v"),
    "-printcert": ("Prints the content of a certificate", "-rfc -file -v"),
    "-printcertreq": ("Prints the content of a certificate request", "-file -v"),
    "-storepasswd": ("Changes the store password of a keystore", f"-new {_STORE} -v"),
    "-showinfo": ("Displays security-related information", "-tls -v"),
}
NOT_OFFERED: dict[str, tuple[str, str]] = {  # name: (summary, what to do instead)
    "-genseckey": ("Generates a secret key", "secret keys are no part of a client's identity: Java's keytool"),
    "-gencert": ("Generates certificate from a certificate request", "openssl x509 -req, or the authority's own tool"),
    "-importpass": ("Imports a password", "passwords are no part of a client's identity: Java's keytool"),
    "-printcrl": ("Prints the content of a CRL file", "openssl crl -text -noout -in FILE"),
}
HELP = ("-help", "-h", "-?", "--help")


def flags_of(command: str) -> list[str]:
    """In the order of its help, the flags without effect last."""
    own = COMMANDS[command][1].split()
    return own + (_PROVIDERS.split() if "-keystore" in own or "-srckeystore" in own else [])

"""Help: a command's flags, or all commands."""

from __future__ import annotations

from openmid.keystore.keytool.flags import COMMANDS, FLAGS, NOT_OFFERED, flags_of

_TAIL = 'Use "keytool -?, -h, or --help" for this help message'
_EXAMPLES = {
    "-importkeystore": [
        "",
        "A client certificate for a MID Server in FIPS Enforced Mode:",
        "",
        " keytool -importkeystore -v -srckeystore client.p12 -srcstoretype PKCS12 -srcstorepass:env SOURCE_PASSWORD \\",
        "   -destkeystore client.bcfks -deststoretype BCFKS -deststorepass:env STORE_PASSWORD",
        "",
        "The same from PEM: -srcstoretype PEM, with -srckeyfile if the key is in another file, and -srcstorepass if it",
        "is encrypted.",
    ],
    "-list": ["", "What is in a keystore:", "", " keytool -list -keystore client.bcfks -storepass:env STORE_PASSWORD"],
    "-genkeypair": [
        "",
        "A key, a request for the authority, and the authority's answer with its chain:",
        "",
        " keytool -genkeypair -alias client -keyalg EC -dname CN=client -keystore client.bcfks -storetype BCFKS",
        " keytool -certreq -alias client -file client.csr -keystore client.bcfks",
        " keytool -importcert -alias client -file answer.pem -keystore client.bcfks",
    ],
}


def usage(command: str | None) -> str:
    """Without the last newline."""
    if command is None:
        return _overview()
    if command in NOT_OFFERED:
        summary, instead = NOT_OFFERED[command]
        return f"keytool {command} [OPTION]...\n\n{summary}\n\nNot offered. Instead: {instead}"
    left = {flag: f"{flag} <{FLAGS[flag][1]}>" if FLAGS[flag][1] else flag for flag in flags_of(command)}
    width = max(len(text) for text in left.values())
    lines = [f"keytool {command} [OPTION]...", "", COMMANDS[command][0], "", "Options:", ""]
    lines += [f" {text:<{width}}  {FLAGS[flag][2]}" for flag, text in left.items()]
    lines += [
        "",
        "A password flag also has the forms FLAG:env VARIABLE and FLAG:file FILE, which keep it out of process",
    ]
    return "\n".join([*lines, "lists.", *_EXAMPLES.get(command, []), "", _TAIL])


def _overview() -> str:
    width = max(len(name) for name in (*COMMANDS, *NOT_OFFERED))
    offered = [f" {name:<{width}}  {summary}" for name, (summary, _) in COMMANDS.items()]
    known = [f" {name:<{width}}  {summary}" for name, (summary, _) in NOT_OFFERED.items()]
    head = ["Key and Certificate Management Tool (openmid's own: there is no JVM)", "", "Commands:", ""]
    rest = ["", "Known, not offered (each answers with what to do instead):", "", *known]
    tail = [_TAIL, 'Use "keytool -command_name --help" for usage of command_name.']
    return "\n".join([*head, *offered, *rest, *_EXAMPLES["-importkeystore"], "", *tail])

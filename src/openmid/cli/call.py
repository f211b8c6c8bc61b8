"""`openmid call`: one request through a connection alias, made by a MID Server.

The partner's body goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from openmid.wire import charsets

ANSWERED_BADLY, FAILED, REFUSED, UNREACHABLE, UNFINISHED = 22, 1, 3, 4, 5

EPILOG = """\b
Examples:
  openmid call partner GET /v1/things -q page=2
  openmid call partner POST /v1/orders -H 'Content-Type: application/json' -d @order.json
  openmid call partner GET /report.pdf -o report.pdf
  openmid call partner GET /v1/me -H @authorization.txt
\b
Where the instance is, and who calls:
  OPENMID_URL    https://instance.example:8443   (or --url)
  OPENMID_TOKEN  an API token                    (or --token-file FILE)
  OPENMID_CA     the instance's CA, PEM          (or --ca FILE; else the system's authorities)
\b
Exit status:
  0   the partner answered 2xx or 3xx       3   the instance refused (rights, alias, request)
  1   the call failed: the reason and what  4   the instance cannot be reached
      to do are on stderr                   5   it has not ended within --wait
  2   usage                                 22  the partner answered 4xx or 5xx
"""


@click.command(epilog=EPILOG)
@click.argument("alias")
@click.argument("method")
@click.argument("path", default="")
@click.option("-q", "--query", multiple=True, metavar="NAME=VALUE", help="A query parameter; may be repeated.")
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'|@FILE",
    help="A header, or a file with one a line; may be repeated. Other users can read a secret on the command line.",
)
@click.option("-d", "--data", metavar="TEXT|@FILE|-", help="The body: as it stands, from a file, or from stdin.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the body to this file.")
@click.option("-i", "--include", is_flag=True, help="Show the answer's status and headers on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the execution's details as JSON instead of the body.")
@click.option("--wait", type=click.IntRange(1, 60), default=60, show_default=True, help="Seconds to wait for its end.")
@click.option("--url", envvar="OPENMID_URL", required=True, help="The instance.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A file with the token."
)
@click.option("--ca", envvar="OPENMID_CA", type=click.Path(dir_okay=False, exists=True), help="The instance's CA, PEM.")
def call(
    alias: str,
    method: str,
    path: str,
    query: tuple[str, ...],
    headers: tuple[str, ...],
    data: str | None,
    output: Path | None,
    include: bool,
    as_json: bool,
    wait: int,
    url: str,
    token_file: Path | None,
    ca: str | None,
) -> None:
    """Make one HTTP request through the Connection & Credential Alias ALIAS, and print the partner's answer."""
    sent = [pair for each in headers for pair in _headers(each)]
    asked: dict[str, Any] = {
        "method": method.upper(),
        "path": path,
        "query": [_pair(each, "=", "-q") for each in query],
        "headers": sent,
        **_body(data, charsets.named(charsets.content_type(sent))),
    }
    status, answer = _ask(url, alias, asked, _token(token_file), ca, wait)
    if status not in (200, 202):
        error = answer["error"] if isinstance(answer.get("error"), dict) else {}
        _end(REFUSED, error.get("message") or f"the instance answers {status}", error.get("detail") or "")
    if status == 202 and answer.get("sys_id") and "steps" not in answer:  # its database is away just now
        _end(
            UNFINISHED, f"execution {answer['sys_id']} was accepted, and cannot be read now", "look at it in Executions"
        )
    if not answer.get("steps"):
        _end(UNREACHABLE, f"{url} does not answer as an instance does", "is it the instance's address?")
    if as_json:
        _print(json.dumps(answer, indent=2, ensure_ascii=False).encode() + b"\n")
    _show(answer, output, include=include, quiet=as_json)


def _headers(given: str) -> list[tuple[str, str]]:
    """A header, or those of a file: what stands there is not repeated in an error."""
    if given[:1] != "@":
        return [_pair(given, ":", "-H")]
    try:
        lines = _read(Path(given[1:])).decode().splitlines()
    except UnicodeDecodeError:
        raise click.UsageError(f"{given[1:]} is not UTF-8") from None
    wrong = [number for number, line in enumerate(lines, start=1) if line.strip() and ":" not in line.strip()[1:]]
    if wrong:
        raise click.UsageError(f"{given[1:]}, line {wrong[0]}: write NAME:VALUE")
    return [_pair(line.strip(), ":", "-H") for line in lines if line.strip()]


def _pair(text: str, mark: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(mark)
    if not found or not name.strip():  # what was written may be a secret, and errors end up in logs
        raise click.UsageError(f"one {option} names nothing: write NAME{mark}VALUE")
    return name.strip(), value.strip() if mark == ":" else value


def _body(data: str | None, charset: str | None = None) -> dict[str, str]:
    """The request's body, as text where it is text. Text would be encoded in the `charset`, and these are the bytes."""
    if data is None:
        return {}
    if data == "-":
        raw = _stdin()
    elif data[:1] == "@":
        raw = _read(Path(data[1:]))
    else:
        raw = os.fsencode(data)
    try:
        if charset is None or charset.lower() == "utf-8":
            return {"body": raw.decode()}
    except UnicodeDecodeError:
        pass
    return {"body_base64": base64.b64encode(raw).decode()}


def _stdin() -> bytes:
    if sys.stdin is None:  # `<&-`
        raise click.UsageError("-d -: stdin is closed")
    return sys.stdin.buffer.read()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from None


def _token(file: Path | None) -> str:
    given = _read(file) if file else os.fsencode(os.environ.get("OPENMID_TOKEN", ""))
    token = given.decode("ascii", "replace").strip()
    if any(not "!" <= char <= "~" for char in token):
        raise click.UsageError(f"what stands in {file or 'OPENMID_TOKEN'} is not an API token")
    if not token:
        raise click.UsageError(
            "there is no API token: set OPENMID_TOKEN or --token-file "
            "(openmid instance token create NAME --user USER --scope run prints one)"
        )
    return token


def _ask(url: str, alias: str, asked: object, token: str, ca: str | None, wait: int) -> tuple[int, dict[str, Any]]:
    """The instance's status and JSON answer."""
    import http.client
    import ssl
    from urllib.parse import quote

    host, port = _host(url)
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Prefer": f"wait={wait}"}
    path = f"/api/v1/connections/{quote(os.fsencode(alias), safe='')}/request"
    try:
        connection = http.client.HTTPSConnection(host, port, context=_context(ca), timeout=wait + 15)
        connection.request("POST", path, json.dumps(asked).encode(), sent)
        answer = connection.getresponse()
        raw = answer.read()
    except ssl.SSLCertVerificationError as error:
        _end(UNREACHABLE, f"the certificate of {url} is not trusted: {error.verify_message}", "name its CA with --ca")
    except (OSError, http.client.HTTPException, UnicodeError) as error:  # UnicodeError: no host name (IDNA)
        _end(UNREACHABLE, f"{url} cannot be reached: {error}", "is it the instance's address, and does it run?")
    try:
        found = json.loads(raw)
    except ValueError:
        _end(UNREACHABLE, f"{url} does not answer as an instance does", "is it the instance's address?")
    return answer.status, found if isinstance(found, dict) else {}


def _host(url: str) -> tuple[str, int | None]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise click.UsageError(f"--url {url}: write https://HOST[:PORT]")


def _context(ca: str | None) -> Any:
    import ssl

    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise click.UsageError(f"--ca {ca}: there is no certificate in PEM in it") from None
    except OSError as error:
        raise click.UsageError(f"--ca {ca} cannot be read: {error.strerror}") from None


def _show(execution: dict[str, Any], output: Path | None, *, include: bool, quiet: bool) -> None:
    """The outcome of the one step, and the exit status that goes with it."""
    (step,) = execution["steps"]
    answer, error = step["output"], step["error"]
    if execution["state"] in ("Waiting", "In Progress"):
        _end(UNFINISHED, f"execution {execution['sys_id']} has not ended yet", "look at it in Executions, or cancel it")
    if not answer:
        _end(FAILED, error["message"] if error else "there is no answer", (error or {}).get("remedy", ""))
    if include:
        click.echo(f"{answer['status_code']}", err=True)
        for name, value in answer["headers"]:
            click.echo(f"{name}: {value}", err=True)
    if output is not None or not quiet:
        _write(answer, output)
    if answer["status_code"] >= 400:
        _end(ANSWERED_BADLY, error["message"] if error else f"the partner answered {answer['status_code']}", "")


def _write(answer: dict[str, Any], output: Path | None) -> None:
    """The bytes that the partner sent, whatever they were shown as meanwhile."""
    text = answer["body"]
    raw = base64.b64decode(text) if answer["body_is_base64"] else charsets.as_sent(answer["headers"], text)
    if output is None:
        _print(raw)
        return
    try:
        output.write_bytes(raw)
    except OSError as error:
        _end(FAILED, f"{output} cannot be written: {error.strerror}", "the call was made; name another file with -o")


def _print(raw: bytes) -> None:
    """To stdout. Where nobody reads any more, click ends the command."""
    if sys.stdout is None:  # `>&-`
        _end(FAILED, "the answer cannot be written: stdout is closed", "the call was made")
    try:
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # no second complaint at exit
        _end(FAILED, f"the answer cannot be written to stdout: {error.strerror}", "the call was made")


def _end(status: int, message: str, hint: str) -> Any:
    click.echo(f"openmid: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    sys.exit(status)

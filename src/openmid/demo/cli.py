"""`openmid demo`."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

import click

from openmid.demo import report, walk
from openmid.demo.instance_api import Json
from openmid.demo.stage import DemoError, Stage
from openmid.demo.walk import Walk


@click.command()
@click.option("--once", is_flag=True, help="Stop everything at the end, also on a terminal.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout; the steps go to stderr. Implies --once."
)
@click.option("--without-fips", is_flag=True, help="Walk without FIPS Enforced Mode; every line says so.")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="An empty work folder to keep. Default: a temporary one."
)
def demo(once: bool, as_json: bool, without_fips: bool, folder: Path | None) -> None:
    """The whole walk on this machine: from a .p12 file to Status Code 200 over mutual TLS in FIPS Enforced Mode.

    Starts an instance, installs a MID Server, switches it to FIPS Enforced Mode, converts a PKCS12 client certificate
    to BCFKS, calls a partner that demands it, and shows two controls that must be refused. Nothing listens on
    anything but loopback. On a terminal it stays until Ctrl-C, so that you can look around in the browser.

    Exit status: 0 the walk and both controls came out right, 1 something did not, 2 usage.
    """
    stage = Stage(to_stderr=as_json, without_fips=without_fips)
    stays = sys.stdout.isatty() and sys.stdin.isatty() and not (once or as_json)
    signal.signal(signal.SIGTERM, _interrupt)
    where = _work_folder(folder)
    try:
        with contextlib.ExitStack() as stack:
            this = Walk(where, stage, not without_fips, stack)
            result = _steps(this)
            if stays:
                _stay(this)
    except DemoError as error:
        error.hint = "\n".join(filter(None, [error.hint, f"the work folder is kept: {where}"]))
        raise
    except KeyboardInterrupt:
        raise DemoError("interrupted; everything that was started is stopped") from None
    if folder is None:
        shutil.rmtree(where, ignore_errors=True)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    if not report.came_out_right(result, fips=not without_fips):
        raise DemoError("the walk did not come out right: see the steps above")


def _steps(this: Walk) -> Json:
    stage = this.stage
    stage.line("openmid demo: from a .p12 file to Status Code 200 over mutual TLS in FIPS Enforced Mode", bold=True)
    stage.shorten(this.folder, "$WALK")
    if this.fips:
        with stage.step("An OpenSSL FIPS provider"):
            walk.find_provider(this)
    with stage.step("An instance, on SQLite, with HTTPS under its own CA"):
        walk.start_instance(this)
    with stage.step("A MID Server: installed, enrolled, validated"):
        walk.install_mid(this)
    if this.fips:
        with stage.step("FIPS Enforced Mode: stopped, switched on, started, proved"):
            walk.enforce_fips(this)
    with stage.step("The client certificate: PKCS12 to BCFKS by the article's keytool command"):
        walk.convert_keystore(this)
    with stage.step("A partner that demands a client certificate"):
        walk.start_partner(this)
    with stage.step("Alias, connection, MID Protocol Profile, action"):
        walk.make_records(this)
    with stage.step("Run Test"):
        details = walk.run_test(this)
        report.show_details(stage, details)
    with stage.step("Two controls that must be refused"):
        controls = _controls(this)
    stage.line()
    stage.line(f"     the whole walk took {stage.elapsed:.0f} s", bold=True)
    return report.summary(details, walk.keystore_type(this), controls)


def _controls(this: Walk) -> Json:
    controls = {}
    if this.fips:
        controls["pkcs12_in_enforced_mode"] = _control(this, "a profile pointed at the .p12", walk.control_pkcs12(this))
    else:
        this.stage.say("the profile pointed at the .p12: not tried, only FIPS Enforced Mode refuses it")
    without = _control(this, "the same URL without a client certificate", walk.control_no_certificate(this))
    return controls | {"without_client_certificate": without}


def _control(this: Walk, what: str, outcome: Json) -> Json:
    verdict = "refused, as it must be" if outcome["refused"] else "NOT REFUSED"
    this.stage.say(f"{what}: {verdict}")
    this.stage.say("\n".join(f"    {row}" for row in outcome["said"].splitlines()))
    return outcome


def _stay(this: Walk) -> None:
    this.stage.line()
    this.stage.line(f"The instance: {this.url}", bold=True)
    this.stage.say(f"sign in as {walk.ADMIN} with the password {this.admin_password}")
    this.stage.say(
        f"your browser does not know its CA: accept the warning, or import {this.instance / 'tls' / 'ca.pem'}"
    )
    this.stage.say("Process Automation > Workflow Studio > Call partner > Test > Run Test")
    this.stage.line("Ctrl-C stops everything.")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def _work_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="openmid-demo-"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.UsageError(f"{folder} is not an empty folder: name one that is empty or does not exist yet")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt

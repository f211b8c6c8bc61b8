"""The tree of commands. Each group is imported only when it is asked for, so that `--help` and completion stay quick."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

import click


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries, and imports one when it is run."""

    lazy: ClassVar[dict[str, tuple[str, str, str]]] = {
        "demo": ("openmid.demo.cli", "demo", "The whole walk on this machine: from a .p12 file to Status Code 200."),
        "call": ("openmid.cli.call", "call", "One HTTP request to a partner, through an instance and a MID Server."),
        "instance": ("openmid.cli.instance", "instance", "Set up and run an instance, the control plane."),
        "mid": ("openmid.cli.mid", "mid", "Install, run and switch a MID Server."),
        "keytool": ("", "", "Keystores: keytool's own commands and flags, without a JVM."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, name, _ = self.lazy.get(cmd_name, ("", "", ""))
        if not module:
            return None
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in self.lazy.items()])


@click.group(cls=LazyGroup)
@click.version_option(package_name="openmid")
def openmid() -> None:
    """Mutual TLS from inside closed networks: an instance, MID Servers, FIPS Enforced Mode, BCFKS without a JVM."""

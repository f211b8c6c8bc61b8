"""The tree of commands. A group lives beside the room it commands and is imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

GROUPS = {
    "demo": ("openmid.demo.cli", "demo", "The whole walk on this machine: from a .p12 file to Status Code 200."),
    "instance": ("openmid.cli.instance", "instance", "Set up and run an instance, the control plane."),
    "mid": ("openmid.cli.mid", "mid", "Install, run and switch a MID Server."),
    "keytool": ("openmid.cli.keytool", "keytool", "Keystores: keytool's own commands and flags, without a JVM."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in GROUPS:
            return None
        module, name, summary = GROUPS[cmd_name]
        if ctx.resilient_parsing or ctx.invoked_subcommand is None and not ctx.protected_args:
            return click.Command(cmd_name, help=summary)
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy)
@click.version_option(package_name="openmid")
def openmid() -> None:
    """Mutual TLS from inside closed networks: an instance, MID Servers, FIPS Enforced Mode, BCFKS without a JVM."""

"""What the walk looks like. Steps go to stdout (to stderr with --json, so that stdout is the one object).

Rules: a step prints its number and title when it begins and its time when it ends; what happened stands indented below;
colour only on a terminal; with --without-fips every line says so.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click


class DemoError(click.ClickException):
    """A step did not come out right: what was expected, what came, and where to look."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: object = None) -> None:
        """The sentence and its hint, on stderr."""
        click.echo(f"openmid: {self.message}", err=True)
        if self.hint:
            click.echo(f"hint: {self.hint}", err=True)


class Stage:
    """Prints the walk."""

    def __init__(self, *, to_stderr: bool, without_fips: bool) -> None:
        self._err = to_stderr
        self._mark = "[without FIPS] " if without_fips else ""
        self._number = 0
        self._began = time.monotonic()
        self._short = {f"{sys.prefix}/": f"{Path(sys.prefix).name}/"}

    def shorten(self, path: Path, variable: str) -> None:
        """From now on `path` is written as `variable`, a shell's variable that is shown first: lines stay readable."""
        self.say(f"{variable.removeprefix('$')}={shlex.quote(str(path))}")
        self._short |= {str(path): variable, f"{Path.home()}/": "~/"}

    def line(self, text: str = "", **style: bool | str) -> None:
        """One line, with long paths shortened."""
        for path, variable in self._short.items():
            text = text.replace(path, variable)
        click.echo(f"{self._mark}{click.style(text, **style)}", err=self._err)  # type: ignore[arg-type]

    def say(self, text: str) -> None:
        """Something that happened within a step; several lines stay indented."""
        for row in text.splitlines():
            self.line(f"       {row}")

    def command(self, text: str) -> None:
        """A command line that a user would type."""
        self.line(f"     $ {text}", fg="cyan")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A numbered step; its time is printed when it is done."""
        self._number += 1
        self.line()
        self.line(f"{self._number:>3}  {title}", bold=True)
        began = time.monotonic()
        yield
        self.line(f"     {'done':>4} in {time.monotonic() - began:.1f} s", fg="green")

    @property
    def elapsed(self) -> float:
        """Seconds since the walk began."""
        return time.monotonic() - self._began

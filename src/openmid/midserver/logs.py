"""agent/logs/agent0.log: readable lines, one an event, rotated by size; on a console the same lines on stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections import deque
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import structlog

from openmid.midserver import redact
from openmid.midserver.errors import ConfigError
from openmid.wire.messages import MAX_LOG_LINES

FILE = "logs/agent0.log"
LONGEST_LINE = 1000
MOST_BYTES, KEPT = 10 * 1024 * 1024, 5
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class Tail:
    """The last lines, for the heartbeat. They are redacted, as those in the file."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_LOG_LINES)
        self.written = 0

    def keep(self, line: str) -> None:
        """Keep a line; of a long one the begin."""
        self._lines.append(line[:LONGEST_LINE])
        self.written += 1

    def lines(self) -> list[str]:
        """Oldest first."""
        return list(self._lines)


tail = Tail()


class Formatter(structlog.stdlib.ProcessorFormatter):
    """Makes a line of a library's record, once for every handler, and keeps it in the tail."""

    def format(self, record: logging.LogRecord) -> str:
        line: str | None = getattr(record, "openmid_line", None)
        if line is None:
            line = record.openmid_line = super().format(record)
            tail.keep(line)
        return line


class File(RotatingFileHandler):
    """Counts what it writes: logging's own asks the system about the file at every line."""

    _size = 0

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        self._size = stream.tell()
        return stream

    def emit(self, record: logging.LogRecord) -> None:
        self.put(self.format(record))

    def put(self, line: str) -> None:
        """Write a line. One that the disk does not take is in the tail."""
        with self.lock, contextlib.suppress(OSError):  # type: ignore[union-attr]
            self._size += len(line) + 1
            if self.stream is None:  # it could not be opened again
                self.stream = self._open()
            if self._size > self.maxBytes:
                self.doRollover()
            self.stream.write(f"{line}\n")
            self.stream.flush()


class Console(logging.StreamHandler[TextIO]):
    """stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        self.put(self.format(record))

    def put(self, line: str) -> None:
        """Write a line. A console that is gone has no reader."""
        with self.lock, contextlib.suppress(OSError):  # type: ignore[union-attr]
            self.stream.write(f"{line}\n")
            self.flush()


class Lines:
    """Takes the lines that structlog has made, and spares them logging's records: those cost as much as a call's answer."""

    def __init__(self, handlers: list[File | Console]) -> None:
        self._handlers = handlers

    def put(self, line: str) -> None:
        """To the tail and to every handler."""
        tail.keep(line)
        for handler in self._handlers:
            handler.put(line)

    debug = info = warning = error = critical = put


def configure(agent: Path, level: str, *, console: bool) -> None:
    """Send structlog's and the libraries' events to the log file, and to stderr on a console.

    Raises:
        ConfigError: no such level, or the file cannot be written.
    """
    if level not in LEVELS:
        raise ConfigError(f'the parameter "mid.log.level" is "{level}"', f"one of {', '.join(LEVELS)} belongs there")
    handlers: list[File | Console] = [_file(agent)]
    if console:
        handlers.append(Console(sys.stderr))
    formatter = Formatter(processor=_line)
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(handlers=handlers, level=logging.WARNING, force=True)
    lines = Lines(handlers)
    structlog.configure(
        processors=[_line],
        logger_factory=lambda *_: lines,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=False,
    )


def _file(agent: Path) -> File:
    path = agent / FILE
    try:
        path.parent.mkdir(mode=0o750, exist_ok=True)
        return File(path, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}", "give it to the user that runs this"
        ) from error


def _now() -> str:
    """ISO 8601, UTC, with microseconds. Most lines belong to the same few seconds."""
    second, rest = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second(second)}.{rest:06}Z"


@lru_cache(16)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _line(logger: Any, level: str, event: MutableMapping[str, Any]) -> str:
    """`2026-01-31T12:00:00.000000Z info    the sentence  name=value`. Cleaned last: whatever became text is."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, level, event)
    event = redact.processor(logger, level, event)
    sentence, trace = event.pop("event", ""), event.pop("exception", "")
    values = "".join([f"  {name}={value}" for name, value in event.items() if value != "" and name[0] != "_"])
    return redact.clean(f"{_now()} {level:<7} {_one_line(f'{sentence}{values}')}{chr(10) if trace else ''}{trace}")


def _one_line(text: str) -> str:
    """What would end a line early, or steer a terminal, as its escape: a URL and a partner's words may hold anything."""
    if text.isprintable():
        return text
    return "".join([each if each.isprintable() else each.encode("unicode_escape").decode() for each in text])

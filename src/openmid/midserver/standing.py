"""What a running MID Server tells others of itself: the heartbeat's load and log lines, work/status.json, metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from openmid.midserver import logs
from openmid.wire.messages import Load

LOG_SECONDS = 15.0


@dataclass
class Contact:
    """The conversation with the instance. Times are `time.time()`."""

    last: float = 0.0
    clock_difference: float = 0.0
    """Seconds that this host's clock is ahead of the instance's."""
    sent_lines: int = 0
    sent_at: float = field(default=-LOG_SECONDS)

    def heard(self, instance_now: int) -> None:
        """An answer came, with the instance's clock in microseconds (-1: it does not say)."""
        self.last = time.time()
        if instance_now >= 0:
            self.clock_difference = round(self.last - instance_now / 1e6, 1)

    def log_tail(self) -> list[str]:
        """The log's last lines, where there are new ones and the last were sent a while ago; else none."""
        now = time.monotonic()
        if logs.tail.written == self.sent_lines or now - self.sent_at < LOG_SECONDS:
            return []
        self.sent_lines, self.sent_at = logs.tail.written, now
        return logs.tail.lines()


def metrics(load: Load, contact: Contact, journal_bytes: int, undelivered_bytes: int, days: dict[str, float]) -> str:
    """work/metrics.prom, for node_exporter's textfile collector (Prometheus' text format, version 0.0.4)."""
    rows = [
        _one("openmid_mid_calls_running", "gauge", "Calls that run now.", load.running),
        _one("openmid_mid_calls_limit", "gauge", "Standard calls at once at most (threads.max).", load.threads),
        _one("openmid_mid_calls_total", "counter", "Calls that a partner answered since the start.", load.done),
        _one("openmid_mid_call_failures_total", "counter", "Calls without an answer since the start.", load.failed),
        _one("openmid_mid_results_undelivered", "gauge", "Results that the instance does not have.", load.undelivered),
        _one("openmid_mid_results_undelivered_bytes", "gauge", "Their size in the journal.", undelivered_bytes),
        _one("openmid_mid_journal_bytes", "gauge", "The size of work/journal.", journal_bytes),
        _one("openmid_mid_resident_memory_max_bytes", "gauge", "The most memory used.", load.memory_bytes),
        _one("openmid_mid_last_contact_timestamp_seconds", "gauge", "When the instance answered last.", contact.last),
        _one("openmid_mid_clock_difference_seconds", "gauge", "How far this clock is ahead.", contact.clock_difference),
    ]
    name = "openmid_mid_certificate_expiry_days"
    rows.append(f"# HELP {name} Days until the client certificate of a protocol expires.\n# TYPE {name} gauge\n")
    rows += [f'{name}{{protocol="{protocol}"}} {left:.3f}\n' for protocol, left in sorted(days.items())]
    return "".join(rows)


def _one(name: str, kind: str, text: str, value: float) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n"

"""Heartbeats of a size that the instance takes, however much there is to say."""

from __future__ import annotations

import msgspec

from openmid.wire.codec import encode
from openmid.wire.messages import MAX_HEARTBEAT_BYTES, Heartbeat

LINE, SHORT = 1000, 100
"""Characters of a text; and where that is still too much."""
ROOM = 4096
"""For what grows while it is encoded."""


def fitting(message: Heartbeat) -> Heartbeat:
    """The heartbeat as it is, or with less of what matters least: the log's tail, then the words of what is wrong."""
    for line, tail in ((LINE, len(message.log_tail)), (LINE, 10), (SHORT, 0)):
        cut = _cut(message, line, tail)
        if len(encode(cut)) <= MAX_HEARTBEAT_BYTES - ROOM:
            return cut
    return msgspec.structs.replace(cut, egress=cut.egress[:50], profiles=cut.profiles[:200])


def _cut(message: Heartbeat, line: int, tail: int) -> Heartbeat:
    return msgspec.structs.replace(
        message,
        profiles=[
            msgspec.structs.replace(
                each,
                **{name: text[:line] for name, text in msgspec.structs.asdict(each).items() if isinstance(text, str)},
            )
            for each in message.profiles
        ],
        egress=[each[:line] for each in message.egress],
        log_tail=[each[:line] for each in message.log_tail[-tail:]] if tail else [],
    )

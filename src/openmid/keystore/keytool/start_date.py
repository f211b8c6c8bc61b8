"""-startdate: `[YYYY/MM/DD] [HH:MM:SS]` in local time, or offsets from now such as `-1y+6m-3d+2H-5M+7S`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from openmid.keystore.keytool.options import KeytoolError

_OFFSET = re.compile(r"([+-])(\d{1,5})([ymdHMS])")
_MOMENT = re.compile(r"(?:(\d{4})/(\d\d)/(\d\d))?\s*(?:(\d\d):(\d\d):(\d\d))?")
_UNITS = {"d": "days", "H": "hours", "M": "minutes", "S": "seconds"}


def parse(text: str, now: datetime) -> datetime:
    """In UTC. Raises KeytoolError."""
    try:
        return _offset(text, now) if text[:1] in ("+", "-") else _moment(text, now)
    except (ValueError, OverflowError):
        raise KeytoolError("Illegal startdate value", "as in 2026/11/23 15:30:00, or -1d+2H") from None


def _offset(text: str, now: datetime) -> datetime:
    moment = now.astimezone()
    if _OFFSET.sub("", text):
        raise ValueError(text)
    for sign, digits, unit in _OFFSET.findall(text):
        count = int(sign + digits)
        if unit in _UNITS:
            moment += timedelta(**{_UNITS[unit]: count})
        else:
            months = moment.year * 12 + moment.month - 1 + (count * 12 if unit == "y" else count)
            moment = moment.replace(year=months // 12, month=months % 12 + 1)
    return moment.astimezone(UTC)


def _moment(text: str, now: datetime) -> datetime:
    found = _MOMENT.fullmatch(text.strip())
    if not found or not text.strip():
        raise ValueError(text)
    moment = now.astimezone().replace(tzinfo=None)
    year, month, day, hour, minute, second = found.groups()
    if year:
        moment = moment.replace(year=int(year), month=int(month), day=int(day))
    if hour:
        moment = moment.replace(hour=int(hour), minute=int(minute), second=int(second))
    return moment.astimezone(UTC)

"""Quiet hours: when automatic mail waits for the morning, in the workspace's zone, across daylight saving. Pure."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_HOURS = 24


def quiet_until(now: datetime, zone: str, start_hour: int, end_hour: int) -> datetime | None:
    """Return when the quiet hours that `now` lies in end; None where it lies in none.

    They run from `start_hour` to `end_hour` of the zone's own clocks, over midnight where the start is the later of the
    two; the same hour twice is none at all. An end that the clocks skip is the moment of the change; one that they show
    twice is the first.
    """
    start_hour, end_hour = start_hour % _HOURS, end_hour % _HOURS
    if start_hour == end_hour:
        return None
    info = ZoneInfo(zone)
    local = now.astimezone(info)
    for days in (-1, 0):
        day = local.date() + timedelta(days=days)
        last = day if start_hour < end_hour else day + timedelta(days=1)
        begins = to_instant(datetime.combine(day, time(start_hour)), info)
        ends = to_instant(datetime.combine(last, time(end_hour)), info)
        if begins <= now < ends:
            return ends
    return None


def to_instant(local: datetime, info: ZoneInfo) -> datetime:
    """Return the instant at which the zone's clocks first show `local` or, where they skip it, go past it."""
    early, late = (local.replace(tzinfo=info, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early <= late:
        return early
    return _change(late, early, info)


def _change(before: datetime, after: datetime, info: ZoneInfo) -> datetime:
    """Return the first instant after `before` with the offset of `after`: when the clocks were put forward."""
    offset = after.astimezone(info).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(info).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)

"""The hours in which people work, and the first of them that is free for a meeting. Pure.

Hours are those of the clocks in the workspace's zone: a day on which the clocks are put forward has an hour less, and
an hour that they show twice is there twice.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mailer.errors import InputError, Problem
from mailer.followups.calendar import Calendar
from mailer.workspace.hours import to_instant

STEP = timedelta(minutes=15)
"""Meetings that find their own hour begin at so many minutes after the day's start, or a multiple of it."""
DEFAULT_MINUTES = 30
LEAST_MINUTES, MOST_MINUTES = 5, 8 * 60
"""How long a meeting may be. The diary relies on the longest, to know where to begin to read."""
HORIZON_DAYS = 366
_DAY_MINUTES = 24 * 60

Span = tuple[datetime, datetime]
"""From an instant to another one that is no more part of it."""


@dataclass(frozen=True)
class Hours:
    """On which days and between which hours people work; `day_starts` and `day_ends` in minutes after midnight."""

    calendar: Calendar = field(default_factory=Calendar)
    zone: str = "UTC"
    day_starts: int = 9 * 60
    day_ends: int = 17 * 60

    def bounds(self, day: date) -> Span:
        """Return when work begins and ends on a day."""
        return self.instant(day, self.day_starts), self.instant(day, self.day_ends)

    def instant(self, day: date, minute: int) -> datetime:
        """Return the instant at which the clocks of a day show so many minutes after midnight, the first of two."""
        days, rest = divmod(minute, _DAY_MINUTES)
        local = datetime.combine(day + timedelta(days=days), time(rest // 60, rest % 60))
        return to_instant(local, ZoneInfo(self.zone))

    def day_of(self, at: datetime) -> date:
        """Return the day of an instant."""
        return at.astimezone(ZoneInfo(self.zone)).date()


class Diary:
    """What of a person's time is taken; spans may overlap, for people may arrange that by hand."""

    def __init__(self, taken: Iterable[Span] = ()) -> None:
        self._taken = sorted(taken)
        self._reached: dict[tuple[date, timedelta], date] = {}

    def add(self, span: Span) -> None:
        """Take a span."""
        insort(self._taken, span)

    def find_free(self, hours: Hours, from_day: date, minutes: int, now: datetime) -> Span | None:
        """Return the first free span of so many minutes within working hours, on `from_day` or later, not before now.

        None where there is none within a year.
        """
        length = timedelta(minutes=minutes)
        first = max(from_day, hours.day_of(now))
        last = first + timedelta(days=HORIZON_DAYS)
        day = self._reached.get((first, length), first)
        while day <= last:
            if hours.calendar.is_working_day(day) and (start := self._find_on(hours.bounds(day), length, now)):
                self._reached[first, length] = day  # what was full before is full still: time is only taken here
                return start, start + length
            day += timedelta(days=1)
        return None

    def _find_on(self, bounds: Span, length: timedelta, now: datetime) -> datetime | None:
        begins, ends = bounds
        start = _round_up(max(begins, now), begins)
        for taken_from, taken_until in self._near(bounds):
            if taken_from >= start + length:
                break
            if taken_until > start:
                start = _round_up(taken_until, begins)
        return start if start + length <= ends else None

    def _near(self, span: Span) -> Sequence[Span]:
        """Return what begins before the end of a span and not so long before it that it must be over."""
        earliest = span[0] - timedelta(minutes=MOST_MINUTES)
        low = bisect_left(self._taken, (earliest, earliest))
        return self._taken[low : bisect_left(self._taken, (span[1], span[1] - timedelta(days=1)))]


def _round_up(at: datetime, begins: datetime) -> datetime:
    """Return `at`, or the next whole step since `begins`."""
    return at + (begins - at) % STEP


def parse_hour(text: str, where: str) -> int:
    """Return `09:30` as minutes after midnight; `24:00` is the end of a day. InputError where it is no hour."""
    hours, colon, minutes = text.strip().partition(":")
    is_plain = colon and all(part.isascii() and part.isdecimal() and len(part) <= 2 for part in (hours, minutes))  # noqa: PLR2004 - digits
    found = int(hours) * 60 + int(minutes) if is_plain and int(minutes) < 60 else _DAY_MINUTES + 1  # noqa: PLR2004 - an hour
    if found > _DAY_MINUTES:
        raise InputError(f"not an hour: {text[:20]!r}", where=where, mend="write it as 09:30")
    return found


def show_hour(minute: int) -> str:
    """Return minutes after midnight as `09:30`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def check_hours(day_starts: int, day_ends: int) -> list[Problem]:
    """Return what is wrong with the hours of a working day."""
    if 0 <= day_starts < day_ends <= _DAY_MINUTES:
        return []
    return [Problem("day_ends", "a working day ends after it has begun", "such as 09:00 to 17:00")]

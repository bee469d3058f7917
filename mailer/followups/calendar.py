"""Working days: Monday to Friday without the workspace's holidays. Pure."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from mailer.errors import InputError, Problem

_MONDAY_TO_FRIDAY = 5
_MAX_HOLIDAYS = 1_000


@dataclass(frozen=True)
class Calendar:
    """On which days people work."""

    holidays: frozenset[date] = frozenset()

    def is_working_day(self, day: date) -> bool:
        """Return whether people work on `day`."""
        return day.weekday() < _MONDAY_TO_FRIDAY and day not in self.holidays

    def add_working_days(self, start: date, days: int) -> date:
        """Return the day that is `days` working days after `start`; `start` itself for none."""
        day = start
        while days > 0:
            day += timedelta(days=1)
            days -= self.is_working_day(day)
        return day


def parse_holidays(text: str) -> list[date]:
    """Return the days of a list, one ISO date a line or between commas, sorted, each once; words after it are ignored.

    Raises:
        InputError: a line is no date, each with its number.
    """
    days, problems = set(), []
    for number, line in enumerate(re.split(r"[\n,;]", text), 1):
        word = line.strip().partition(" ")[0]
        try:
            days.update([date.fromisoformat(word)] if word else [])
        except ValueError:
            problems.append(Problem("holidays", f"line {number}: {word[:40]!r} is no day", "write it as 2026-12-25"))
    if len(days) > _MAX_HOLIDAYS:
        problems.append(Problem("holidays", f"{len(days)} days; at most {_MAX_HOLIDAYS}"))
    if problems:
        raise InputError(problems)
    return sorted(days)

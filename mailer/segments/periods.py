"""Calendar arithmetic of date rules (FEATURES S7). Pure: dates in, dates out; the zone is the caller's business.

Units are those of the calendar: weeks begin on Monday; "next 1 week" is the next Monday to Sunday; "previous n" leaves
the current unit out; "this and previous n months" ends with the last day of this month.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

MAX_COUNT = 1200


class Unit(StrEnum):
    """A unit of the calendar."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


class DateOp(StrEnum):
    """How a date is compared."""

    BEFORE = "before"
    ON = "on"
    AFTER = "after"
    BETWEEN = "between"
    TODAY = "today"
    BEFORE_TODAY = "before_today"
    AFTER_TODAY = "after_today"
    THIS = "this"
    PREVIOUS = "previous"
    NEXT = "next"
    THIS_AND_PREVIOUS = "this_and_previous"
    THIS_AND_NEXT = "this_and_next"


DATED = (DateOp.BEFORE, DateOp.ON, DateOp.AFTER, DateOp.BETWEEN)
RELATIVE = (DateOp.THIS, DateOp.PREVIOUS, DateOp.NEXT, DateOp.THIS_AND_PREVIOUS, DateOp.THIS_AND_NEXT)
_MONTHS = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.HALF_YEAR: 6, Unit.YEAR: 12}


@dataclass(frozen=True)
class DateTest:
    """A date operator with what it needs: one or two days, or a count of units."""

    op: DateOp
    days: tuple[date, ...] = ()
    n: int = 1
    unit: Unit = Unit.DAY


@dataclass(frozen=True)
class DateRange:
    """Days from `start` (in it) to `end` (not in it); None is open."""

    start: date | None
    end: date | None

    def __contains__(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)


def resolve_range(test: DateTest, today: date) -> DateRange:
    """Return the days that `test` means on the day `today`."""
    match test.op:
        case DateOp.BEFORE:
            return DateRange(None, test.days[0])
        case DateOp.ON:
            return DateRange(test.days[0], move(test.days[0], 1, Unit.DAY))
        case DateOp.AFTER:
            return DateRange(move(test.days[0], 1, Unit.DAY), None)
        case DateOp.BETWEEN:
            return DateRange(test.days[0], move(test.days[1], 1, Unit.DAY))
        case DateOp.TODAY:
            return DateRange(today, move(today, 1, Unit.DAY))
        case DateOp.BEFORE_TODAY:
            return DateRange(None, today)
        case DateOp.AFTER_TODAY:
            return DateRange(move(today, 1, Unit.DAY), None)
        case _:
            return _relative_range(test, today)


def _relative_range(test: DateTest, today: date) -> DateRange:
    start = unit_start(today, test.unit)
    following = move(start, 1, test.unit)
    match test.op:
        case DateOp.PREVIOUS:
            return DateRange(move(start, -test.n, test.unit), start)
        case DateOp.NEXT:
            return DateRange(following, move(following, test.n, test.unit))
        case DateOp.THIS_AND_PREVIOUS:
            return DateRange(move(start, -test.n, test.unit), following)
        case DateOp.THIS_AND_NEXT:
            return DateRange(start, move(following, test.n, test.unit))
        case _:
            return DateRange(start, following)


def unit_start(day: date, unit: Unit) -> date:
    """Return the first day of the unit that `day` lies in."""
    match unit:
        case Unit.DAY:
            return day
        case Unit.WEEK:
            return day - timedelta(days=day.weekday())
        case _:
            months = _MONTHS[unit]
            return date(day.year, (day.month - 1) // months * months + 1, 1)


def move(day: date, count: int, unit: Unit) -> date:
    """Return `day` moved by `count` units; it stays within the calendar and within its month's length."""
    try:
        if unit in (Unit.DAY, Unit.WEEK):
            return day + timedelta(days=count * (7 if unit is Unit.WEEK else 1))
        months = day.year * 12 + day.month - 1 + count * _MONTHS[unit]
        year, month = divmod(months, 12)
        return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        return date.max if count > 0 else date.min

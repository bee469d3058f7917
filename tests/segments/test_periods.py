"""Calendar arithmetic of date rules (FEATURES S7), by table."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.segments.periods import DateOp, DateTest, Unit, move, resolve_range

TODAY = date(2026, 11, 21)  # a Saturday
D = date.fromisoformat

TABLE = [
    (DateOp.THIS, 1, Unit.DAY, "2026-11-21", "2026-11-22"),
    (DateOp.THIS, 1, Unit.WEEK, "2026-11-16", "2026-11-23"),
    (DateOp.THIS, 1, Unit.MONTH, "2026-11-01", "2026-12-01"),
    (DateOp.THIS, 1, Unit.QUARTER, "2026-10-01", "2027-01-01"),
    (DateOp.THIS, 1, Unit.HALF_YEAR, "2026-07-01", "2027-01-01"),
    (DateOp.THIS, 1, Unit.YEAR, "2026-01-01", "2027-01-01"),
    (DateOp.PREVIOUS, 7, Unit.DAY, "2026-11-14", "2026-11-21"),
    (DateOp.PREVIOUS, 1, Unit.WEEK, "2026-11-09", "2026-11-16"),
    (DateOp.PREVIOUS, 2, Unit.MONTH, "2026-09-01", "2026-11-01"),
    (DateOp.PREVIOUS, 12, Unit.MONTH, "2025-11-01", "2026-11-01"),
    (DateOp.PREVIOUS, 1, Unit.QUARTER, "2026-07-01", "2026-10-01"),
    (DateOp.PREVIOUS, 1, Unit.HALF_YEAR, "2026-01-01", "2026-07-01"),
    (DateOp.PREVIOUS, 3, Unit.YEAR, "2023-01-01", "2026-01-01"),
    (DateOp.NEXT, 7, Unit.DAY, "2026-11-22", "2026-11-29"),
    (DateOp.NEXT, 1, Unit.WEEK, "2026-11-23", "2026-11-30"),
    (DateOp.NEXT, 2, Unit.MONTH, "2026-12-01", "2027-02-01"),
    (DateOp.NEXT, 1, Unit.QUARTER, "2027-01-01", "2027-04-01"),
    (DateOp.NEXT, 1, Unit.HALF_YEAR, "2027-01-01", "2027-07-01"),
    (DateOp.NEXT, 1, Unit.YEAR, "2027-01-01", "2028-01-01"),
    (DateOp.THIS_AND_PREVIOUS, 2, Unit.MONTH, "2026-09-01", "2026-12-01"),
    (DateOp.THIS_AND_PREVIOUS, 1, Unit.WEEK, "2026-11-09", "2026-11-23"),
    (DateOp.THIS_AND_PREVIOUS, 30, Unit.DAY, "2026-10-22", "2026-11-22"),
    (DateOp.THIS_AND_NEXT, 1, Unit.MONTH, "2026-11-01", "2027-01-01"),
    (DateOp.THIS_AND_NEXT, 2, Unit.DAY, "2026-11-21", "2026-11-24"),
]


@pytest.mark.parametrize(("op", "n", "unit", "start", "end"), TABLE)
def test_relative_period_means_these_days(op, n, unit, start, end):
    found = resolve_range(DateTest(op, n=n, unit=unit), TODAY)

    assert (found.start, found.end) == (D(start), D(end))


@pytest.mark.parametrize(
    ("test", "start", "end"),
    [
        (DateTest(DateOp.BEFORE, (TODAY,)), None, "2026-11-21"),
        (DateTest(DateOp.ON, (TODAY,)), "2026-11-21", "2026-11-22"),
        (DateTest(DateOp.AFTER, (TODAY,)), "2026-11-22", None),
        (DateTest(DateOp.BETWEEN, (D("2026-01-01"), D("2026-01-31"))), "2026-01-01", "2026-02-01"),
        (DateTest(DateOp.TODAY), "2026-11-21", "2026-11-22"),
        (DateTest(DateOp.BEFORE_TODAY), None, "2026-11-21"),
        (DateTest(DateOp.AFTER_TODAY), "2026-11-22", None),
    ],
)
def test_absolute_period_means_these_days(test, start, end):
    found = resolve_range(test, TODAY)

    assert (found.start, found.end) == (start and D(start), end and D(end))


@given(st.dates(), st.sampled_from(Unit), st.integers(1, 1200))
def test_previous_this_and_next_meet_without_gap(today, unit, n):
    previous, this, following = (
        resolve_range(DateTest(op, n=n, unit=unit), today) for op in (DateOp.PREVIOUS, DateOp.THIS, DateOp.NEXT)
    )

    assert previous.end == this.start
    assert this.end == following.start
    assert today in this or this.end == date.max
    assert resolve_range(DateTest(DateOp.THIS_AND_PREVIOUS, n=n, unit=unit), today).start == previous.start


def test_month_ends_and_leap_days_stay_in_their_month():
    assert move(D("2026-01-31"), 1, Unit.MONTH) == D("2026-02-28")
    assert move(D("2024-02-29"), 1, Unit.YEAR) == D("2025-02-28")
    assert move(D("2024-02-28"), 1, Unit.DAY) == D("2024-02-29")
    assert move(date.max, 1, Unit.DAY) == date.max
    assert move(date.min, -5, Unit.YEAR) == date.min
    assert TODAY + timedelta(days=14) == move(TODAY, 2, Unit.WEEK)

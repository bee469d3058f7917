"""Calendar arithmetic of date rules (FEATURES S7), by table."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.segments.compile.dates import day_start, instants_of
from mailer.segments.periods import DATED, RELATIVE, DateOp, DateTest, Unit, move, resolve_range
from tests.segments.comparing import day_in, unit_number

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


EDGES = [
    # today, op, n, unit, start, end
    ("2026-11-16", DateOp.THIS, 1, Unit.WEEK, "2026-11-16", "2026-11-23"),  # a Monday
    ("2026-11-22", DateOp.THIS, 1, Unit.WEEK, "2026-11-16", "2026-11-23"),  # a Sunday
    ("2026-11-22", DateOp.NEXT, 1, Unit.WEEK, "2026-11-23", "2026-11-30"),
    ("2027-01-01", DateOp.THIS, 1, Unit.WEEK, "2026-12-28", "2027-01-04"),  # a week of two years
    ("2026-12-31", DateOp.PREVIOUS, 1, Unit.WEEK, "2026-12-21", "2026-12-28"),
    ("2026-12-31", DateOp.NEXT, 1, Unit.DAY, "2027-01-01", "2027-01-02"),
    ("2026-12-31", DateOp.THIS, 1, Unit.MONTH, "2026-12-01", "2027-01-01"),
    ("2026-12-31", DateOp.NEXT, 1, Unit.QUARTER, "2027-01-01", "2027-04-01"),
    ("2027-01-01", DateOp.PREVIOUS, 1, Unit.HALF_YEAR, "2026-07-01", "2027-01-01"),
    ("2026-06-30", DateOp.THIS, 1, Unit.HALF_YEAR, "2026-01-01", "2026-07-01"),
    ("2026-07-01", DateOp.THIS, 1, Unit.HALF_YEAR, "2026-07-01", "2027-01-01"),
    ("2026-07-01", DateOp.PREVIOUS, 3, Unit.HALF_YEAR, "2025-01-01", "2026-07-01"),
    ("2026-03-31", DateOp.THIS, 1, Unit.QUARTER, "2026-01-01", "2026-04-01"),
    ("2026-04-01", DateOp.PREVIOUS, 1, Unit.QUARTER, "2026-01-01", "2026-04-01"),
    ("2026-03-31", DateOp.PREVIOUS, 1, Unit.MONTH, "2026-02-01", "2026-03-01"),
    ("2024-03-31", DateOp.PREVIOUS, 1, Unit.MONTH, "2024-02-01", "2024-03-01"),
    ("2024-02-29", DateOp.THIS_AND_PREVIOUS, 12, Unit.MONTH, "2023-02-01", "2024-03-01"),
    ("2024-02-29", DateOp.PREVIOUS, 1, Unit.YEAR, "2023-01-01", "2024-01-01"),
    ("2024-03-01", DateOp.PREVIOUS, 1, Unit.DAY, "2024-02-29", "2024-03-01"),
    ("2024-02-28", DateOp.NEXT, 2, Unit.DAY, "2024-02-29", "2024-03-02"),
    ("2100-02-28", DateOp.NEXT, 1, Unit.DAY, "2100-03-01", "2100-03-02"),  # no leap year
    ("2000-02-28", DateOp.NEXT, 1, Unit.DAY, "2000-02-29", "2000-03-01"),
    ("2026-01-31", DateOp.THIS_AND_NEXT, 1, Unit.MONTH, "2026-01-01", "2026-03-01"),
    ("2026-12-31", DateOp.THIS_AND_NEXT, 1, Unit.YEAR, "2026-01-01", "2028-01-01"),
    ("9999-12-31", DateOp.THIS, 1, Unit.YEAR, "9999-01-01", "9999-12-31"),  # the calendar's end stays open
]


@pytest.mark.parametrize(("today", "op", "n", "unit", "start", "end"), EDGES)
def test_ends_of_units_are_exact(today, op, n, unit, start, end):
    found = resolve_range(DateTest(op, n=n, unit=unit), D(today))

    assert (found.start, found.end) == (D(start), D(end))


@given(st.dates(D("1900-01-01"), D("2200-01-01")), st.sampled_from(Unit), st.dates(D("1850-01-01"), D("2250-01-01")))
def test_a_day_is_in_this_unit_where_its_unit_has_the_same_number(today, unit, day):
    assert (day in resolve_range(DateTest(DateOp.THIS, unit=unit), today)) == (
        unit_number(day, unit.value) == unit_number(today, unit.value)
    )


# ------------------------------------------------------------------ instants of days, in any zone

U = datetime.fromisoformat
STARTS = [
    ("2026-11-21", "UTC", "2026-11-21T00:00+00:00"),
    ("2026-11-21", "Europe/Oslo", "2026-11-20T23:00+00:00"),
    ("2026-07-01", "Europe/Oslo", "2026-06-30T22:00+00:00"),
    ("2026-03-29", "Europe/Oslo", "2026-03-28T23:00+00:00"),  # the day that is 23 hours long
    ("2026-03-30", "Europe/Oslo", "2026-03-29T22:00+00:00"),
    ("2026-10-25", "Europe/Oslo", "2026-10-24T22:00+00:00"),  # 25 hours
    ("2026-10-26", "Europe/Oslo", "2026-10-25T23:00+00:00"),
    ("2026-03-08", "America/New_York", "2026-03-08T05:00+00:00"),
    ("2026-03-09", "America/New_York", "2026-03-09T04:00+00:00"),
    ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00+00:00"),  # midnight was skipped: the day began at 01:00
    ("2018-02-18", "America/Sao_Paulo", "2018-02-18T03:00+00:00"),  # the hour before midnight came twice
    ("2026-11-01", "America/Havana", "2026-11-01T04:00+00:00"),  # midnight comes twice: the first one counts
    ("2011-12-29", "Pacific/Apia", "2011-12-29T10:00+00:00"),
    ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00+00:00"),  # a day that never was: it lasts no time
    ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00+00:00"),
    ("2026-11-21", "Asia/Kathmandu", "2026-11-20T18:15+00:00"),
    ("2026-11-21", "Pacific/Kiritimati", "2026-11-20T10:00+00:00"),
]


@pytest.mark.parametrize(("day", "zone", "instant"), STARTS)
def test_a_day_begins_at_this_instant(day, zone, instant):
    assert day_start(D(day), zone) == U(instant)


ZONES = (
    "UTC", "Europe/Oslo", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "America/Havana",
    "America/St_Johns",
    "Asia/Kathmandu", "Asia/Beirut", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati",
    "Antarctica/Troll",
)  # fmt: skip


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001 - UTC follows
    st.sampled_from(ZONES),
    st.sampled_from(Unit),
    st.sampled_from(sorted(RELATIVE)),
    st.integers(1, 40),
    st.dates(D("1995-01-01"), D("2030-01-01")),
)
def test_an_instant_is_in_the_period_where_its_local_day_is(moment, zone, unit, op, n, today):
    at = moment.replace(tzinfo=UTC)
    local = at.astimezone(ZoneInfo(zone)).date()
    period = {"op": op.value, "n": n, "unit": unit.value}

    start, end = instants_of(resolve_range(DateTest(op, n=n, unit=unit), today), zone)

    assert (start <= at < end) == day_in(local, period, today)


@given(st.dates(), st.sampled_from(ZONES), st.sampled_from(Unit), st.sampled_from(DateOp), st.integers(1, 1200))
def test_every_day_of_the_calendar_has_instants(today, zone, unit, op, n):
    days = (today, move(today, n, Unit.DAY)) if op in DATED else ()

    start, end = instants_of(resolve_range(DateTest(op, days, n, unit), today), zone)

    assert start is None or end is None or start <= end

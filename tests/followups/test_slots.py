"""The first free hour: within working hours, over weekends, holidays and the days on which clocks change."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import InputError
from mailer.followups.calendar import Calendar
from mailer.followups.slots import Diary, Hours, Span, parse_hour, show_hour

OSLO = Hours(zone="Europe/Oslo")
MONDAY = date(2026, 12, 7)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: date, hour: int, minute: int = 0, hours: Hours = OSLO) -> datetime:
    return hours.instant(day, 60 * hour + minute)


def span(day: date, hour: int, minute: int = 0, *, minutes: int = 30) -> Span:
    start = at(day, hour, minute)
    return start, start + timedelta(minutes=minutes)


def test_first_hour_of_an_empty_day_is_its_first() -> None:
    assert Diary().find_free(OSLO, MONDAY, 30, LONG_AGO) == span(MONDAY, 9)


def test_gap_is_taken_only_where_the_whole_meeting_fits() -> None:
    diary = Diary([span(MONDAY, 9, 30), span(MONDAY, 10, 45)])

    assert diary.find_free(OSLO, MONDAY, 30, LONG_AGO) == span(MONDAY, 9)
    assert diary.find_free(OSLO, MONDAY, 45, LONG_AGO) == span(MONDAY, 10, 0, minutes=45)
    assert diary.find_free(OSLO, MONDAY, 60, LONG_AGO) == span(MONDAY, 11, 15, minutes=60)


def test_meeting_may_end_when_the_day_does_and_not_later() -> None:
    diary = Diary([span(MONDAY, 9, minutes=450)])

    assert diary.find_free(OSLO, MONDAY, 30, LONG_AGO) == span(MONDAY, 16, 30)
    assert diary.find_free(OSLO, MONDAY, 31, LONG_AGO) == span(MONDAY + timedelta(days=1), 9, minutes=31)


def test_weekends_and_holidays_are_passed_over() -> None:
    hours = Hours(Calendar(frozenset({date(2026, 12, 14)})), "Europe/Oslo")

    assert Diary().find_free(hours, date(2026, 12, 12), 30, LONG_AGO) == span(date(2026, 12, 15), 9)


def test_what_has_passed_is_not_free_and_the_next_quarter_is() -> None:
    assert Diary().find_free(OSLO, MONDAY, 30, at(MONDAY, 11, 3)) == span(MONDAY, 11, 15)
    assert Diary().find_free(OSLO, MONDAY, 30, at(MONDAY, 16, 31)) == span(MONDAY + timedelta(days=1), 9)


def test_no_hour_is_found_where_a_meeting_is_longer_than_every_day() -> None:
    assert Diary().find_free(Hours(day_starts=540, day_ends=600), MONDAY, 61, LONG_AGO) is None


@pytest.mark.parametrize(
    ("day", "free"),
    [(date(2026, 3, 29), 8), (date(2026, 10, 25), 10)],
    ids=["clocks put forward", "clocks put back"],
)
def test_night_shift_has_an_hour_less_or_more_when_the_clocks_change(day: date, free: int) -> None:
    """From midnight to nine on a Sunday that is a working day: every hour is found once, and none that is not there."""

    class Always(Calendar):
        def is_working_day(self, day: date) -> bool:
            return day.year > 0

    hours, diary, found = Hours(Always(), "Europe/Oslo", 0, 9 * 60), Diary(), []
    while (taken := diary.find_free(hours, day, 60, LONG_AGO)) and hours.day_of(taken[0]) == day:
        diary.add(taken)
        found.append(taken)

    assert len(found) == free
    assert all(second[0] == first[1] for first, second in pairwise(found))


def test_day_that_begins_in_the_hour_that_the_clocks_skip_begins_after_it() -> None:
    hours = Hours(Calendar(), "America/Havana", 0, 8 * 60)  # clocks go from 00:00 to 01:00 on Sunday, 8 March 2026

    assert hours.bounds(date(2026, 3, 8))[0] == datetime(2026, 3, 8, 5, tzinfo=UTC)


QUARTERS = st.integers(0, 40).map(lambda quarter: 15 * quarter)


@given(
    taken=st.lists(st.tuples(QUARTERS, st.integers(5, 480)), max_size=12),
    minutes=st.integers(5, 480),
    late=st.integers(0, 3_000),
)
def test_found_hour_is_free_within_work_and_nothing_earlier_would_do(
    taken: list[tuple[int, int]], minutes: int, late: int
) -> None:
    spans = [
        (start, start + timedelta(minutes=long))
        for m, long in taken
        for start in [at(MONDAY, 8) + timedelta(minutes=m)]
    ]
    diary, now, length = Diary(spans), at(MONDAY, 0) + timedelta(minutes=late), timedelta(minutes=minutes)

    found = diary.find_free(OSLO, MONDAY, minutes, now)

    assert found is not None
    begins, ends = OSLO.bounds(OSLO.day_of(found[0]))
    assert begins <= found[0]
    assert found[1] <= ends
    assert found[0] >= now
    assert all(end <= found[0] or start >= found[1] for start, end in spans)
    earlier = at(MONDAY, 9)
    while earlier < found[0]:
        first, last = OSLO.bounds(OSLO.day_of(earlier))
        fits = first <= earlier and earlier + length <= last and earlier >= now
        is_free = all(other[1] <= earlier or other[0] >= earlier + length for other in spans)
        assert not (fits and is_free and OSLO.calendar.is_working_day(OSLO.day_of(earlier)))
        earlier += timedelta(minutes=15)


@pytest.mark.parametrize("text", ["", "9", "9.30", "24:01", "12:60", "-1:00", "9:3a", "²:00", "1:2:3"])
def test_what_is_no_hour_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="hour"):
        parse_hour(text, "start")


def test_hours_are_read_as_they_are_shown() -> None:
    assert [show_hour(parse_hour(text, "")) for text in ("9:05", "00:00", "24:00")] == ["09:05", "00:00", "24:00"]

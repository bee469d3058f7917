"""Times of a zone become instants, also where daylight saving skips or repeats them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.campaigns.windows import parse_local_time
from mailer.errors import InputError

ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})


@pytest.mark.parametrize(
    ("local", "zone", "utc", "says"),
    [
        ("2026-12-01T14:00", "Europe/Oslo", "2026-12-01T13:00", ""),
        ("2026-07-01T14:00", "Europe/Oslo", "2026-07-01T12:00", ""),
        ("2026-03-29T01:59", "Europe/Oslo", "2026-03-29T00:59", ""),
        ("2026-03-29T02:00", "Europe/Oslo", "2026-03-29T01:00", "skips 02:00"),
        ("2026-03-29T02:30", "Europe/Oslo", "2026-03-29T01:30", "skips 02:30"),
        ("2026-03-29T03:00", "Europe/Oslo", "2026-03-29T01:00", ""),
        ("2026-10-25T02:30", "Europe/Oslo", "2026-10-25T00:30", "twice"),
        ("2026-10-25T03:00", "Europe/Oslo", "2026-10-25T02:00", ""),
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30", "twice"),
        ("2026-03-08T02:30", "America/New_York", "2026-03-08T07:30", "skips"),
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:45", "skips"),  # half an hour only
        ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45", "twice"),
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T22:00", "skips"),  # a whole day was left out
        ("2028-02-29T12:00", "UTC", "2028-02-29T12:00", ""),
        ("2026-03-29T02:30+02:00", "Europe/Oslo", "2026-03-29T00:30", ""),
        ("2026-03-29T02:30Z", "Europe/Oslo", "2026-03-29T02:30", ""),
    ],
)
def test_local_time_becomes_an_instant(local: str, zone: str, utc: str, says: str) -> None:
    instant = parse_local_time(local, zone)

    assert instant.at == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert says in instant.note
    assert bool(instant.note) == bool(says)


@given(st.sampled_from(ZONES), st.integers(1_704_067_200, 1_924_992_000))
def test_instant_that_is_shown_and_read_again_is_the_first_of_its_kind(zone: str, seconds: int) -> None:
    at = datetime.fromtimestamp(seconds - seconds % 60, UTC)
    shown = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    read = parse_local_time(shown.isoformat(timespec="minutes"), zone)

    assert read.at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == shown
    assert read.at <= at
    assert (read.at == at) or "twice" in read.note


@given(st.sampled_from(ZONES), st.integers(28_401_120, 32_083_200))
def test_every_local_minute_has_one_instant_and_gaps_only_move_forward(zone: str, minutes: int) -> None:
    local = datetime.fromtimestamp(minutes * 60, UTC).replace(tzinfo=None)

    read = parse_local_time(local.isoformat(timespec="minutes"), zone)

    shown = read.at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if "skips" in read.note:
        assert timedelta(0) < shown - local <= timedelta(hours=24)
    else:
        assert shown == local


@pytest.mark.parametrize("text", ["tomorrow", "2026-02-30T10:00", "2026-13-01T10:00", "", "14:00"])
def test_what_is_no_time_is_refused_with_a_mend(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_local_time(text, "Europe/Oslo")

    assert caught.value.problems[0].mend == "write it as 2026-12-01T14:00"

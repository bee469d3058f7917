"""Quiet hours go by the clocks of the workspace's zone, also when they change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.context import Context
from mailer.workspace.hours import quiet_until
from mailer.workspace.queries import find_quiet_end
from tests.support.make import make_workspace

ZONES = (
    "Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "UTC",
    "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia", "Asia/Gaza", "Antarctica/Troll",
)  # fmt: skip


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "start", "end", "until"),
    [
        ("2026-11-21T19:59", "Europe/Oslo", 21, 7, None),
        ("2026-11-21T20:00", "Europe/Oslo", 21, 7, "2026-11-22T06:00"),
        ("2026-11-22T05:59", "Europe/Oslo", 21, 7, "2026-11-22T06:00"),
        ("2026-11-22T06:00", "Europe/Oslo", 21, 7, None),
        # the night in which Oslo puts its clocks forward is an hour shorter, the one in October an hour longer
        ("2026-03-28T23:00", "Europe/Oslo", 21, 7, "2026-03-29T05:00"),
        ("2026-10-24T23:00", "Europe/Oslo", 21, 7, "2026-10-25T06:00"),
        # an end that the clocks skip is the moment of the change, one that they show twice is the first
        ("2026-03-29T00:30", "Europe/Oslo", 21, 2, "2026-03-29T01:00"),
        ("2026-10-24T23:00", "Europe/Oslo", 21, 2, "2026-10-25T00:00"),
        ("2026-10-03T15:00", "Australia/Lord_Howe", 1, 2, "2026-10-03T15:30"),
        ("2026-11-21T03:00", "UTC", 1, 5, "2026-11-21T05:00"),
        ("2026-11-21T05:00", "UTC", 1, 5, None),
        ("2026-11-21T23:30", "UTC", 22, 24, "2026-11-22T00:00"),
        ("2026-11-21T23:30", "UTC", 9, 9, None),
        ("2026-11-21T00:30", "UTC", 0, 24, None),
    ],
)
def test_quiet_hours(now: str, zone: str, start: int, end: int, until: str | None) -> None:
    assert quiet_until(_utc(now), zone, start, end) == (_utc(until) if until else None)


@given(
    st.integers(int(_utc("2020-01-01").timestamp()), int(_utc("2032-01-01").timestamp())),
    st.sampled_from(ZONES),
    st.integers(0, 23),
    st.integers(0, 23),
)
def test_quiet_is_what_the_clocks_say_and_it_always_ends(moment: int, zone: str, start: int, end: int) -> None:
    now = datetime.fromtimestamp(moment, UTC)
    until = quiet_until(now, zone, start, end)
    clock = now.astimezone(ZoneInfo(zone)).time()
    shown_quiet = start <= clock.hour < end if start < end else clock.hour >= start or clock.hour < end
    if start == end:
        assert until is None
    elif not _is_near_a_change(now, zone):
        assert (until is not None) == shown_quiet
    if until is not None:
        assert now < until <= now + timedelta(hours=26)
        assert quiet_until(until, zone, start, end) is None
        if not _is_near_a_change(until, zone):
            assert until.astimezone(ZoneInfo(zone)).time() == time(end)


def _is_near_a_change(moment: datetime, zone: str) -> bool:
    info = ZoneInfo(zone)
    around = {(moment + timedelta(hours=hours)).astimezone(info).utcoffset() for hours in (-26, 26)}
    return len(around) > 1


def test_workspace_says_when_it_is_quiet(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session, timezone="Europe/Oslo", limits={"quiet_from": 22})

    with ctx.read() as session:
        assert find_quiet_end(session, _utc("2026-11-21T20:30")) is None
        assert find_quiet_end(session, _utc("2026-11-21T21:30")) == _utc("2026-11-22T06:00")

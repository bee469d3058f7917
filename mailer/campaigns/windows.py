"""Times of a zone become instants, and say so where the zone has no such time or has it twice. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from mailer.errors import InputError


@dataclass(frozen=True)
class Instant:
    """`at` in UTC; `note` says what was done about a daylight saving gap or overlap, empty where nothing was."""

    at: datetime
    note: str = ""


def parse_local_time(text: str, zone: str) -> Instant:
    """Return the instant of `2026-12-01T14:00` in the IANA zone `zone`; a time with an offset is taken as it is.

    A time in the gap of a spring change moves forward by the gap; one that happens twice is the first.

    Raises:
        InputError: not a time.
    """
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(f"{text!r} is not a time", where="send_at", mend="write it as 2026-12-01T14:00") from error
    if parsed.tzinfo is not None:
        return Instant(parsed.astimezone(UTC))
    return to_instant(parsed, zone)


def to_instant(local: datetime, zone: str) -> Instant:
    """Return the instant of a naive local time."""
    info = ZoneInfo(zone)
    early, late = local.replace(tzinfo=info, fold=0), local.replace(tzinfo=info, fold=1)
    if early.utcoffset() == late.utcoffset():
        return Instant(early.astimezone(UTC))
    before, after = early.utcoffset() or timedelta(), late.utcoffset() or timedelta()
    if before < after:  # the clocks were put forward: this time does not exist
        moved = early.astimezone(UTC)
        return Instant(moved, f"{zone} skips {local:%H:%M} that day; it is sent at {moved.astimezone(info):%H:%M}")
    return Instant(early.astimezone(UTC), f"{zone} has {local:%H:%M} twice that day; it is sent the first time")

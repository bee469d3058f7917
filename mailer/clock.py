"""The only place that asks the machine for the time.

Two kinds of time (docs/development/time.md): *observed* time is real UTC (`utc_now`) and is written on everything
that happened; *business* time (`Clock.now`) is what decides whether something is due. It carries an offset that every
process reads from the workspace, so that a demonstration can move it. Safety never depends on either; progress does.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def utc_now() -> datetime:
    """Return the real time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass
class Clock:
    """Business time: real time plus `offset`."""

    offset: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        """Return the business time, aware, in UTC."""
        return utc_now() + self.offset

    def today(self, zone: str) -> date:
        """Return the business date in the IANA zone `zone`."""
        return self.now().astimezone(ZoneInfo(zone)).date()

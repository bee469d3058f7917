"""When a rate stops a sending: the table of docs/reference/defaults.md, with its minimum volumes. Pure."""

from dataclasses import dataclass

from mailer.statuses import BreakerState

HARD_TRANSMITTED, HARD_COUNT = 200, 10
COMPLAINT_DELIVERED, COMPLAINT_COUNT = 1_000, 3


@dataclass(frozen=True)
class Thresholds:
    """Shares from 0 to 1."""

    hard_pause: float = 0.05
    hard_disable: float = 0.10
    complaint_throttle: float = 0.001
    complaint_pause: float = 0.003


@dataclass(frozen=True)
class Rates:
    """What a sending came to so far. Hard bounces are addresses; delivered = accepted less bounces that came later."""

    transmitted: int
    delivered: int
    hard_bounces: int
    complaints: int

    @property
    def hard_rate(self) -> float:
        """Hard bounces over transmitted."""
        return self.hard_bounces / self.transmitted if self.transmitted else 0.0

    @property
    def complaint_rate(self) -> float:
        """Complaints over delivered."""
        return self.complaints / self.delivered if self.delivered else 0.0


def decide_breaker(rates: Rates, thresholds: Thresholds) -> tuple[BreakerState, str]:
    """Return the state that the rates ask for, and why. Small numbers never stop anything."""
    if rates.transmitted >= HARD_TRANSMITTED and rates.hard_bounces >= HARD_COUNT:
        why = f"{rates.hard_bounces} hard bounces of {rates.transmitted} transmitted ({rates.hard_rate:.1%})"
        if rates.hard_rate >= thresholds.hard_disable:
            return BreakerState.DISABLED, why
        if rates.hard_rate >= thresholds.hard_pause:
            return BreakerState.PAUSED, why
    if rates.complaints >= COMPLAINT_COUNT:
        why = f"{rates.complaints} complaints of {rates.delivered} delivered ({rates.complaint_rate:.2%})"
        if rates.complaint_rate >= thresholds.complaint_pause:
            return BreakerState.PAUSED, why
        if rates.complaint_rate >= thresholds.complaint_throttle and rates.delivered >= COMPLAINT_DELIVERED:
            return BreakerState.THROTTLED, why
    return BreakerState.OK, ""


_ORDER = tuple(BreakerState)


def is_worse(new: BreakerState, old: BreakerState) -> bool:
    """Whether `new` is graver; a breaker never closes by itself."""
    return _ORDER.index(new) > _ORDER.index(old)

"""When rates stop a sender: the table of docs/reference/defaults.md with its minimum volumes. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any

from mailer.statuses import BREAKER_STOPS, BreakerState

HARD_TRANSMITTED, HARD_COUNT = 200, 10
COMPLAINT_DELIVERED, COMPLAINT_COUNT = 1_000, 3
UNSUBSCRIBE_DELIVERED, UNSUBSCRIBE_COUNT = 200, 10
REPORTS_NONE = frozenset({"google"})
"""Mailbox providers that send no complaints back by mail."""


class Window(StrEnum):
    """How far a rolling rate reaches back from now."""

    HOUR = "1h"
    DAY = "24h"
    MONTH = "30d"


SPANS = {Window.HOUR: timedelta(hours=1), Window.DAY: timedelta(hours=24), Window.MONTH: timedelta(days=30)}


class Figure(StrEnum):
    """What is judged."""

    HARD = "hard_bounces"
    COMPLAINTS = "complaints"
    UNSUBSCRIBES = "unsubscribes"


@dataclass(frozen=True)
class Counts:
    """Mails that went out in a window, and what came of them since.

    `transmitted`: accepted, or refused for a reason that blames address or mailbox; `delivered`: accepted less what
    bounced later; `reporting`: those delivered to providers that report complaints; `deferred`: put off at least once.
    """

    transmitted: int = 0
    accepted: int = 0
    deferred: int = 0
    hard: int = 0
    soft: int = 0
    delivered: int = 0
    reporting: int = 0
    complaints: int = 0
    unsubscribed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, one.name) - getattr(other, one.name) for one in fields(self)))

    def part_of(self, figure: Figure) -> tuple[int, int]:
        """Return how many, and of how many (FEATURES B6)."""
        match figure:
            case Figure.HARD:
                return self.hard, self.transmitted
            case Figure.COMPLAINTS:
                return self.complaints, self.reporting
            case Figure.UNSUBSCRIBES:
                return self.unsubscribed, self.delivered


Windows = Mapping[Window, Counts]


def share_of(count: int, whole: int) -> float:
    """Return a share from 0 to 1; 0 of nothing."""
    return count / whole if whole else 0.0


@dataclass(frozen=True)
class Limits:
    """Shares from 0 to 1 (workspace/limits.py)."""

    hard_amber: float = 0.02
    hard_pause: float = 0.05
    hard_disable: float = 0.10
    complaint_throttle: float = 0.001
    complaint_pause: float = 0.003
    unsubscribe_amber: float = 0.005
    unsubscribe_review: float = 0.01

    def ladder(self, figure: Figure) -> tuple[tuple[BreakerState, float], ...]:
        """Return the steps of a figure, the gravest first."""
        match figure:
            case Figure.HARD:
                return (
                    (BreakerState.DISABLED, self.hard_disable),
                    (BreakerState.PAUSED, self.hard_pause),
                    (BreakerState.REVIEW, self.hard_amber),
                )
            case Figure.COMPLAINTS:
                return (
                    (BreakerState.PAUSED, self.complaint_pause),
                    (BreakerState.THROTTLED, self.complaint_throttle),
                )
            case Figure.UNSUBSCRIBES:
                return ((BreakerState.REVIEW, self.unsubscribe_review),)


@dataclass(frozen=True)
class Reason:
    """Why a state: `count` of `whole` in `window` reach `limit`."""

    state: BreakerState
    figure: Figure
    window: Window
    count: int
    whole: int
    limit: float

    @property
    def share(self) -> float:
        """What is above the limit."""
        return share_of(self.count, self.whole)

    def __str__(self) -> str:
        what = {
            Figure.HARD: f"hard bounces of {self.whole} transmitted",
            Figure.COMPLAINTS: f"complaints of {self.whole} delivered to providers that report them",
            Figure.UNSUBSCRIBES: f"unsubscribed of {self.whole} delivered",
        }[self.figure]
        return f"{self.count} {what} in {self.window} are {self.share:.2%}; the limit is {self.limit:.2%}"

    def as_json(self) -> dict[str, Any]:
        """Return what history keeps."""
        return {
            "state": self.state.value,
            "figure": self.figure.value,
            "window": self.window.value,
            "count": self.count,
            "of": self.whole,
            "share": round(self.share, 6),
            "limit": self.limit,
        }


@dataclass(frozen=True)
class Decision:
    """The state that figures ask for, with every reason, the gravest first."""

    state: BreakerState = BreakerState.OK
    reasons: tuple[Reason, ...] = field(default=())

    @property
    def why(self) -> str:
        """The first reason in a sentence; empty where all is well."""
        return str(self.reasons[0]) if self.reasons else ""


def decide(windows: Windows, limits: Limits) -> Decision:
    """Return the state that the rates ask for. Small numbers never stop anything."""
    reasons = [
        reason
        for figure in Figure
        for window in Window
        if window in windows
        for reason in _judge(figure, window, windows[window], limits)
    ]
    reasons.sort(key=lambda reason: -_RANK[reason.state])
    return Decision(reasons[0].state, tuple(reasons)) if reasons else Decision()


def decide_after_release(everything: Windows, since: Windows, released: BreakerState, limits: Limits) -> Decision:
    """Return the state after a person let it go on: what they accepted does not stop it again, worse figures do.

    `since`: mails transmitted after the release, judged as ever. `everything` counts only for states graver than the
    `released` one.
    """
    old, new = decide(everything, limits), decide(since, limits)
    return old if is_worse(old.state, released) and is_worse(old.state, new.state) else new


def _judge(figure: Figure, window: Window, counts: Counts, limits: Limits) -> Iterator[Reason]:
    count, whole = counts.part_of(figure)
    for state, limit in limits.ladder(figure):
        if is_enough(figure, state, count, whole) and share_of(count, whole) >= limit:
            yield Reason(state, figure, window, count, whole, limit)
            return


def is_enough(figure: Figure, state: BreakerState, count: int, whole: int) -> bool:
    """Whether there are so many that a share says something."""
    match figure:
        case Figure.HARD:
            return whole >= HARD_TRANSMITTED and count >= HARD_COUNT
        case Figure.COMPLAINTS:
            return count >= COMPLAINT_COUNT and (state is BreakerState.PAUSED or whole >= COMPLAINT_DELIVERED)
        case Figure.UNSUBSCRIBES:
            return whole >= UNSUBSCRIBE_DELIVERED and count >= UNSUBSCRIBE_COUNT


_RANK = {state: rank for rank, state in enumerate(BreakerState)}
EASES_AFTER = timedelta(hours=1)


def is_worse(new: BreakerState, old: BreakerState) -> bool:
    """Whether `new` is graver."""
    return _RANK[new] > _RANK[old]


def next_state(current: BreakerState, decided: BreakerState, stood_for: timedelta) -> BreakerState:
    """Return where a breaker goes: up at once, down from `review` and `throttled` only, after an hour.

    `paused` and `disabled` never end by themselves.
    """
    if is_worse(decided, current):
        return decided
    if current in BREAKER_STOPS or stood_for < EASES_AFTER:
        return current
    return decided

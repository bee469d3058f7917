"""The ladder's thresholds, exact, with their minimum volumes (C32)."""

from datetime import timedelta

import pytest

from mailer.reputation.policy import (
    EASES_AFTER,
    Counts,
    Figure,
    Limits,
    Window,
    decide,
    decide_after_release,
    is_worse,
    next_state,
)
from mailer.statuses import BreakerState

S = BreakerState


def hard(transmitted: int, count: int) -> Counts:
    return Counts(transmitted=transmitted, hard=count)


def complaints(delivered: int, count: int) -> Counts:
    return Counts(transmitted=delivered, delivered=delivered, reporting=delivered, complaints=count)


def left(delivered: int, count: int) -> Counts:
    return Counts(transmitted=delivered, delivered=delivered, unsubscribed=count)


CASES = [
    (hard(200, 9), S.OK),
    (hard(200, 10), S.PAUSED),
    (hard(199, 19), S.OK),
    (hard(3, 1), S.OK),
    (hard(1000, 19), S.OK),
    (hard(1000, 20), S.REVIEW),
    (hard(1000, 49), S.REVIEW),
    (hard(1000, 50), S.PAUSED),
    (hard(1000, 99), S.PAUSED),
    (hard(1000, 100), S.DISABLED),
    (hard(20_000, 399), S.OK),
    (complaints(900, 1), S.OK),
    (complaints(900, 2), S.OK),
    (complaints(999, 3), S.PAUSED),
    (complaints(1000, 3), S.PAUSED),
    (complaints(1001, 3), S.THROTTLED),
    (complaints(3000, 3), S.THROTTLED),
    (complaints(3001, 3), S.OK),
    (complaints(100_000, 299), S.THROTTLED),
    (complaints(100_000, 300), S.PAUSED),
    (left(1000, 9), S.OK),
    (left(1000, 10), S.REVIEW),
    (left(199, 50), S.OK),
    (Counts(), S.OK),
]


@pytest.mark.parametrize(("counts", "state"), CASES)
@pytest.mark.parametrize("window", list(Window))
def test_breaker_trips_at_the_limit_and_not_below(counts: Counts, state: BreakerState, window: Window) -> None:
    assert decide({window: counts}, Limits()).state is state


def test_a_reason_says_which_figure_which_limit_which_window_and_how_many() -> None:
    decision = decide({Window.HOUR: hard(200, 12), Window.DAY: hard(20_000, 300)}, Limits())

    (reason,) = decision.reasons
    assert (reason.figure, reason.window, reason.count, reason.whole, reason.limit) == (
        Figure.HARD, Window.HOUR, 12, 200, 0.05,
    )  # fmt: skip
    assert decision.why == "12 hard bounces of 200 transmitted in 1h are 6.00%; the limit is 5.00%"


def test_the_gravest_reason_comes_first() -> None:
    counts = Counts(transmitted=1000, delivered=900, reporting=900, hard=100, complaints=3, unsubscribed=20)

    decision = decide({Window.DAY: counts}, Limits())

    assert [reason.state for reason in decision.reasons] == [S.DISABLED, S.PAUSED, S.REVIEW]


def test_limits_of_the_workspace_are_obeyed() -> None:
    assert decide({Window.DAY: hard(1000, 30)}, Limits(hard_pause=0.03)).state is S.PAUSED


@pytest.mark.parametrize(
    ("everything", "since", "released", "state"),
    [
        (hard(1000, 60), Counts(), S.PAUSED, S.OK),  # what was accepted does not stop it again
        (hard(1000, 99), Counts(), S.PAUSED, S.OK),
        (hard(1000, 100), Counts(), S.PAUSED, S.DISABLED),  # worse than what was accepted
        (hard(1000, 500), Counts(), S.DISABLED, S.OK),
        (hard(1200, 70), hard(200, 10), S.PAUSED, S.PAUSED),  # new mails are judged as ever
        (hard(1199, 70), hard(199, 19), S.PAUSED, S.OK),
    ],
)
def test_a_release_ignores_what_was_known_and_nothing_else(
    everything: Counts, since: Counts, released: BreakerState, state: BreakerState
) -> None:
    decision = decide_after_release({Window.DAY: everything}, {Window.DAY: since}, released, Limits())

    assert decision.state is state


@pytest.mark.parametrize("current", list(S))
@pytest.mark.parametrize("decided", list(S))
def test_the_ladder_is_total_climbs_at_once_and_descends_slowly(current: BreakerState, decided: BreakerState) -> None:
    soon = next_state(current, decided, EASES_AFTER - timedelta(seconds=1))
    late = next_state(current, decided, EASES_AFTER)

    if is_worse(decided, current):
        assert soon is late is decided
    elif current in (S.PAUSED, S.DISABLED):
        assert soon is late is current
    else:
        assert (soon, late) == (current, decided)


def test_counts_add_up_figure_by_figure() -> None:
    assert hard(200, 10) + complaints(5, 1) == Counts(transmitted=205, hard=10, delivered=5, reporting=5, complaints=1)

"""The breaker's thresholds, exact, with their minimum volumes."""

import pytest

from mailer.reputation.policy import Rates, Thresholds, decide_breaker, is_worse
from mailer.statuses import BreakerState

CASES = [
    (Rates(200, 191, 9, 0), BreakerState.OK),
    (Rates(200, 190, 10, 0), BreakerState.PAUSED),
    (Rates(199, 180, 19, 0), BreakerState.OK),
    (Rates(3, 2, 1, 0), BreakerState.OK),
    (Rates(1000, 951, 49, 0), BreakerState.OK),
    (Rates(1000, 950, 50, 0), BreakerState.PAUSED),
    (Rates(1000, 900, 100, 0), BreakerState.DISABLED),
    (Rates(900, 900, 0, 1), BreakerState.OK),
    (Rates(900, 900, 0, 2), BreakerState.OK),
    (Rates(1000, 1000, 0, 3), BreakerState.PAUSED),
    (Rates(2000, 2000, 0, 3), BreakerState.THROTTLED),
    (Rates(5000, 5000, 0, 4), BreakerState.OK),
    (Rates(0, 0, 0, 0), BreakerState.OK),
]


@pytest.mark.parametrize(("rates", "state"), CASES)
def test_breaker_trips_at_the_limit_and_not_below(rates: Rates, state: BreakerState) -> None:
    assert decide_breaker(rates, Thresholds())[0] is state


def test_breaker_never_closes_by_itself() -> None:
    assert is_worse(BreakerState.DISABLED, BreakerState.PAUSED)
    assert not is_worse(BreakerState.OK, BreakerState.PAUSED)

"""Batches are shared out among relays by weight, and a relay that fails is left alone longer each time."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.delivery.buckets import SendingLimits, list_limits
from mailer.delivery.fairness import order_due
from mailer.delivery.relays import PlannedRelay, Relay, choose_relay, decide_rest
from mailer.delivery.throttle import Bucket, Budget


def _relay(key: str, weight: int = 1, **more: object) -> PlannedRelay:
    return PlannedRelay(key, key, Relay("127.0.0.1", 25), weight, **more)  # type: ignore[arg-type]


def test_batches_are_shared_out_by_weight() -> None:
    relays = [_relay("a", 3), _relay("b", 1), _relay("spare", 0)]

    chosen = Counter(choose_relay(relays, number).key for number in range(400))  # type: ignore[union-attr]

    assert chosen.keys() == {"a", "b"}
    assert chosen["a"] == pytest.approx(300, abs=3)


def test_spare_takes_over_where_no_other_works() -> None:
    relays = [_relay("a", 3), _relay("spare", 0), _relay("other", 0)]

    assert {choose_relay(relays, number, {"a"}).key for number in range(20)} == {"spare", "other"}  # type: ignore[union-attr]
    assert choose_relay(relays, 5, {"a", "spare"}).key == "other"  # type: ignore[union-attr]


def test_nothing_is_chosen_where_all_rest() -> None:
    assert choose_relay([_relay("a")], 1, {"a"}) is None
    assert choose_relay([], 1) is None


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.integers(0, 2**53), st.data())
def test_a_relay_that_does_not_rest_is_always_found(weights: list[int], number: int, data: st.DataObject) -> None:
    relays = [_relay(str(place), weight) for place, weight in enumerate(weights)]
    resting = data.draw(st.sets(st.sampled_from([relay.key for relay in relays])))

    chosen = choose_relay(relays, number, resting)

    if len(resting) == len(relays):
        assert chosen is None
    else:
        assert chosen is not None
        assert chosen.key not in resting
        awake = [relay for relay in relays if relay.key not in resting]
        assert chosen.weight > 0 or not any(relay.weight for relay in awake)


def test_rests_grow_from_the_third_failure_to_ten_minutes() -> None:
    rests = [decide_rest(failures).total_seconds() for failures in range(1, 12)]

    assert rests[:6] == [0, 0, 30, 60, 120, 240]
    assert rests[-1] == 600
    assert decide_rest(10_000) == timedelta(minutes=10)


def test_limits_are_the_fewest_that_say_it_all() -> None:
    budget = Budget("warm_up:example.com:2026-11-22", 500, 60)
    catcher = _relay("settings", rate_per_second=None, adapts=False)
    wide = _relay("wide", rate_per_second=None)
    narrow = _relay("narrow", rate_per_second=14.0)
    giant = SendingLimits(7, 50, budget)

    assert list_limits(catcher, SendingLimits(7), "google", {}) == ()
    assert list_limits(catcher, giant, "google", {"google": 5}) == (Bucket("sending:7", 50),)
    assert list_limits(wide, SendingLimits(7), "google", {}) == (
        Bucket("relay:wide", None),
        Bucket("provider:wide:google", None),
    )
    assert list_limits(narrow, giant, "google", {"google": 5}) == (
        Bucket("sending:7", 50),
        Bucket("relay:narrow", 14),
        Bucket("provider:narrow:google", 5),
        budget,
    )


def test_sendings_take_turns_whatever_their_size() -> None:
    assert order_due([1, 2, 3], {1: 9, 2: 4}) == [3, 2, 1]
    assert order_due([2, 1], {}) == [1, 2]

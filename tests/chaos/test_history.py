"""The checker of histories finds every kind of broken promise, and nothing in a good history (C33)."""

from dataclasses import replace

import pytest

from tests.chaos.history import History, Row, Step, check

GOOD = History(
    rows=[
        Row(1, 11, "accepted", gate_at=100),
        Row(2, 12, "unknown", gate_at=100),
        Row(3, 13, "skipped", "no_permission"),
        Row(4, 14, "failed", gate_at=100),
    ],
    audience=4,
    taken={1: 1, 2: 1},
    withdrawn={11: 200, 13: 50},
    gates=[Step(1, 1, 1, 90), Step(2, 1, 1, 90), Step(4, 1, 1, 90)],
    dots=[Step(1, 1, 1, 110), Step(2, 1, 1, 110), Step(4, 1, 1, 110)],
)
TWICE = Step(1, 1, 1, 95)


def test_a_good_history_has_no_violation() -> None:
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (replace(GOOD, audience=5), "4 rows for an audience of 5"),
        (replace(GOOD, rows=[*GOOD.rows[:3], Row(4, 14, "queued")]), "message 4 is still queued"),
        (replace(GOOD, taken={1: 1, 2: 1, 9: 1}), "the server has 9"),
        (replace(GOOD, taken={1: 2, 2: 1}), "message 1 arrived 2 times"),
        (replace(GOOD, taken={2: 1}), "message 1 is accepted, the server never had it"),
        (replace(GOOD, taken={1: 1, 2: 1, 4: 1}), "message 4 arrived and is called failed"),
        (replace(GOOD, gates=[*GOOD.gates, TWICE]), "gate passed 2 times"),
        (replace(GOOD, dots=[*GOOD.dots, Step(1, 1, 1, 120)]), "dot written 2 times"),
        (replace(GOOD, dots=[*GOOD.dots, Step(3, 1, 1, 120)]), "dot without a gate"),
        (replace(GOOD, dots=[Step(1, 1, 1, 80)]), "dot before its gate"),
        (replace(GOOD, withdrawn={11: 99}), "message 1 passed its gate after its person had left"),
        (replace(GOOD, withdrawn={14: 89}), "let pass by a gate that began after"),
        (replace(GOOD, rows=[Row(1, 11, "accepted", gate_at=100, repeats=1), *GOOD.rows[1:]]), "was repeated 1 times"),
    ],
)
def test_a_broken_promise_is_named(broken: History, said: str) -> None:
    assert any(said in violation for violation in check(broken))


def test_what_is_sent_at_least_once_may_arrive_as_often_as_it_says() -> None:
    repeated = History([Row(1, 11, "accepted", gate_at=1, repeats=2)], 1, {1: 3}, is_marketing=False)

    assert check(repeated) == []
    assert check(replace(repeated, taken={1: 4})) == ["message 1 arrived 4 times, 3 permitted"]
    assert check(replace(repeated, rows=[Row(1, 11, "accepted", repeats=3)])) == ["message 1 was repeated 3 times"]

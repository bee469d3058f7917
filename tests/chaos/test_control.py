"""Pause, resume and rolling restarts in the middle: answered at once, nobody twice, nobody lost (C18, C31)."""

import signal
import time

import pytest
from sqlalchemy.exc import DBAPIError

from mailer.delivery.sendings import pause_sending, resume_sending
from tests.chaos.conftest import OpenField
from tests.chaos.rig import Field
from tests.chaos.scene import Scene, count_states, make_crowd, set_limits

WORKERS = 3


def _pause(field: Field, scene: Scene) -> int:
    """Pause and return when the answer was there."""
    while True:
        try:
            with field.ctx.write() as session:
                pause_sending(session, scene.sending_id)
        except DBAPIError:  # SQLite's writers wait for each other; a person would press again
            continue
        return time.time_ns()


def _gates_between(field: Field, began: int, ended: int) -> list[dict[str, object]]:
    """Return gates that began and ended in a stretch of time and let somebody pass."""
    gates = [note for note in field.stable.read_notes() if note["kind"] == "gate" and note["passed"]]
    return [note for note in gates if began < note["at"] and note["done"] < ended]


@pytest.mark.parametrize("size", ["short", "long"])
def test_no_gate_opens_after_a_pause_was_answered(new_field: OpenField, size: str) -> None:
    messages, pauses = (4_000, 200) if size == "long" else (600, 8)
    with new_field() as field:
        set_limits(field.ctx, rate_per_second=120, relay_connections=30)
        scene = make_crowd(field.ctx, messages)
        field.stable.start("reap")
        for _ in range(WORKERS):
            field.stable.start("send")
        held: list[tuple[int, int]] = []
        for _ in range(pauses):
            time.sleep(field.chance.uniform(0.02, 0.1))
            paused = _pause(field, scene)
            time.sleep(0.1)
            held.append((paused, time.time_ns()))
            with field.ctx.write() as session:
                resume_sending(session, field.ctx, scene.sending_id)
        field.wait_finished(scene, seconds=messages / 100 + 30)

        assert [gates for stretch in held if (gates := _gates_between(field, *stretch))] == []
        assert field.verdict(scene) == []
        assert count_states(field.ctx, scene) == {"accepted": messages}


@pytest.mark.parametrize("size", ["short", "long"])
def test_rolling_restarts_leave_nothing_unknown(new_field: OpenField, size: str) -> None:
    """A worker that is asked to end finishes what it has begun, while its successor works beside it."""
    messages, restarts = (6_000, 20) if size == "long" else (500, 4)
    with new_field() as field:
        set_limits(field.ctx, rate_per_second=250, relay_connections=30)
        scene = make_crowd(field.ctx, messages)
        field.stable.start("reap")
        senders = [field.stable.start("send") for _ in range(WORKERS)]
        for _ in range(restarts):
            time.sleep(field.chance.uniform(0.1, 0.5))
            leaving = senders.pop(0)
            senders.append(field.stable.start("send"))
            field.stable.send(leaving, signal.SIGTERM)
            field.stable.wait(leaving, seconds=30)
        field.wait_finished(scene, seconds=messages / 100 + 30)

        assert field.verdict(scene) == []
        assert count_states(field.ctx, scene) == {"accepted": messages}

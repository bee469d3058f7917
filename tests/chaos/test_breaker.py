"""Judges that are killed at random trip a breaker once, exactly at its limit, and it stays tripped (C32)."""

import time

import pytest
from sqlalchemy import func, select

from mailer.schema.accounts import AuditEvent
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker, BreakerChange
from tests.chaos.conftest import OpenField
from tests.chaos.rig import Field, wait_for
from tests.chaos.scene import Scene, count_states, make_crowd, set_limits

MESSAGES = 205


def _hold(field: Field, scene: Scene) -> str:
    with field.ctx.read() as session:
        return session.get_one(Sending, scene.sending_id).hold_reason or ""


def _changes(field: Field) -> int:
    with field.ctx.read() as session:
        return session.scalar(select(func.count()).where(BreakerChange.scope == "sending")) or 0


@pytest.mark.parametrize(("bounces", "hold"), [(10, ""), (11, "breaker")])
def test_the_breaker_trips_at_its_limit_whoever_is_killed(new_field: OpenField, bounces: int, hold: str) -> None:
    """5 % of 205 is more than ten: ten bounces let it run, eleven stop it."""
    gone = {"at": "rcpt", "do": "reply", "text": "550 5.1.1 no such user", "times": bounces}
    with new_field({"rules": [gone]}) as field:
        set_limits(field.ctx, rate_per_second=50_000, relay_connections=10)
        scene = make_crowd(field.ctx, MESSAGES)
        field.stable.start("send")
        wait_for("every mail", lambda: not count_states(field.ctx, scene)["queued"])
        judges = [field.stable.start("judge") for _ in range(3)]
        for _ in range(6):
            time.sleep(field.chance.uniform(0.02, 0.2))
            victim = judges.pop(0)
            field.stable.kill(victim)
            judges.append(field.stable.start("judge"))
        wait_for("a judgement", lambda: _changes(field))

        assert _hold(field, scene) == hold
        with field.ctx.read() as session:
            stopped = select(func.count()).select_from(Breaker).where(Breaker.state == "paused")
            assert session.scalar(stopped) == bool(hold)
            assert _changes(field) == 1  # 10 are worth a look
            trips = select(func.count()).where(AuditEvent.action == "breaker.trip")
            assert session.scalar(trips.where(AuditEvent.subject_kind == "sending")) == 1

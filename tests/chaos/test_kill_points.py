"""A worker dies at every step of a message, once: what becomes of it is exact (PROOF C3)."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.schema.delivery import Message, SendBatch
from mailer.statuses import SendingClass
from tests.chaos.conftest import OpenField
from tests.chaos.probes import STEPS
from tests.chaos.rig import Field
from tests.chaos.scene import Scene, make_crowd, set_limits
from tests.support.fault_sink import read_log

BEFORE_THE_GATE = STEPS[: STEPS.index("gate committed")]
NO_PIPELINING = ["8BITMIME", "SIZE 1000000"]
CLASSES = (SendingClass.MARKETING, SendingClass.TRANSACTIONAL)


def expected(step: str, sending_class: SendingClass) -> tuple[str, int, int]:
    """Return the state, the copies at the server and the repeats after everything was set right."""
    if step in BEFORE_THE_GATE or step in ("result committed", "released"):
        return "accepted", 1, 0
    at_server = 0 if step == "gate committed" else 1
    if sending_class is SendingClass.MARKETING:
        return "unknown", at_server, 0
    return "accepted", at_server + 1, 1


def _die_at(field: Field, step: str) -> None:
    worker = field.stable.start("send", fault=f"{step}:1")
    field.stable.wait(worker)


def _end_lease(field: Field) -> None:
    with field.ctx.write() as session:
        session.execute(
            update(SendBatch).where(SendBatch.state == "leased").values(lease_until=utc_now() - timedelta(seconds=1))
        )


def _let_time_pass(field: Field) -> None:
    """Let the quarter of an hour pass after which a mail that must arrive is sent again."""
    with field.ctx.write() as session:
        for message in session.scalars(select(Message).where(Message.gate_at.is_not(None))):
            message.gate_at = utc_now() - timedelta(minutes=16)


def _set_right(field: Field, scene: Scene) -> None:
    _end_lease(field)
    reaper = field.stable.start("reap", every=0.05)
    worker = field.stable.start("send")
    _let_time_pass(field)
    field.wait_finished(scene, seconds=20)
    field.stable.kill(reaper)
    field.stable.kill(worker)


@pytest.mark.parametrize("sending_class", CLASSES, ids=lambda one: one.value)
def test_every_death_has_its_exact_outcome(new_field: OpenField, sending_class: SendingClass) -> None:
    with new_field({"extensions": NO_PIPELINING}) as field:
        set_limits(field.ctx, rate_per_second=50_000, relay_connections=2)
        seen = {}
        for step in STEPS:
            scene = make_crowd(field.ctx, 1, sending_class=sending_class)
            delay = [{"at": "dot", "do": "delay", "seconds": 0.3}] if step == "dot" else []
            field.sink.order(faults={"extensions": NO_PIPELINING, "rules": delay})
            _die_at(field, step)
            _set_right(field, scene)
            with field.ctx.read() as session:
                message = session.scalars(select(Message).where(Message.sending_id == scene.sending_id)).one()
            assert field.verdict(scene) == []
            copies = sum(line.is_taken for line in read_log(field.sink.log))
            field.sink.log.write_bytes(b"")
            seen[step] = (message.state, copies, message.repeats)

        assert seen == {step: expected(step, sending_class) for step in STEPS}

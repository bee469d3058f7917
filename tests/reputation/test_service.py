"""The breaker holds a sending from rows, once, and remembers."""

from sqlalchemy import insert, select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.service import apply_events, resume_sending
from mailer.reputation.service import check_rates
from mailer.schema.accounts import AuditEvent
from mailer.schema.delivery import Message, Sending
from mailer.schema.reputation import Breaker
from mailer.statuses import BreakerState, EventKind
from tests.support.make import make_reader, make_sending, make_topic


def _sending(ctx: Context, accepted: int, hard: int) -> int:
    """A running sending with accepted messages, some of which bounced hard."""
    with ctx.write() as session:
        topic = make_topic(session)
        reader = make_reader(session, topic, key=ctx.keys.suppression)
        sending = make_sending(session, ctx, [reader], topic)
        rows = [
            {"sending_id": sending.id, "recipient_key": -number, "occurrence": 0, "state": "accepted", "reason": "",
             "attempts": 0, "reply": ""}
            for number in range(1, accepted + 1)
        ]  # fmt: skip
        session.execute(insert(Message), rows)
        bounced = select(Message.id).where(Message.sending_id == sending.id, Message.recipient_key < 0).limit(hard)
        ids = session.scalars(bounced).all()
        apply_events(session, [DeliveryEvent(n, EventKind.HARD_BOUNCE, utc_now(), f"t:{n}") for n in ids])
        return sending.id


def test_ten_of_two_hundred_hold_the_sending_and_nine_do_not(ctx: Context) -> None:
    fine, bad = _sending(ctx, 200, 9), _sending(ctx, 200, 10)

    assert check_rates(ctx) == {bad: BreakerState.PAUSED}

    with ctx.read() as session:
        assert session.get_one(Sending, bad).hold_reason == "breaker"
        assert session.get_one(Sending, fine).hold_reason is None
        assert session.scalars(select(AuditEvent.action)).all() == ["breaker.trip"]


def test_released_sending_is_not_held_again_for_the_same(ctx: Context) -> None:
    sending_id = _sending(ctx, 200, 10)
    check_rates(ctx)
    with ctx.write() as session:
        resume_sending(session, ctx, sending_id)

    assert check_rates(ctx) == {}

    with ctx.read() as session:
        assert session.get_one(Sending, sending_id).hold_reason is None
        assert session.scalar(select(Breaker.state)) == "paused"


def test_worse_rates_hold_it_again(ctx: Context) -> None:
    sending_id = _sending(ctx, 200, 10)
    check_rates(ctx)
    with ctx.write() as session:
        resume_sending(session, ctx, sending_id)
        ids = session.scalars(select(Message.id).where(Message.recipient_key < 0).offset(10).limit(10)).all()
        apply_events(session, [DeliveryEvent(n, EventKind.HARD_BOUNCE, utc_now(), f"u:{n}") for n in ids])
        session.execute(update(Sending).values(state="sending"))

    assert check_rates(ctx) == {sending_id: BreakerState.DISABLED}

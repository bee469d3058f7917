"""Sendings in bulk, with what became of them, for tests of rates."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.service import add_batches, apply_events
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.workspace import Sender
from mailer.statuses import EventKind
from tests.support.make import make_batch_row, make_reader, make_sending, make_topic


def make_sent(
    ctx: Context,
    accepted: int,
    *,
    hard: int = 0,
    soft: int = 0,
    complaints: int = 0,
    provider: str = "other",
    domain: str = "example.com",
    ago: timedelta = timedelta(),
) -> int:
    """A running sending with `accepted` mails of one mailbox provider, some of which came to something; its id."""
    with ctx.write() as session:
        topic = make_topic(session)
        sending = make_sending(session, ctx, [make_reader(session, topic, key=ctx.keys.suppression)], topic)
        session.execute(update(Sender).where(Sender.id == sending.sender_id).values(from_email=f"news@{domain}"))
        session.execute(update(SendBatch).where(SendBatch.sending_id == sending.id).values(ordinal=9, provider="other"))
        session.execute(
            update(Sending).where(Sending.id == sending.id).values(started_at=utc_now() - ago - timedelta(1))
        )
        add_sent(session, sending.id, accepted, provider=provider, ago=ago)
        react(session, sending.id, {EventKind.HARD_BOUNCE: hard, EventKind.SOFT_BOUNCE: soft})
        react(session, sending.id, {EventKind.COMPLAINT: complaints}, skip=hard + soft)
        return sending.id


def add_sent(
    session: Session, sending_id: int, accepted: int, *, provider: str = "other", ago: timedelta = timedelta()
) -> None:
    """Add mails that were accepted so long ago, in a batch of their own."""
    (batch_id,) = add_batches(session, [make_batch_row(sending_id, provider=provider, state="done", token=1)])
    at = utc_now() - ago
    session.execute(insert(Message), [_row(sending_id, batch_id, number, at) for number in range(accepted)])


def _row(sending_id: int, batch_id: int, number: int, at: datetime) -> dict[str, object]:
    return {
        "sending_id": sending_id, "recipient_key": -(batch_id * 1_000_000 + number), "occurrence": 0,
        "batch_id": batch_id, "state": "accepted", "reason": "", "attempts": 0, "reply": "", "accepted_at": at,
    }  # fmt: skip


def react(session: Session, sending_id: int, counts: Mapping[EventKind, int], *, skip: int = 0) -> None:
    """Let the first mails of a sending that have no such event yet come to something."""
    for kind, count in counts.items():
        ids = session.scalars(
            select(Message.id)
            .where(Message.sending_id == sending_id, Message.state == "accepted")
            .order_by(Message.id)
            .offset(skip)
            .limit(count)
        ).all()
        apply_events(session, [DeliveryEvent(number, kind, utc_now(), f"{kind}:{number}") for number in ids])
        skip += count

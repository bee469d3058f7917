"""Unknown messages, and what is known of each: the dot may have left, no answer came (RFC 1047). Never commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Event, Message, SendBatch
from mailer.statuses import MessageState


@dataclass(frozen=True)
class UnknownLine:
    """An unknown message.

    `reason`: `no_answer` (the relay said nothing after the dot; `said` how the connection ended) or `worker_lost` (its
    worker was gone before it wrote an answer down). `evidence`: kinds of events seen since that prove nothing yet.
    """

    message_id: int
    contact: uuid.UUID | None
    email: str | None
    provider: str
    gated_at: datetime | None
    reason: str
    said: str
    attempts: int
    repeats: int
    evidence: Sequence[str]


def list_unknowns(session: Session, sending_id: int, *, after_id: int = 0, limit: int = 50) -> list[UnknownLine]:
    """Return unknown messages of a sending by id, in keyset pages."""
    rows = session.execute(
        select(Message, func.coalesce(Message.to_address, Address.email), Contact.public_id, SendBatch.provider)
        .outerjoin(Address, Address.id == Message.address_id)
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .outerjoin(SendBatch, SendBatch.id == Message.batch_id)
        .where(Message.sending_id == sending_id, Message.state == MessageState.UNKNOWN.value, Message.id > after_id)
        .order_by(Message.id)
        .limit(limit)
    ).all()
    evidence: dict[int, list[str]] = {}
    ids = [message.id for message, *_ in rows]
    seen = select(Event.message_id, Event.kind, Event.hit_class).where(Event.message_id.in_(ids)).order_by(Event.id)
    for message_id, kind, hit_class in session.execute(seen):
        evidence.setdefault(message_id, []).append(f"{kind} ({hit_class})" if hit_class else kind)
    return [
        UnknownLine(
            message_id=message.id,
            contact=contact,
            email=email,
            provider=provider or "other",
            gated_at=message.gate_at,
            reason=message.reason,
            said=message.reply,
            attempts=message.attempts,
            repeats=message.repeats,
            evidence=tuple(dict.fromkeys(evidence.get(message.id, ()))),
        )
        for message, email, contact, provider in rows
    ]

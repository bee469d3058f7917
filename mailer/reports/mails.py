"""The mails behind a figure of the rates page: what came back, from whom, in which words. Never commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.addresses import domain_of
from mailer.clock import utc_now
from mailer.reputation.counting import COUNTED_CLASSES
from mailer.reputation.policy import Window
from mailer.reputation.queries import window_start
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Event, Message, SendBatch, Sending
from mailer.schema.workspace import Sender
from mailer.statuses import EventKind

KINDS = (
    EventKind.HARD_BOUNCE.value,
    EventKind.SOFT_BOUNCE.value,
    EventKind.COMPLAINT.value,
    EventKind.DELAYED.value,
)


@dataclass(frozen=True)
class Choice:
    """Which mails; empty words are everything."""

    kind: str = EventKind.HARD_BOUNCE.value
    window: Window = Window.DAY
    domain: str = ""
    provider: str = ""
    campaign: uuid.UUID | None = None


@dataclass(frozen=True)
class MailLine:
    """A fact about a mail; `contact` and `campaign` are public ids for links."""

    event_id: int
    at: datetime
    email: str | None
    contact: uuid.UUID | None
    campaign: uuid.UUID | None
    campaign_name: str
    provider: str
    reason: str
    code: str
    reply: str


def list_mails(session: Session, choice: Choice, *, before_id: int | None = None, limit: int = 50) -> list[MailLine]:
    """Return what came back for mails that went out in the window, newest first, in keyset pages."""
    since = window_start(choice.window, utc_now())
    query = (
        select(
            Event.id,
            Event.at,
            func.coalesce(Message.to_address, Address.email),
            Contact.public_id,
            Campaign.public_id,
            func.coalesce(Campaign.name, ""),
            func.coalesce(SendBatch.provider, ""),
            Event.reason,
            Event.code,
            Message.reply,
        )
        .join(Message, Message.id == Event.message_id)
        .join(Sending, Sending.id == Event.sending_id)
        .outerjoin(SendBatch, SendBatch.id == Message.batch_id)
        .outerjoin(Address, Address.id == Message.address_id)
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .outerjoin(Campaign, Campaign.sending_id == Event.sending_id)
        .where(
            Event.kind == choice.kind,
            Sending.sending_class.in_(COUNTED_CLASSES),
            Event.at >= since,  # what went out after it came back after it
            func.coalesce(Message.accepted_at, Event.at) >= since,
        )
        .order_by(Event.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(Event.id < before_id)
    if choice.campaign is not None:
        query = query.where(Campaign.public_id == choice.campaign)
    if choice.provider:
        query = query.where(SendBatch.provider == choice.provider)
    if choice.domain:
        query = query.where(Sending.sender_id.in_(_senders_of(session, choice.domain)))
    return [MailLine(*list(row)) for row in session.execute(query)]


def _senders_of(session: Session, domain: str) -> Sequence[int]:
    rows = session.execute(select(Sender.id, Sender.from_email))
    return [number for number, email in rows if domain_of(email) == domain]

"""Who clicked a link of a sending: person, time, program, device, and why we think that it was a person."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from mailer.errors import NotFoundError
from mailer.schema.contacts import Address, Contact
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Event, Message, Sending
from mailer.statuses import EventKind, HitClass
from mailer.tracking.queries import HitEvidence, load_evidence

Key = tuple[datetime, int]


@dataclass(frozen=True)
class ClickLine:
    """A click as the list shows it; `key` begins the next page."""

    key: Key
    contact: uuid.UUID | None
    email: str
    name: str
    at: datetime
    hit_class: str
    evidence: HitEvidence


def get_link(session: Session, sending_id: int, ordinal: int) -> TrackedLink:
    """Return the link of a sending by its number, or raise NotFoundError."""
    link = session.scalar(
        select(TrackedLink)
        .join(Sending, Sending.content_version_id == TrackedLink.content_version_id)
        .where(Sending.id == sending_id, TrackedLink.ordinal == ordinal)
    )
    if link is None:
        raise NotFoundError("no such link")
    return link


def list_clicks(
    session: Session, sending_id: int, link_id: int, *, by_people: bool, before: Key | None = None, limit: int = 50
) -> list[ClickLine]:
    """Return clicks on a link, newest first, of people or of everything else, in keyset pages."""
    is_human = Event.hit_class == HitClass.HUMAN.value
    query = (
        select(Event, Contact, Address.email)
        .join(Message, Message.id == Event.message_id)
        .outerjoin(Contact, Contact.id == Event.contact_id)
        .outerjoin(Address, Address.id == Message.address_id)
        .where(
            Event.sending_id == sending_id,
            Event.kind == EventKind.CLICK.value,
            Event.tracked_link_id == link_id,
            is_human if by_people else ~is_human,
        )
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(limit)
    )
    if before is not None:
        at, last = before
        query = query.where(Event.at <= at, or_(Event.at < at, and_(Event.at == at, Event.id < last)))
    rows = session.execute(query).all()
    evidence = load_evidence(session, [event for event, _contact, _email in rows])
    return [
        ClickLine(
            (event.at, event.id),
            contact.public_id if contact else None,
            email or "",
            f"{contact.first_name} {contact.last_name}".strip() if contact else "",
            event.at,
            event.hit_class or "",
            evidence[event.id],
        )
        for event, contact, email in rows
    ]

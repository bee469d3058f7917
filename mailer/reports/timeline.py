"""Everything that happened with a person, newest first (FEATURES K6): mails, events, tasks, consent, segments."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.schema.accounts import Staff
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import ConsentEvent, Topic
from mailer.schema.contacts import Activity, Contact
from mailer.schema.content import ContentVersion, TrackedLink
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.followups import FollowUp
from mailer.schema.segments import Segment, SegmentEvent
from mailer.segments.visibility import Viewer, is_visible_to

LIMIT = 100


@dataclass(frozen=True)
class Entry:
    """One line of a timeline. `kind` is mail, event, task, consent, activity, segment or contact; `word` its state."""

    at: datetime
    kind: str
    word: str
    title: str
    detail: str = ""
    hit_class: str = ""
    amount: int | None = None
    currency: str = ""
    campaign: uuid.UUID | None = None
    segment: uuid.UUID | None = None


def list_timeline(
    session: Session, contact: Contact, *, kind: str = "", viewer: Viewer | None = None, limit: int = LIMIT
) -> list[Entry]:
    """Return the newest entries of a contact, newest first, of one kind where `kind` is given.

    Each source gives at most `limit` rows, read by an index that ends in its time or id. Segments that `viewer` does
    not see are left out.
    """
    sources = {"mail": _mails, "event": _events, "task": _tasks, "consent": _consent, "activity": _activities}
    found: list[Entry] = []
    for name, source in sources.items():
        if kind in ("", name):
            found.extend(source(session, contact, limit))
    if kind in ("", "segment"):
        found.extend(_segments(session, contact, viewer, limit))
    if not kind:
        found.append(Entry(contact.created_at, "contact", "contact_added", ""))
    return sorted(found, key=lambda entry: entry.at, reverse=True)[:limit]


def _mails(session: Session, contact: Contact, limit: int) -> Iterator[Entry]:
    rows = session.execute(
        select(Message, ContentVersion.subject, Campaign.name, Campaign.public_id, Sending.created_at)
        .join(Sending, Sending.id == Message.sending_id)
        .join(ContentVersion, ContentVersion.id == Sending.content_version_id)
        .outerjoin(Campaign, Campaign.sending_id == Sending.id)
        .where(Message.contact_id == contact.id)
        .order_by(Message.id.desc())
        .limit(limit)
    )
    for message, subject, campaign, public_id, created_at in rows:
        at = message.accepted_at or message.gate_at or created_at
        yield Entry(at, "mail", message.state, campaign or subject, message.reason, campaign=public_id)


def _events(session: Session, contact: Contact, limit: int) -> Iterator[Entry]:
    rows = session.execute(
        select(Event, TrackedLink.url, Campaign.name, Campaign.public_id)
        .outerjoin(TrackedLink, TrackedLink.id == Event.tracked_link_id)
        .outerjoin(Campaign, Campaign.sending_id == Event.sending_id)
        .where(Event.contact_id == contact.id)
        .order_by(Event.at.desc())
        .limit(limit)
    )
    for event, url, campaign, public_id in rows:
        detail = " ".join(part for part in (event.code, event.reason if not event.hit_class else "") if part)
        yield Entry(
            event.at, "event", event.kind, url or campaign or "", detail, event.hit_class or "", campaign=public_id
        )


def _tasks(session: Session, contact: Contact, limit: int) -> Iterator[Entry]:
    rows = session.execute(
        select(FollowUp, func.coalesce(func.nullif(Staff.name, ""), Staff.email))
        .join(Staff, Staff.id == FollowUp.owner_id)
        .where(FollowUp.contact_id == contact.id)
        .order_by(FollowUp.id.desc())
        .limit(limit)
    )
    for task, owner in rows:
        yield Entry(task.done_at or task.created_at, "task", task.status, task.title, owner)


def _consent(session: Session, contact: Contact, limit: int) -> Iterator[Entry]:
    rows = session.execute(
        select(ConsentEvent, Topic.name)
        .outerjoin(Topic, Topic.id == ConsentEvent.topic_id)
        .where(ConsentEvent.ledger_id == contact.ledger_id)
        .order_by(ConsentEvent.id.desc())
        .limit(limit)
    )
    for line, topic in rows:
        detail = ", ".join(part for part in (line.source, line.channel) if part)
        yield Entry(line.at, "consent", line.verdict, topic or line.permission or "", detail)


def _activities(session: Session, contact: Contact, limit: int) -> Iterator[Entry]:
    rows = session.scalars(
        select(Activity).where(Activity.contact_id == contact.id).order_by(Activity.at.desc()).limit(limit)
    )
    for row in rows:
        yield Entry(row.at, "activity", row.kind, row.note or _told(row.data), "", "", row.amount, row.currency)


def _segments(session: Session, contact: Contact, viewer: Viewer | None, limit: int) -> Iterator[Entry]:
    """Entered and left, of watched segments."""
    rows = session.execute(
        select(SegmentEvent, Segment.name, Segment.public_id)
        .join(Segment, Segment.id == SegmentEvent.segment_id)
        .where(SegmentEvent.contact_id == contact.id, is_visible_to(viewer))
        .order_by(SegmentEvent.id.desc())
        .limit(limit)
    )
    for line, name, public_id in rows:
        yield Entry(line.at, "segment", line.kind, name, line.cause.partition(":")[0], segment=public_id)


def _told(data: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in data.items())

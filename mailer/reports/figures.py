"""Figures of the whole workspace: the dashboard's tiles, and which first steps are done. Computed from rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.reputation.counting import COUNTED_CLASSES, was_transmitted
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Consent, ConsentEvent
from mailer.schema.contacts import Contact
from mailer.schema.delivery import TROUBLE, Event, Message, Sending
from mailer.schema.imports import ImportRun
from mailer.schema.workspace import Sender
from mailer.segments.chosen import is_among
from mailer.statuses import (
    PERMITS_MARKETING,
    ConsentVerdict,
    EventKind,
    HitClass,
    MessageState,
    Purpose,
)

PERIOD = timedelta(days=30)


@dataclass(frozen=True)
class Overview:
    """The tiles of the dashboard: contacts now; who left in 30 days; what came of campaigns that began in them.

    Every share is one of the same mails; tests, confirmations and notices are in none.
    """

    contacts: int
    permitted: int
    accepted: int
    transmitted: int
    opened: int
    clicked: int
    bounced_later: int
    hard: int
    soft: int
    complaints: int
    unsubscribed: int

    @property
    def delivered(self) -> int:
        """Accepted less what bounced later (FEATURES M15)."""
        return self.accepted - self.bounced_later


def get_overview(session: Session) -> Overview:
    """Return the dashboard's figures."""
    since = utc_now() - PERIOD
    recent = (Sending.started_at >= since, Sending.sending_class.in_(COUNTED_CLASSES))
    transmitted, accepted = _count_transmitted(session, *recent)
    events = count_reactions(session, session.scalars(select(Sending.id).where(*recent)).all())
    people = select(func.count()).select_from(Contact).where(Contact.archived_at.is_(None))
    permitted = people.join(Consent, Consent.contact_id == Contact.id).where(
        Consent.purpose == Purpose.E_MARKETING.value, Consent.permission.in_([word.value for word in PERMITS_MARKETING])
    )
    left = select(func.count(ConsentEvent.ledger_id.distinct())).where(
        ConsentEvent.at >= since,
        ConsentEvent.verdict.in_((ConsentVerdict.UNSUBSCRIBED.value, ConsentVerdict.WITHDRAWN.value)),
        ConsentEvent.channel != EventKind.COMPLAINT.value,  # counted apart
    )
    return Overview(
        contacts=session.scalar(people) or 0,
        permitted=session.scalar(permitted) or 0,
        accepted=accepted,
        transmitted=transmitted,
        opened=events.get((EventKind.OPEN.value, HitClass.HUMAN.value), 0),
        clicked=events.get((EventKind.CLICK.value, HitClass.HUMAN.value), 0),
        bounced_later=count_bounced_later(session, *recent),
        hard=events.get((EventKind.HARD_BOUNCE.value, ""), 0),
        soft=events.get((EventKind.SOFT_BOUNCE.value, ""), 0),
        complaints=events.get((EventKind.COMPLAINT.value, ""), 0),
        unsubscribed=session.scalar(left) or 0,
    )


def count_reactions(session: Session, sending_ids: Sequence[int]) -> dict[tuple[str, str], int]:
    """Return messages of sendings with at least one event, by kind and class.

    A sending has one message for a contact, so its contacts are counted, which an index has in order; only for people
    who were erased the messages themselves.
    """
    rows = session.execute(
        select(
            Event.kind,
            Event.hit_class,
            func.count(Event.contact_id.distinct()),
            func.count().filter(Event.contact_id.is_(None)),
        )
        .where(is_among(session, Event.sending_id, sending_ids))
        .group_by(Event.sending_id, Event.kind, Event.hit_class)
    )
    found: dict[tuple[str, str], int] = {}
    nameless = False
    for kind, hit_class, people, erased in rows:
        found[kind, hit_class or ""] = found.get((kind, hit_class or ""), 0) + people
        nameless = nameless or erased > 0
    if nameless:
        for kind, hit_class, count in session.execute(_nameless(session, sending_ids)):
            found[kind, hit_class or ""] += count
    return found


def _nameless(session: Session, sending_ids: Sequence[int]) -> Select[str, str | None, int]:
    return (
        select(Event.kind, Event.hit_class, func.count(Event.message_id.distinct()))
        .where(is_among(session, Event.sending_id, sending_ids), Event.contact_id.is_(None))
        .group_by(Event.kind, Event.hit_class)
    )


def _count_transmitted(session: Session, *conditions: ColumnElement[bool]) -> tuple[int, int]:
    accepted = func.count().filter(Message.state == MessageState.ACCEPTED.value)
    row = session.execute(
        select(func.count().filter(was_transmitted()), accepted)
        .select_from(Message)
        .join(Sending, Sending.id == Message.sending_id)
        .where(*conditions)
    ).one()
    return row[0], row[1]


def count_bounced_later(session: Session, *conditions: ColumnElement[bool]) -> int:
    """Return accepted messages for which a hard or soft bounce came later; `conditions` choose the sendings."""
    bounces = (EventKind.HARD_BOUNCE.value, EventKind.SOFT_BOUNCE.value)
    query = (
        select(func.count(Event.message_id.distinct()))
        .join(Message, Message.id == Event.message_id)
        .join(Sending, Sending.id == Event.sending_id)
        .where(text(f"event.{TROUBLE}"), Event.kind.in_(bounces), *conditions)
        .where(Message.state == MessageState.ACCEPTED.value)
    )
    return session.scalar(query) or 0


@dataclass(frozen=True)
class RealUse:
    """Which of the first steps are done (FEATURES: first ten minutes)."""

    has_sender: bool
    has_transport: bool
    has_contacts: bool
    has_campaign: bool
    has_sent: bool


def get_real_use(session: Session, *, has_transport: bool) -> RealUse:
    """Return the ticks of "Use it for real"."""
    return RealUse(
        has_sender=session.scalar(select(Sender.id).limit(1)) is not None,
        has_transport=has_transport,
        has_contacts=session.scalar(select(ImportRun.id).limit(1)) is not None,
        has_campaign=session.scalar(select(Campaign.id).limit(1)) is not None,
        has_sent=session.scalar(select(Campaign.id).where(Campaign.sending_id.is_not(None)).limit(1)) is not None,
    )

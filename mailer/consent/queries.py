"""Reads of topics, subscriptions, permission, ledger and suppressions. Never commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from mailer.errors import NotFoundError
from mailer.schema.accounts import Staff
from mailer.schema.consent import Consent, ConsentEvent, Subscription, Suppression, Topic
from mailer.schema.contacts import Address, Contact
from mailer.statuses import Permission, Purpose, SubscriptionStatus


def list_topics(session: Session) -> Sequence[Topic]:
    """Return the topics in use, by name."""
    return session.scalars(select(Topic).where(Topic.archived_at.is_(None)).order_by(Topic.name)).all()


def count_subscribers(session: Session) -> dict[int, int]:
    """Return how many contacts are subscribed, by topic id."""
    rows = session.execute(
        select(Subscription.topic_id, func.count())
        .where(Subscription.status == SubscriptionStatus.SUBSCRIBED.value)
        .group_by(Subscription.topic_id)
    )
    return {topic_id: count for topic_id, count in rows}


def find_topic(session: Session, name: str) -> Topic | None:
    """Return the topic called `name`."""
    return session.scalars(select(Topic).where(Topic.name == name)).one_or_none()


def get_topic(session: Session, name: str) -> Topic:
    """Return the topic called `name`; NotFoundError names those that exist."""
    topic = find_topic(session, name)
    if topic is None:
        known = ", ".join(topic.name for topic in list_topics(session)) or "none yet"
        raise NotFoundError(f"no topic is called {name!r}", mend=f"topics: {known}")
    return topic


@dataclass(frozen=True)
class TopicChoice:
    """One line of a preference page."""

    topic_id: int
    name: str
    description: str
    status: SubscriptionStatus


def list_choices(session: Session, contact_id: int) -> list[TopicChoice]:
    """Return every topic in use with this contact's status; no row shows as unsubscribed."""
    rows = session.execute(
        select(Topic, Subscription.status)
        .outerjoin(Subscription, (Subscription.topic_id == Topic.id) & (Subscription.contact_id == contact_id))
        .where(Topic.archived_at.is_(None))
        .order_by(Topic.name)
    )
    return [
        TopicChoice(topic.id, topic.name, topic.description, SubscriptionStatus(status or "unsubscribed"))
        for topic, status in rows
    ]


def get_permission(session: Session, contact_id: int, purpose: Purpose = Purpose.E_MARKETING) -> Permission:
    """Return the current permission of a contact; `none` where nothing is recorded."""
    row = session.get(Consent, (contact_id, purpose))
    return Permission(row.permission) if row else Permission.NONE


def list_ledger(session: Session, ledger_id: int, *, limit: int = 200) -> Sequence[ConsentEvent]:
    """Return the newest lines of a person's ledger, newest first."""
    return session.scalars(
        select(ConsentEvent).where(ConsentEvent.ledger_id == ledger_id).order_by(ConsentEvent.id.desc()).limit(limit)
    ).all()


def list_active_suppressions(session: Session, address_hash: bytes) -> Sequence[Suppression]:
    """Return what suppresses an address now, oldest first."""
    return session.scalars(
        select(Suppression)
        .where(Suppression.address_hash == address_hash, Suppression.lifted_at.is_(None))
        .order_by(Suppression.id)
    ).all()


@dataclass(frozen=True)
class SuppressionLine:
    """A suppression as lists show it; `email` is None where the address is not (or no longer) known."""

    id: int
    email: str | None
    address_hash: bytes
    scope: str
    topic: str | None
    reason: str
    source: str
    created_at: datetime
    lifted_at: datetime | None
    lifted_by: str


def _suppression_lines() -> Select[Suppression, str | None, str, str | None]:
    staff = func.coalesce(func.nullif(Staff.name, ""), Staff.email)
    return (
        select(Suppression, Address.email, Topic.name, staff)
        .outerjoin(Address, Address.email_hash == Suppression.address_hash)
        .outerjoin(Topic, Topic.id == Suppression.topic_id)
        .outerjoin(Staff, Staff.id == Suppression.lifted_by)
        .order_by(Suppression.id.desc())
    )


def _suppression_line(row: Suppression, email: str | None, topic: str | None, staff: str | None) -> SuppressionLine:
    return SuppressionLine(
        row.id, email, row.address_hash, row.scope, topic, row.reason, row.source, row.created_at, row.lifted_at,
        staff or "",
    )  # fmt: skip


def list_suppressions(
    session: Session,
    *,
    search: str = "",
    hashed: bytes | None = None,
    reason: str = "",
    before_id: int | None = None,
    limit: int = 50,
) -> list[SuppressionLine]:
    """Return active suppressions, newest first, in keyset pages: pass the last line's id as `before_id`.

    `search` is part of an address; `hashed` the keyed hash of a whole one, which is found without the address, too.
    """
    query = _suppression_lines().where(Suppression.lifted_at.is_(None)).limit(limit)
    if hashed is not None:
        query = query.where(Suppression.address_hash == hashed)
    elif search:
        query = query.where(Address.email.contains(search.strip().lower(), autoescape=True))
    if reason:
        query = query.where(Suppression.reason == reason)
    if before_id is not None:
        query = query.where(Suppression.id < before_id)
    return [_suppression_line(*row) for row in session.execute(query)]


def get_suppression(session: Session, suppression_id: int) -> SuppressionLine:
    """Return one suppression, lifted or not, or raise NotFoundError."""
    row = session.execute(_suppression_lines().where(Suppression.id == suppression_id)).one_or_none()
    if row is None:
        raise NotFoundError("no such suppression")
    return _suppression_line(*row)


def list_history(session: Session, address_hash: bytes, *, limit: int = 50) -> list[SuppressionLine]:
    """Return every suppression that an address has or had, newest first."""
    query = _suppression_lines().where(Suppression.address_hash == address_hash).limit(limit)
    return [_suppression_line(*row) for row in session.execute(query)]


def list_contacts_of_address(session: Session, address_id: int) -> Sequence[Contact]:
    """Return every contact that has this address, by id."""
    return session.scalars(select(Contact).where(Contact.address_id == address_id).order_by(Contact.id)).all()

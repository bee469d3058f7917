"""Count what became of a sending's mails, by mailbox provider and by the slot in which they went out. Never commits.

Rows are counted anew at each look, so that no figure is wrong for long and a killed process leaves none behind. Only
batches that a worker has had are read: a look at a giant that has just begun costs next to nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    SQLColumnExpression,
    and_,
    case,
    cast,
    extract,
    func,
    or_,
    select,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from mailer.database import any_row
from mailer.schema.consent import LEFT, ConsentEvent
from mailer.schema.delivery import Event, Message, SendBatch
from mailer.statuses import BatchState, EventKind, MessageState, SendingClass

SLOT_SECONDS, COARSE_SECONDS = 300, 3600
COARSE_AFTER = timedelta(hours=25)
COUNTED_CLASSES = (SendingClass.MARKETING.value, SendingClass.TRANSACTIONAL.value)
"""Tests, confirmations and notices are in no rate."""
COLUMNS = ("transmitted", "accepted", "deferred", "hard", "soft", "bounced_later", "complaints", "unsubscribed")
_BOUNCES = (EventKind.HARD_BOUNCE.value, EventKind.SOFT_BOUNCE.value)
Key = tuple[str, datetime]
_Slots = dict[Key, dict[str, int]]


def was_transmitted() -> ColumnElement[bool]:
    """Accepted, or failed for a reason that blames the address or the mailbox (FEATURES M15)."""
    blamed = any_row(Event, Event.message_id == Message.id, Event.kind.in_(_BOUNCES))
    failed = (Message.state == MessageState.FAILED.value) & blamed
    return or_(Message.state == MessageState.ACCEPTED.value, failed)


@dataclass(frozen=True)
class Counted:
    """Figures of `rate_slot` by provider and slot; mails that wait for another try, and those nobody knows of."""

    slots: Mapping[Key, Mapping[str, int]]
    waiting: int
    unknown: int


def count_sending(session: Session, sending_id: int, since: datetime | None, now: datetime) -> Counted:
    """Return what became of a sending until now; `since`: when it began, for the ledger of those who left."""
    slots: _Slots = {}
    _add_accepted(session, sending_id, slots, now)
    _add_reactions(session, sending_id, slots, now)
    _add_left(session, sending_id, since, slots, now)
    return Counted(slots, *_count_open(session, sending_id))


def _add_accepted(session: Session, sending_id: int, slots: _Slots, now: datetime) -> None:
    at = _slot_of(session, Message.accepted_at)
    rows = session.execute(
        select(SendBatch.provider, at, func.count(), func.count().filter(Message.attempts > 0))
        .select_from(SendBatch)
        .join(Message, Message.batch_id == SendBatch.id)
        .where(
            SendBatch.sending_id == sending_id,
            SendBatch.token > 0,
            Message.state == MessageState.ACCEPTED.value,
            Message.accepted_at.is_not(None),
        )
        .group_by(SendBatch.provider, at)
    )
    for provider, slot, count, deferred in rows:
        _add(slots, provider, slot, now, transmitted=count, accepted=count, deferred=deferred)


def _add_reactions(session: Session, sending_id: int, slots: _Slots, now: datetime) -> None:
    """Bounces and complaints, a message once each, in the slot in which the mail went out."""

    def had(*kinds: str) -> ColumnElement[int]:
        return func.max(case((Event.kind.in_(kinds), 1), else_=0))

    kinds = (*_BOUNCES, EventKind.COMPLAINT.value)
    mail = (
        select(
            Event.message_id,
            had(EventKind.HARD_BOUNCE.value).label("hard"),
            had(EventKind.SOFT_BOUNCE.value).label("soft"),
            had(EventKind.COMPLAINT.value).label("complained"),
            had(*_BOUNCES).label("bounced"),
            func.min(Event.at).label("first_at"),
        )
        .where(Event.sending_id == sending_id, Event.kind.in_(kinds))
        .group_by(Event.message_id)
        .subquery("mail")
    )
    accepted = case((Message.state == MessageState.ACCEPTED.value, 1), else_=0)
    failed = case((Message.state == MessageState.FAILED.value, 1), else_=0)
    at = _slot_of(session, func.coalesce(Message.accepted_at, mail.c.first_at))
    sums = (
        func.sum(mail.c.hard),
        func.sum(mail.c.soft),
        func.sum(mail.c.complained),
        func.sum(mail.c.bounced * accepted),
        func.sum(mail.c.bounced * failed),
    )
    rows = session.execute(
        select(SendBatch.provider, at, *sums)
        .select_from(mail)
        .join(Message, Message.id == mail.c.message_id)
        .join(SendBatch, SendBatch.id == Message.batch_id)
        .where(Message.state.in_([MessageState.ACCEPTED.value, MessageState.FAILED.value]))
        .group_by(SendBatch.provider, at)
    )
    for provider, slot, hard, soft, complaints, later, refused in rows:
        _add(
            slots,
            provider,
            slot,
            now,
            transmitted=refused,
            hard=hard,
            soft=soft,
            complaints=complaints,
            bounced_later=later,
        )


def _add_left(session: Session, sending_id: int, since: datetime | None, slots: _Slots, now: datetime) -> None:
    """Who unsubscribed or withdrew through a mail of the sending (decision 0005); complaints count apart."""
    if since is None:
        return
    at = _slot_of(session, Message.accepted_at)
    rows = session.execute(
        select(SendBatch.provider, at, func.count(ConsentEvent.message_id.distinct()))
        .select_from(ConsentEvent)
        .join(Message, and_(Message.id == ConsentEvent.message_id, Message.sending_id == sending_id))
        .join(SendBatch, SendBatch.id == Message.batch_id)
        .where(
            sql(f"({LEFT})"),
            ConsentEvent.at >= since,
            ConsentEvent.channel != EventKind.COMPLAINT.value,
            Message.accepted_at.is_not(None),
        )
        .group_by(SendBatch.provider, at)
    )
    for provider, slot, count in rows:
        _add(slots, provider, slot, now, unsubscribed=count)


def _count_open(session: Session, sending_id: int) -> tuple[int, int]:
    """Return mails that wait for another try (they stand in batches of their own), and unknown ones."""
    mine = (
        select(func.count())
        .select_from(SendBatch)
        .join(Message, Message.batch_id == SendBatch.id)
        .where(SendBatch.sending_id == sending_id)
    )
    waiting = mine.where(
        SendBatch.state == BatchState.READY.value,
        SendBatch.token == 0,
        Message.state == MessageState.QUEUED.value,
        Message.attempts > 0,
    )
    unknown = mine.where(SendBatch.token > 0, Message.state == MessageState.UNKNOWN.value)
    return session.scalar(waiting) or 0, session.scalar(unknown) or 0


def _add(slots: _Slots, provider: str, epoch: int, now: datetime, **figures: int) -> None:
    row = slots.setdefault((provider, _slot(int(epoch), now)), dict.fromkeys(COLUMNS, 0))
    for name, count in figures.items():
        row[name] += int(count)


def _slot(epoch: int, now: datetime) -> datetime:
    at = datetime.fromtimestamp(epoch, UTC)
    return at if now - at < COARSE_AFTER else datetime.fromtimestamp(epoch - epoch % COARSE_SECONDS, UTC)


def _slot_of(session: Session, moment: SQLColumnExpression[Any]) -> ColumnElement[int]:
    """Return the beginning of an instant's slot in seconds since 1970, on both engines."""
    seconds: ColumnElement[int]
    if session.get_bind().dialect.name == "sqlite":
        seconds = cast(func.strftime("%s", moment), Integer)
    else:
        seconds = cast(func.floor(extract("epoch", moment)), BigInteger)
    return seconds - seconds % SLOT_SECONDS

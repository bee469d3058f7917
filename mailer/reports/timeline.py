"""Everything that happened with a person, newest first (FEATURES K6): mails, events, tasks, consent, segments."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, and_, func, or_, select, union_all
from sqlalchemy.orm import Session

from mailer.actions.queries import load_names
from mailer.schema.accounts import Staff
from mailer.schema.actions import ActionRun
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import ConsentEvent, Topic
from mailer.schema.contacts import Activity, Contact
from mailer.schema.content import ContentVersion, LinkAction, TrackedLink
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.followups import FollowUp
from mailer.schema.segments import Segment, SegmentEvent
from mailer.segments.visibility import Viewer, is_visible_to
from mailer.statuses import ActionKind, EventKind
from mailer.tracking.queries import HitEvidence, load_evidence

LIMIT = 100
Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


@dataclass(frozen=True)
class Entry:
    """One line of a timeline; `word` is its state, `starts_at` and `minutes` are of a meeting.

    `kind`: mail, event, task, consent, activity, segment, action or contact.
    """

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
    evidence: HitEvidence | None = None
    starts_at: datetime | None = None
    minutes: int | None = None
    id: int = 0


Key = tuple[datetime, str, int]
"""Where a page of the timeline ends: time, source and id of its last entry."""


@dataclass(frozen=True)
class Asked:
    """Whose entries, how many at most, and below which key."""

    contact: Contact
    limit: int
    before: Key | None
    viewer: Viewer | None


def list_timeline(
    session: Session,
    contact: Contact,
    *,
    kind: str = "",
    viewer: Viewer | None = None,
    before: Key | None = None,
    limit: int = LIMIT,
) -> list[Entry]:
    """Return entries of a contact, newest first, of one kind where `kind` is given, below the key `before`.

    Each source gives at most `limit` rows, events and activities by an index that ends in their time. Segments that
    `viewer` does not see are left out.
    """
    asked = Asked(contact, limit, before, viewer)
    found = [entry for name, source in _SOURCES.items() if kind in ("", name) for entry in source(session, asked)]
    return sorted(found, key=key_of, reverse=True)[:limit]


def key_of(entry: Entry) -> Key:
    """Return what orders entries: the newest first, and of one instant always in the same order."""
    return (entry.at, entry.kind, entry.id)


def _newest(query: Query, at: Any, number: Any, source: str, asked: Asked) -> Query:
    """Return `query` for the newest rows below the key; `at` and `number` are its time and id."""
    if asked.before is not None:
        last_at, last_source, last_id = asked.before
        if source < last_source:
            query = query.where(at <= last_at)
        elif source > last_source:
            query = query.where(at < last_at)
        else:
            query = query.where(or_(at < last_at, and_(at == last_at, number < last_id)))
    return query.order_by(at.desc(), number.desc()).limit(asked.limit)


def _mails(session: Session, asked: Asked) -> Iterator[Entry]:
    at = func.coalesce(Message.accepted_at, Message.gate_at, Sending.created_at)
    query = (
        select(Message, ContentVersion.subject, Campaign.name, Campaign.public_id, at)
        .join(Sending, Sending.id == Message.sending_id)
        .join(ContentVersion, ContentVersion.id == Sending.content_version_id)
        .outerjoin(Campaign, Campaign.sending_id == Sending.id)
        .where(Message.contact_id == asked.contact.id)
    )
    for message, subject, campaign, public_id, when in session.execute(_newest(query, at, Message.id, "mail", asked)):
        yield Entry(when, "mail", message.state, campaign or subject, message.reason, campaign=public_id, id=message.id)


def _events(session: Session, asked: Asked) -> Iterator[Entry]:
    """Read each kind by its own stretch of the index (contact, kind, at): one may have a hundred thousand rows."""
    stretches = [
        select(
            _newest(
                select(Event.id.label("id"), Event.at.label("at")).where(
                    Event.contact_id == asked.contact.id, Event.kind == kind.value
                ),
                Event.at, Event.id, "event", asked,
            ).subquery()
        )
        for kind in EventKind
    ]  # fmt: skip
    newest = union_all(*stretches).subquery()
    chosen = select(newest.c.id).order_by(newest.c.at.desc(), newest.c.id.desc()).limit(asked.limit)
    rows = session.execute(
        select(Event, TrackedLink.url, Campaign.name, Campaign.public_id)
        .outerjoin(TrackedLink, TrackedLink.id == Event.tracked_link_id)
        .outerjoin(Campaign, Campaign.sending_id == Event.sending_id)
        .where(Event.id.in_(chosen))
    ).all()
    evidence = load_evidence(session, [row[0] for row in rows])
    for event, url, campaign, public_id in rows:
        detail = " ".join(part for part in (event.code, event.reason if not event.hit_class else "") if part)
        yield Entry(
            event.at,
            "event",
            event.kind,
            url or campaign or "",
            detail,
            event.hit_class or "",
            campaign=public_id,
            evidence=evidence[event.id] if event.hit_class else None,
            id=event.id,
        )


def _tasks(session: Session, asked: Asked) -> Iterator[Entry]:
    at = func.coalesce(FollowUp.done_at, FollowUp.created_at)
    query = (
        select(FollowUp, func.coalesce(func.nullif(Staff.name, ""), Staff.email), at)
        .join(Staff, Staff.id == FollowUp.owner_id)
        .where(FollowUp.contact_id == asked.contact.id)
    )
    for task, owner, when in session.execute(_newest(query, at, FollowUp.id, "task", asked)):
        yield Entry(
            when, "task", task.status, task.title, owner, starts_at=task.starts_at, minutes=task.minutes, id=task.id
        )


def _consent(session: Session, asked: Asked) -> Iterator[Entry]:
    query = (
        select(ConsentEvent, Topic.name)
        .outerjoin(Topic, Topic.id == ConsentEvent.topic_id)
        .where(ConsentEvent.ledger_id == asked.contact.ledger_id)
    )
    for line, topic in session.execute(_newest(query, ConsentEvent.at, ConsentEvent.id, "consent", asked)):
        detail = ", ".join(part for part in (line.source, line.channel) if part)
        yield Entry(line.at, "consent", line.verdict, topic or line.permission or "", detail, id=line.id)


def _activities(session: Session, asked: Asked) -> Iterator[Entry]:
    query = select(Activity).where(Activity.contact_id == asked.contact.id)
    for row in session.scalars(_newest(query, Activity.at, Activity.id, "activity", asked)):
        told = row.note or _told(row.data)
        yield Entry(row.at, "activity", row.kind, told, "", "", row.amount, row.currency, id=row.id)


def _segments(session: Session, asked: Asked) -> Iterator[Entry]:
    """Entered and left, of watched segments."""
    query = (
        select(SegmentEvent, Segment.name, Segment.public_id)
        .join(Segment, Segment.id == SegmentEvent.segment_id)
        .where(SegmentEvent.contact_id == asked.contact.id, is_visible_to(asked.viewer))
    )
    for line, name, public_id in session.execute(_newest(query, SegmentEvent.at, SegmentEvent.id, "segment", asked)):
        cause = line.cause.partition(":")[0]
        yield Entry(line.at, "segment", line.kind, name, cause, segment=public_id, id=line.id)


def _actions(session: Session, asked: Asked) -> Iterator[Entry]:
    """What clicks of this person set off, other than tasks, which stand for themselves."""
    at = func.coalesce(ActionRun.done_at, ActionRun.hit_at)
    query = (
        select(ActionRun, LinkAction, at)
        .join(LinkAction, LinkAction.id == ActionRun.link_action_id)
        .where(ActionRun.contact_id == asked.contact.id, LinkAction.kind != ActionKind.FOLLOW_UP.value)
    )
    rows = session.execute(_newest(query, at, ActionRun.id, "action", asked)).all()
    names = load_names(session, [row[1] for row in rows])
    for run, action, when in rows:
        yield Entry(when, "action", run.state, action.kind, names.of(action.params), id=run.id)


def _added(_: Session, asked: Asked) -> Iterator[Entry]:
    entry = Entry(asked.contact.created_at, "contact", "contact_added", "")
    if asked.before is None or key_of(entry) < asked.before:
        yield entry


_SOURCES: dict[str, Callable[[Session, Asked], Iterator[Entry]]] = {
    "mail": _mails,
    "event": _events,
    "task": _tasks,
    "consent": _consent,
    "activity": _activities,
    "segment": _segments,
    "action": _actions,
    "contact": _added,
}


def _told(data: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in data.items())

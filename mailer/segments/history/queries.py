"""Reads of the history of watched segments. Never commits."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.contacts.search import match_people
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Address, Contact
from mailer.schema.segments import SegmentEvent, SegmentSize, SegmentWatch
from mailer.statuses import SegmentChange

PAGE = 1000


@dataclass(frozen=True)
class HistoryLine:
    """Somebody entered or left, as pages show it."""

    id: int
    at: datetime
    kind: SegmentChange
    cause: str
    contact_id: int
    contact: uuid.UUID
    name: str
    email: str | None
    by: str


def find_watch(session: Session, segment_id: int) -> SegmentWatch | None:
    """Return the watch of a segment; None where nobody watches it."""
    return session.get(SegmentWatch, segment_id)


def iter_events(session: Session, segment_id: int, after_id: int = 0, *, page: int = PAGE) -> Iterator[SegmentEvent]:
    """Yield what happened after the event `after_id`, oldest first, in keyset pages: what automations pull.

    Lines of one segment are written under the lock of its watch, so their ids grow in the order in which they become
    visible: none appears behind one that was seen.
    """
    of_segment = select(SegmentEvent).where(SegmentEvent.segment_id == segment_id).order_by(SegmentEvent.id)
    while True:
        rows = session.scalars(of_segment.where(SegmentEvent.id > after_id).limit(page)).all()
        yield from rows
        if len(rows) < page:
            return
        after_id = rows[-1].id


def list_events(
    session: Session,
    segment_id: int,
    *,
    kind: str = "",
    search: str = "",
    before_id: int | None = None,
    limit: int = 50,
) -> list[HistoryLine]:
    """Return lines, newest first, older than `before_id`; of one kind, of people whose address or name has `search`."""
    query = (
        select(
            SegmentEvent, Contact.public_id, Contact.first_name, Contact.last_name, Address.email,
            func.coalesce(func.nullif(Staff.name, ""), Staff.email, ""),
        )
        .join(Contact, Contact.id == SegmentEvent.contact_id)
        .outerjoin(Address, Address.id == Contact.address_id)
        .outerjoin(Staff, Staff.id == SegmentEvent.staff_id)
        .where(SegmentEvent.segment_id == segment_id)
        .order_by(SegmentEvent.id.desc())
        .limit(limit)
    )  # fmt: skip
    if kind in set(SegmentChange):
        query = query.where(SegmentEvent.kind == kind)
    if before_id is not None:
        query = query.where(SegmentEvent.id < before_id)
    query = query.where(*match_people(session, search, with_company=False))
    return [
        HistoryLine(
            event.id, event.at, SegmentChange(event.kind), event.cause, event.contact_id, public_id,
            f"{first} {last}".strip(), email, by,
        )
        for event, public_id, first, last, email, by in session.execute(query)
    ]  # fmt: skip


def count_events(session: Session, segment_id: int, since: datetime) -> tuple[int, int]:
    """Return how many entered and how many left since a time."""
    counted = select(
        func.count().filter(SegmentEvent.kind == SegmentChange.ENTERED.value),
        func.count().filter(SegmentEvent.kind == SegmentChange.LEFT.value),
    ).where(SegmentEvent.segment_id == segment_id, SegmentEvent.at >= since)
    entered, left = session.execute(counted).one()
    return entered, left


def list_sizes(session: Session, segment_id: int, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
    """Return the size each hour (over up to two days) or day from `since` to `until`; none before the first known."""
    of_segment = select(SegmentSize.at, SegmentSize.members).where(SegmentSize.segment_id == segment_id)
    rows = [
        (at, members)
        for at, members in session.execute(of_segment.where(SegmentSize.at >= since).order_by(SegmentSize.at))
    ]
    before = session.execute(of_segment.where(SegmentSize.at < since).order_by(SegmentSize.at.desc()).limit(1)).first()
    return _steps(rows, before[1] if before else None, since, until)


def _steps(
    rows: Sequence[tuple[datetime, int]], size: int | None, since: datetime, until: datetime
) -> list[tuple[datetime, int]]:
    """Return one value an hour or a day, the last that was known then. Pure."""
    step = timedelta(hours=1) if until - since <= timedelta(days=2) else timedelta(days=1)
    at = since.replace(minute=0, second=0, microsecond=0)
    found: list[tuple[datetime, int]] = []
    place = 0
    while at <= until:
        while place < len(rows) and rows[place][0] < at + step:
            size = rows[place][1]
            place += 1
        if size is not None:
            found.append((at, size))
        at += step
    return found

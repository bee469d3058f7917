"""Entered and left, recorded once: what is known of a watched segment changes together with the line that says so.

Everything here runs inside the caller's transaction and touches only those who came or went. The row of the watch is
the lock: a look and an edit of a static segment by hand take turns.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, literal, select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment, SegmentEvent, SegmentMember, SegmentWatch, SegmentWatchMember
from mailer.segments.chosen import insert_into, is_among
from mailer.statuses import SegmentChange, SegmentKind

_EVENT_COLUMNS = ("segment_id", "contact_id", "kind", "at", "cause", "staff_id")


def is_watched(session: Session, segment_id: int) -> bool:
    """Return whether a segment is watched; its watch is locked for the rest of this transaction then."""
    locked = select(SegmentWatch.segment_id).where(SegmentWatch.segment_id == segment_id).with_for_update()
    return session.scalar(locked) is not None


def record_entered(
    session: Session, segment: Segment, ids: Sequence[int], *, at: datetime, cause: str, is_told: bool = True
) -> int:
    """Record that those of `ids` who are not known yet entered; return how many they are. Safe to repeat.

    For a static segment those only who are on its list, with the time, cause and person of the list. `is_told` False
    makes them known without a line: they were members when the watch began.
    """
    who = (Contact.archived_at.is_(None), is_among(session, Contact.id, ids))
    columns: Any = (literal(segment.id), Contact.id)
    chosen: Select[Any] = select(*columns).where(*who)
    if segment.kind == SegmentKind.STATIC:
        chosen = chosen.join(SegmentMember, _is_on_list(segment.id, Contact.id))
    fresh = insert_into(session, SegmentWatchMember).from_select(["segment_id", "contact_id"], chosen)
    found = session.scalars(fresh.on_conflict_do_nothing().returning(SegmentWatchMember.contact_id)).all()
    if found and is_told:
        _tell_entered(session, segment, found, at, cause)
    return len(found)


def _tell_entered(session: Session, segment: Segment, ids: Sequence[int], at: datetime, cause: str) -> None:
    if segment.kind == SegmentKind.STATIC:
        columns: Any = (
            SegmentMember.segment_id,
            SegmentMember.contact_id,
            literal(SegmentChange.ENTERED.value),
            SegmentMember.added_at,
            SegmentMember.cause,
            SegmentMember.added_by,
        )
        whom = (SegmentMember.segment_id == segment.id, is_among(session, SegmentMember.contact_id, ids))
        lines = select(*columns).where(*whom).order_by(SegmentMember.added_at, SegmentMember.contact_id)
    else:
        lines = _lines(session, segment.id, SegmentChange.ENTERED, ids, at, cause, None)
    session.execute(insert_into(session, SegmentEvent).from_select(list(_EVENT_COLUMNS), lines))


def record_left(
    session: Session, segment: Segment, ids: Sequence[int], *, at: datetime, cause: str, by: int | None = None,
    is_told: bool = True,
) -> int:  # fmt: skip
    """Record that those of `ids` who are known left; return how many they are. Safe to repeat.

    For a static segment those only who are not on its list any more, or archived.
    """
    gone = delete(SegmentWatchMember).where(
        SegmentWatchMember.segment_id == segment.id, is_among(session, SegmentWatchMember.contact_id, ids)
    )
    if segment.kind == SegmentKind.STATIC:
        listed = select(SegmentMember.contact_id).join(Contact, Contact.id == SegmentMember.contact_id)
        stays = listed.where(_is_on_list(segment.id, SegmentWatchMember.contact_id), Contact.archived_at.is_(None))
        gone = gone.where(~exists(stays.correlate(SegmentWatchMember)))
    returning = gone.returning(SegmentWatchMember.contact_id).execution_options(synchronize_session=False)
    found = session.scalars(returning).all()
    if found and is_told:
        lines = _lines(session, segment.id, SegmentChange.LEFT, found, at, cause, by)
        session.execute(insert_into(session, SegmentEvent).from_select(list(_EVENT_COLUMNS), lines))
    return len(found)


def _is_on_list(segment_id: int, contact_id: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = (SegmentMember.segment_id == segment_id) & (SegmentMember.contact_id == contact_id)
    return condition


def _lines(
    session: Session, segment_id: int, kind: SegmentChange, ids: Sequence[int], at: datetime, cause: str, by: int | None
) -> Select[Any]:
    columns: tuple[Any, ...] = (
        literal(segment_id),
        Contact.id,
        literal(kind.value),
        literal(at, SegmentEvent.at.type),
        literal(cause[:100]),
        literal(by, SegmentEvent.staff_id.type),
    )
    return select(*columns).where(is_among(session, Contact.id, ids)).order_by(Contact.id)


def note_rule_change(session: Session, segment_ids: Sequence[int]) -> list[int]:
    """Note at the watches of these segments that a rule was edited; return those that are watched."""
    now = utc_now()
    watches = session.scalars(
        select(SegmentWatch)
        .where(SegmentWatch.segment_id.in_(segment_ids))
        .order_by(SegmentWatch.segment_id)
        .with_for_update()
    ).all()
    for watch in watches:
        watch.rule_changed_at, watch.due_at = now, now
    return [watch.segment_id for watch in watches]

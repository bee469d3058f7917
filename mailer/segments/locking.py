"""A segment by its id: to look at, or locked for a change. Never commits."""

from datetime import datetime

from sqlalchemy.orm import Session

from mailer.errors import ConflictError, NotFoundError
from mailer.schema.segments import Segment
from mailer.statuses import SegmentKind


def get_by_id(session: Session, segment_id: int) -> Segment:
    """Return a segment or raise NotFoundError."""
    segment = session.get(Segment, segment_id)
    if segment is None:
        raise NotFoundError("no such segment")
    return segment


def lock_segment(session: Session, segment_id: int) -> Segment:
    """Return a segment, locked for this transaction, or raise NotFoundError."""
    segment = session.get(Segment, segment_id, with_for_update=True)
    if segment is None:
        raise NotFoundError("no such segment")
    return segment


def lock_unchanged(session: Session, segment_id: int, version: datetime) -> Segment:
    """Return a segment, locked; ConflictError where it is static, or was changed since `version`."""
    segment = lock_segment(session, segment_id)
    require_not_static(segment)
    if segment.updated_at != version:
        raise ConflictError(f"{segment.name!r} was changed meanwhile", mend="look at it and try again")
    return segment


def require_not_static(segment: Segment) -> None:
    """Raise ConflictError where there is no rule to follow."""
    if segment.kind == SegmentKind.STATIC:
        raise ConflictError(f"{segment.name!r} is static already")

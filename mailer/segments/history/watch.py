"""Begin and end the watch of a segment. Its history stays when the watch ends."""

from sqlalchemy import delete, select

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, NotFoundError
from mailer.schema.segments import Segment, SegmentWatch, SegmentWatchMember
from mailer.segments.chosen import PAGE, count_written
from mailer.segments.jobs import LOOK


def watch(ctx: Context, segment_id: int, *, by: int | None = None) -> None:
    """Watch a segment from now on: who is in at the first look is known and did not enter. Safe to repeat.

    Raises:
        NotFoundError: no such segment.
        ConflictError: it is archived.
    """
    with ctx.write() as session:
        segment = session.get(Segment, segment_id, with_for_update=True)
        if segment is None:
            raise NotFoundError("no such segment")
        if segment.archived_at is not None:
            raise ConflictError(f"{segment.name!r} is archived", mend="bring it back first")
        if segment.is_watched:
            return
        now = utc_now()
        segment.is_watched = True
        session.add(SegmentWatch(segment_id=segment_id, since=now, due_at=now))
        record_audit(session, "segments.watch", by=by, subject=("segment", segment_id))
        ctx.ring(session, LOOK, segment_id)


def unwatch(ctx: Context, segment_id: int, *, by: int | None = None) -> None:
    """End the watch of a segment; what was recorded stays. Safe to repeat."""
    with ctx.write() as session:
        segment = session.get(Segment, segment_id, with_for_update=True)
        if segment is None:
            raise NotFoundError("no such segment")
        was_watched, segment.is_watched = segment.is_watched, False
        session.execute(delete(SegmentWatch).where(SegmentWatch.segment_id == segment_id))
        if was_watched:
            record_audit(session, "segments.unwatch", by=by, subject=("segment", segment_id))
    forget_known(ctx, segment_id)


def forget_known(ctx: Context, segment_id: int) -> None:
    """Forget who was in, in pieces; a new watch begins from nothing."""
    known = SegmentWatchMember.segment_id == segment_id
    while True:
        with ctx.write() as session:
            if session.get(SegmentWatch, segment_id) is not None:
                return  # somebody watches again
            piece = select(SegmentWatchMember.contact_id).where(known).limit(PAGE)
            gone = delete(SegmentWatchMember).where(known, SegmentWatchMember.contact_id.in_(piece))
            if count_written(session, gone) < PAGE:
                return

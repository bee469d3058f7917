"""Take segments out of lists, bring them back, delete them: never one that something works with."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.followups.service import forget_segment
from mailer.schema.segments import Segment, SegmentEvent
from mailer.segments import queries
from mailer.segments.chosen import PAGE, count_written
from mailer.segments.history.watch import unwatch
from mailer.segments.locking import get_by_id, lock_segment
from mailer.segments.rules import named_segments
from mailer.segments.uses import Use, forget_uses, list_uses
from mailer.statuses import SegmentKind

_SHOWN = 10


def archive_segment(ctx: Context, segment_id: int, *, is_archived: bool = True, by: int | None = None) -> Segment:
    """Take a segment out of lists, or bring it back; its watch ends. Safe to repeat.

    Raises:
        ConflictError: something still works with it, named; or it comes back and a segment that it asks about is
            archived.
    """
    with ctx.write() as session:
        segment = lock_segment(session, segment_id)
        if (segment.archived_at is not None) == is_archived:
            return segment
        if is_archived:
            _refuse_used(segment, [use for use in list_uses(session, segment_id) if use.is_active], "archived")
        else:
            _refuse_archived_parts(session, segment)
        segment.archived_at = utc_now() if is_archived else None
        action = "segments.archive" if is_archived else "segments.unarchive"
        record_audit(session, action, by=by, subject=("segment", segment_id), detail={"name": segment.name})
    if is_archived:
        unwatch(ctx, segment_id, by=by)
    return segment


def delete_segment(ctx: Context, segment_id: int, *, by: int | None = None) -> None:
    """Delete a segment that nobody uses, with its list and its history; its contacts and their tasks stay.

    Raises:
        ConflictError: names who uses it.
    """
    with ctx.read() as session:
        _refuse_used(get_by_id(session, segment_id), list_uses(session, segment_id), "deleted")
    unwatch(ctx, segment_id, by=by)
    _delete_history(ctx, segment_id)
    with ctx.write() as session:
        segment = lock_segment(session, segment_id)
        _refuse_used(segment, list_uses(session, segment_id), "deleted")
        forget_uses(session, "segment", segment_id)
        forget_segment(session, segment_id)
        record_audit(session, "segments.delete", by=by, subject=("segment", segment_id), detail={"name": segment.name})
        session.delete(segment)


def _delete_history(ctx: Context, segment_id: int) -> None:
    """Delete the lines of a history in pieces: a million at once would hold up everybody else."""
    told = SegmentEvent.segment_id == segment_id
    while True:
        with ctx.write() as session:
            piece = select(SegmentEvent.id).where(told).limit(PAGE)
            gone = delete(SegmentEvent).where(SegmentEvent.id.in_(piece))
            if count_written(session, gone) < PAGE:
                return


def _refuse_used(segment: Segment, uses: Sequence[Use], done: str) -> None:
    if not uses:
        return
    shown = ", ".join(map(str, uses[:_SHOWN])) + (f" and {len(uses) - _SHOWN} more" if len(uses) > _SHOWN else "")
    is_over = not any(use.is_active for use in uses)
    mend = "archive it instead" if is_over else "take it out there first"
    raise ConflictError(f"{segment.name!r} cannot be {done}: it is used by {shown}", mend=mend)


def _refuse_archived_parts(session: Session, segment: Segment) -> None:
    parts = list(queries.list_inputs(session, segment.id))
    if segment.kind == SegmentKind.DYNAMIC:
        named = named_segments(queries.read_rule(session, segment.rule))
        parts += [queries.get_segment(session, name) for name in named]
    archived = [part.name for part in parts if part.archived_at is not None]
    if archived:
        raise ConflictError(f"{segment.name!r} asks about {', '.join(archived)}", mend="bring that back first")

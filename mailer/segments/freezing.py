"""Turn a segment that follows a rule into one with a list: page by page, whole or not at all."""

from datetime import datetime

from sqlalchemy import delete, func, null, select

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment, SegmentInput, SegmentMember
from mailer.segments.chosen import PAGE, count_written, is_among, iter_member_pages
from mailer.segments.locking import get_by_id, lock_unchanged, require_not_static
from mailer.segments.members import insert_members
from mailer.segments.uses import forget_uses
from mailer.statuses import SegmentKind


def convert_to_static(ctx: Context, segment_id: int, *, by: int | None = None) -> Segment:
    """Freeze the current members of a dynamic or combined segment into a static one (FEATURES S13).

    The members are read from one snapshot and written page by page while the segment still follows its rule; only the
    last, short transaction makes it static. One that dies before leaves the segment as it was.

    Raises:
        ConflictError: it is static already, or somebody changed it meanwhile.
    """
    with ctx.read() as session:
        segment = get_by_id(session, segment_id)
        require_not_static(segment)
        version = segment.updated_at
    _forget_list(ctx, segment_id, version)
    frozen = 0
    for page in iter_member_pages(ctx, segment):
        with ctx.write() as session:
            lock_unchanged(session, segment_id, version)
            chosen = select(Contact.id).where(is_among(session, Contact.id, page))
            frozen += insert_members(session, segment_id, chosen, cause="converted", by=by)
    return _become_static(ctx, segment_id, version, frozen, by)


def _forget_list(ctx: Context, segment_id: int, version: datetime) -> None:
    """Take away what a conversion that died has written."""
    listed = SegmentMember.segment_id == segment_id
    while True:
        with ctx.write() as session:
            lock_unchanged(session, segment_id, version)
            piece = select(SegmentMember.contact_id).where(listed).limit(PAGE)
            gone = delete(SegmentMember).where(listed, SegmentMember.contact_id.in_(piece))
            if count_written(session, gone) < PAGE:
                return


def _become_static(ctx: Context, segment_id: int, version: datetime, frozen: int, by: int | None) -> Segment:
    with ctx.write() as session:
        segment = lock_unchanged(session, segment_id, version)
        listed = select(func.count()).select_from(SegmentMember).where(SegmentMember.segment_id == segment_id)
        if session.scalar(listed) != frozen:
            raise ConflictError(f"{segment.name!r} is being converted by somebody else", mend="look again in a moment")
        kind = segment.kind
        session.execute(delete(SegmentInput).where(SegmentInput.segment_id == segment.id))
        forget_uses(session, "segment", segment.id)
        segment.kind, segment.operation, segment.updated_at = SegmentKind.STATIC.value, None, utc_now()
        segment.rule = null()  # None would be the JSON value null
        detail = {"from": kind, "members": frozen}
        record_audit(session, "segments.convert", by=by, subject=("segment", segment.id), detail=detail)
        session.flush()
        session.refresh(segment)
    return segment

"""Who clicked a link becomes members of a static segment, page by page (FEATURES L5)."""

from sqlalchemy import select

from mailer.accounts.service import record_audit
from mailer.context import Context
from mailer.schema.delivery import Event
from mailer.segments import members
from mailer.segments.chosen import PAGE
from mailer.statuses import EventKind, HitClass


def add_clickers(ctx: Context, sending_id: int, link_id: int, segment_id: int, *, by: int | None = None) -> int:
    """Add the people who clicked a link of a sending to a static segment; return how many are new. Safe to repeat.

    Raises:
        NotFoundError: there is no such segment.
        ConflictError: it is not static.
    """
    added = after = 0
    while True:
        with ctx.write() as session:
            members.require_static(session, segment_id)
            ids = session.scalars(
                select(Event.contact_id)
                .where(
                    Event.sending_id == sending_id,
                    Event.kind == EventKind.CLICK.value,
                    Event.hit_class == HitClass.HUMAN.value,
                    Event.tracked_link_id == link_id,
                    Event.contact_id > after,
                )
                .distinct()
                .order_by(Event.contact_id)
                .limit(PAGE)
            ).all()
            found = [contact_id for contact_id in ids if contact_id is not None]
            if not found:
                break
            added += members.add_members(session, segment_id, found, cause=f"link:{link_id}", by=by)
            after = found[-1]
    with ctx.write() as session:
        record_audit(
            session, "actions.add_clickers", by=by, subject=("segment", segment_id), detail={"contacts": added}
        )
    return added

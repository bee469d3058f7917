"""Who uses a segment: recorded by rooms above, found in combined segments and rules; named and linked for people.

What uses a segment keeps it from being deleted; what still works with it keeps it from being archived, too: a draft or
running campaign, a link whose action has not ended, a segment that is not archived.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.schema.campaigns import Campaign
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Sending
from mailer.schema.segments import Segment, SegmentInput, SegmentUse
from mailer.statuses import SendingState

_OVER = (SendingState.FINISHED, SendingState.CANCELLED)


@dataclass(frozen=True)
class Use:
    """Somebody who uses a segment: `campaign` (its audience), `link_action` (a link of it), `segment` (rule or parts).

    `is_active`: it works with the segment now or may do so; a campaign that is over only tells of it.
    """

    kind: str
    id: int
    name: str = ""
    public_id: uuid.UUID | None = None
    is_active: bool = True

    def __str__(self) -> str:
        kind = {"link_action": "a link of campaign"}.get(self.kind, self.kind.replace("_", " "))
        return f"{kind} {self.name or self.id}"


def record_use(session: Session, segment_id: int, user_kind: str, user_id: int) -> None:
    """Record that somebody above uses a segment, so that it is not deleted under them. Safe to repeat."""
    if session.get(SegmentUse, (segment_id, user_kind, user_id)) is None:
        session.execute(insert(SegmentUse).values(segment_id=segment_id, user_kind=user_kind, user_id=user_id))


def record_uses(session: Session, segment_ids: Iterable[int], user_kind: str, user_id: int) -> None:
    """Record that somebody uses exactly these segments; what they used before is forgotten. Safe to repeat."""
    forget_uses(session, user_kind, user_id)
    for segment_id in set(segment_ids):
        record_use(session, segment_id, user_kind, user_id)


def forget_uses(session: Session, user_kind: str, user_id: int) -> None:
    """Record that somebody uses no segment any more. Safe to repeat."""
    session.execute(delete(SegmentUse).where(SegmentUse.user_kind == user_kind, SegmentUse.user_id == user_id))


def list_used(session: Session, user_kind: str, user_id: int) -> set[int]:
    """Return the ids of the segments that somebody uses, as recorded."""
    used = select(SegmentUse.segment_id).where(SegmentUse.user_kind == user_kind, SegmentUse.user_id == user_id)
    return set(session.scalars(used))


def list_uses(session: Session, segment_id: int) -> list[Use]:
    """Return who uses a segment: campaigns by audience and by links, other rooms, then segments; each by name."""
    recorded = session.execute(
        select(SegmentUse.user_kind, SegmentUse.user_id)
        .where(SegmentUse.segment_id == segment_id)
        .order_by(SegmentUse.user_kind, SegmentUse.user_id)
    ).all()
    by_kind: dict[str, list[int]] = {}
    for kind, number in recorded:
        by_kind.setdefault(kind, []).append(number)
    found = _list_campaigns(session, "campaign", by_kind.pop("campaign", []))
    found += _list_campaigns(session, "link_action", by_kind.pop("link_action", []))
    in_rules = by_kind.pop("segment", [])
    found += [Use(kind, number) for kind, numbers in by_kind.items() for number in numbers]
    return found + _list_segments(session, segment_id, in_rules)


def _list_campaigns(session: Session, kind: str, ids: list[int]) -> list[Use]:
    if not ids:
        return []
    state = func.coalesce(Sending.state, Campaign.status)
    acts = exists(
        select(LinkAction.id)
        .join(TrackedLink, TrackedLink.id == LinkAction.tracked_link_id)
        .where(TrackedLink.content_version_id == Sending.content_version_id, LinkAction.ends_at > utc_now())
        .correlate(Sending)
    )
    rows = session.execute(
        select(Campaign.id, Campaign.name, Campaign.public_id, Campaign.archived_at, state, acts)
        .outerjoin(Sending, Sending.id == Campaign.sending_id)
        .where(Campaign.id.in_(ids))
        .order_by(Campaign.name, Campaign.id)
    )
    found = []
    for number, name, public_id, archived_at, status, acts_still in rows:
        works = status not in _OVER or (kind == "link_action" and acts_still)
        found.append(Use(kind, number, name, public_id, works and archived_at is None))
    return found


def _list_segments(session: Session, segment_id: int, in_rules: list[int]) -> list[Use]:
    parts = select(SegmentInput.segment_id).where(SegmentInput.input_id == segment_id)
    rows = session.execute(
        select(Segment.id, Segment.name, Segment.public_id, Segment.archived_at)
        .where(Segment.id.in_(parts) | Segment.id.in_(in_rules))
        .order_by(Segment.name, Segment.id)
    )
    return [Use("segment", number, name, public_id, archived is None) for number, name, public_id, archived in rows]


def list_dependents(session: Session, segment_id: int) -> set[int]:
    """Return a segment and every segment that asks about it, however deep: who may change with it."""
    found, fresh = {segment_id}, {segment_id}
    while fresh:
        parts = select(SegmentInput.segment_id).where(SegmentInput.input_id.in_(fresh))
        rules = select(SegmentUse.user_id).where(SegmentUse.user_kind == "segment", SegmentUse.segment_id.in_(fresh))
        fresh = set(session.scalars(parts.union(rules))) - found
        found |= fresh
    return found

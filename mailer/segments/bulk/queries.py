"""Reads of bulk tasks and of what came of their contacts. Never commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.orm import Session

from mailer.errors import NotFoundError
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Address, Contact
from mailer.schema.segments import BulkMember, BulkTask, Segment
from mailer.segments.visibility import Viewer, is_visible_to
from mailer.statuses import BulkOutcome


@dataclass(frozen=True)
class BulkLine:
    """A contact of a task, as pages show it."""

    contact_id: int
    contact: uuid.UUID
    name: str
    email: str | None
    outcome: BulkOutcome
    reason: str


@dataclass(frozen=True)
class TaskLine:
    """A task as lists show it; `segment` is None where it was deleted since."""

    task: BulkTask
    segment: uuid.UUID | None
    by: str


def get_bulk_task(
    session: Session, public_id: uuid.UUID, viewer: Viewer | None = None, *, is_locked: bool = False
) -> BulkTask:
    """Return a task; NotFoundError also where `viewer` may not see its segment."""
    query = (
        select(BulkTask)
        .outerjoin(Segment, Segment.id == BulkTask.segment_id)
        .where(BulkTask.public_id == public_id, _is_visible(viewer))
    )
    found = session.scalar(query.with_for_update(of=BulkTask) if is_locked else query)
    if found is None:
        raise NotFoundError("no such bulk task")
    return found


def list_bulk_tasks(
    session: Session,
    viewer: Viewer | None,
    *,
    segment_id: int | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[TaskLine]:
    """Return tasks, newest first, older than `before_id`; of one segment where it is given."""
    query = (
        select(BulkTask, Segment.public_id, func.coalesce(func.nullif(Staff.name, ""), Staff.email, ""))
        .outerjoin(Segment, Segment.id == BulkTask.segment_id)
        .outerjoin(Staff, Staff.id == BulkTask.created_by)
        .where(_is_visible(viewer))
        .order_by(BulkTask.id.desc())
        .limit(limit)
    )
    if segment_id is not None:
        query = query.where(BulkTask.segment_id == segment_id)
    if before_id is not None:
        query = query.where(BulkTask.id < before_id)
    return [TaskLine(task, public_id, by) for task, public_id, by in session.execute(query)]


def _is_visible(viewer: Viewer | None) -> ColumnElement[bool]:
    """A task is seen by who sees its segment, and by who started it."""
    if viewer is None or viewer.is_admin:
        return true()
    return or_(Segment.id.is_not(None) & is_visible_to(viewer), BulkTask.created_by == viewer.staff_id)


def list_bulk_members(
    session: Session, task_id: int, *, outcome: str = "", after_id: int | None = None, limit: int = 50
) -> list[BulkLine]:
    """Return what came of the contacts of a task, by contact id, after `after_id`; of one outcome where it is given."""
    query = (
        select(BulkMember, Contact.public_id, Contact.first_name, Contact.last_name, Address.email)
        .join(Contact, Contact.id == BulkMember.contact_id)
        .outerjoin(Address, Address.id == Contact.address_id)
        .where(BulkMember.bulk_task_id == task_id, BulkMember.contact_id > (after_id or 0))
        .order_by(BulkMember.contact_id)
        .limit(limit)
    )
    if outcome in set(BulkOutcome):
        query = query.where(BulkMember.outcome == outcome)
    return [
        BulkLine(
            member.contact_id, public_id, f"{first} {last}".strip(), email, BulkOutcome(member.outcome), member.reason
        )
        for member, public_id, first, last, email in session.execute(query)
    ]


def count_skipped(session: Session, task_id: int) -> Sequence[tuple[str, int]]:
    """Return why contacts were skipped and how many, the most frequent reason first."""
    skipped = (BulkMember.bulk_task_id == task_id, BulkMember.outcome == BulkOutcome.SKIPPED.value)
    query = select(BulkMember.reason, func.count()).where(*skipped).group_by(BulkMember.reason)
    return [(reason, count) for reason, count in session.execute(query.order_by(func.count().desc()))]

"""Reads of follow-up tasks. Never commits."""

import uuid
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.errors import NotFoundError
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Company, Contact
from mailer.schema.followups import FollowUp
from mailer.statuses import FollowUpStatus


@dataclass(frozen=True)
class FollowUpLine:
    """A task as lists show it."""

    task: FollowUp
    contact: Contact
    company: str
    owner: str


def list_follow_ups(
    session: Session,
    *,
    owner_id: int | None = None,
    status: FollowUpStatus = FollowUpStatus.OPEN,
    after: tuple[date, int] | None = None,
    limit: int = 50,
) -> list[FollowUpLine]:
    """Return tasks by due date, in keyset pages: pass the last line's (due_on, id) as `after`."""
    query = (
        select(FollowUp, Contact, Company.name, func.coalesce(func.nullif(Staff.name, ""), Staff.email))
        .join(Contact, Contact.id == FollowUp.contact_id)
        .outerjoin(Company, Company.id == Contact.company_id)
        .join(Staff, Staff.id == FollowUp.owner_id)
        .where(FollowUp.status == status.value)
        .order_by(FollowUp.due_on, FollowUp.id)
        .limit(limit)
    )
    if owner_id is not None:
        query = query.where(FollowUp.owner_id == owner_id)
    if after is not None:
        due_on, task_id = after
        query = query.where((FollowUp.due_on > due_on) | ((FollowUp.due_on == due_on) & (FollowUp.id > task_id)))
    return [
        FollowUpLine(task, contact, company or "", owner) for task, contact, company, owner in session.execute(query)
    ]


def count_open(session: Session, today: date, *, owner_id: int | None = None) -> tuple[int, int]:
    """Return how many tasks are open and how many of them are due today or overdue."""
    query = select(func.count(), func.count().filter(FollowUp.due_on <= today)).where(
        FollowUp.status == FollowUpStatus.OPEN.value
    )
    if owner_id is not None:
        query = query.where(FollowUp.owner_id == owner_id)
    total, due = session.execute(query).one()
    return total, due


def get_follow_up(session: Session, public_id: uuid.UUID) -> FollowUp:
    """Return a task or raise NotFoundError."""
    task = session.scalars(select(FollowUp).where(FollowUp.public_id == public_id)).one_or_none()
    if task is None:
        raise NotFoundError("no such follow-up task")
    return task

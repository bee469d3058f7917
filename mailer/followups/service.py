"""Create, assign and close tasks. A task always has an owner (FEATURES F2)."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, Problem
from mailer.followups import queries
from mailer.ids import new_public_id
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Company, Contact
from mailer.schema.followups import FOLLOW_UP_KINDS, OUTCOMES, FollowUp
from mailer.statuses import FollowUpStatus, Role

_MONDAY_TO_FRIDAY = 5
_TITLE_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """What a task says. `owner_id`: a named owner; None: the owner chain decides."""

    title: str
    due_on: date
    kind: str = "to_do"
    note: str = ""
    owner_id: int | None = None
    source: str = ""
    segment_id: int | None = None
    tracked_link_id: int | None = None


def check_spec(spec: TaskSpec) -> None:
    """Raise InputError with everything that is wrong with a task."""
    problems = []
    if not spec.title.strip():
        problems.append(Problem("title", "a task needs a title"))
    if len(spec.title) > _TITLE_LIMIT:
        problems.append(Problem("title", f"longer than {_TITLE_LIMIT} characters"))
    if spec.kind not in FOLLOW_UP_KINDS:
        problems.append(Problem("kind", f"use one of {', '.join(FOLLOW_UP_KINDS)}"))
    if problems:
        raise InputError(problems)


def create_for_contact(session: Session, contact_id: int, spec: TaskSpec, *, dedupe_key: str | None = None) -> bool:
    """Create a task for one contact; False where `dedupe_key` shows that it exists."""
    return bool(_create(session, [contact_id], spec, lambda _: dedupe_key))


def create_for_contacts(session: Session, contact_ids: Sequence[int], spec: TaskSpec, *, occasion: str) -> list[int]:
    """Create a task for each contact and return those who got one.

    `occasion` names why: repeating the call with the same word creates nothing twice.
    """
    return _create(session, contact_ids, spec, lambda contact_id: f"bulk:{occasion}:{contact_id}")


def _create(
    session: Session, contact_ids: Sequence[int], spec: TaskSpec, key: Callable[[int], str | None]
) -> list[int]:
    check_spec(spec)
    fallback = default_owner(session)
    owners = session.execute(
        select(Contact.id, Contact.owner_id, Company.owner_id)
        .outerjoin(Company, Company.id == Contact.company_id)
        .where(Contact.id.in_(contact_ids))
        .order_by(Contact.id)
    ).all()
    now = utc_now()
    rows = [
        {
            "public_id": new_public_id(),
            "contact_id": contact_id,
            "owner_id": spec.owner_id or own or company or fallback,
            "title": spec.title.strip(),
            "kind": spec.kind,
            "note": spec.note,
            "due_on": spec.due_on,
            "status": FollowUpStatus.OPEN.value,
            "outcome": "",
            "source": spec.source,
            "segment_id": spec.segment_id,
            "tracked_link_id": spec.tracked_link_id,
            "dedupe_key": key(contact_id),
            "created_at": now,
        }
        for contact_id, own, company in owners
    ]
    if not rows:
        return []
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    added = session.scalars(dialect.insert(FollowUp).on_conflict_do_nothing().returning(FollowUp.contact_id), rows)
    return list(added.all())


def withdraw(session: Session, contact_ids: Sequence[int], source: str) -> list[int]:
    """Cancel the tasks of contacts that came from `source` and are still open; return whose were."""
    open_ones = (FollowUp.status == FollowUpStatus.OPEN.value, FollowUp.source == source)
    cancelled = (
        update(FollowUp)
        .where(FollowUp.contact_id.in_(contact_ids), *open_ones)
        .values(status=FollowUpStatus.CANCELLED.value, done_at=utc_now())
        .returning(FollowUp.contact_id)
    )
    return list(session.scalars(cancelled.execution_options(synchronize_session=False)))


def default_owner(session: Session) -> int:
    """Return who gets a task that nobody owns: the first salesperson, else the first of the staff.

    Raises:
        ConflictError: there is no staff at all.
    """
    staff = session.execute(select(Staff.id, Staff.role).where(Staff.archived_at.is_(None)).order_by(Staff.id)).all()
    if not staff:
        raise ConflictError(
            "there is nobody to give a task to", mend="create a user: mailer users create EMAIL --role sales"
        )
    return next((staff_id for staff_id, role in staff if role == Role.SALES), staff[0][0])


def complete(ctx: Context, public_id: uuid.UUID, outcome: str = "") -> FollowUp:
    """Close a task with an outcome; InputError for an unknown one."""
    if outcome not in OUTCOMES:
        raise InputError(f"use one of {', '.join(word for word in OUTCOMES if word)}", where="outcome")
    with ctx.write() as session:
        task = queries.get_follow_up(session, public_id)
        task.status, task.outcome, task.done_at = FollowUpStatus.DONE.value, outcome, utc_now()
    return task


def reopen(ctx: Context, public_id: uuid.UUID) -> FollowUp:
    """Open a closed task again."""
    with ctx.write() as session:
        task = queries.get_follow_up(session, public_id)
        task.status, task.outcome, task.done_at = FollowUpStatus.OPEN.value, "", None
    return task


def snooze(ctx: Context, public_id: uuid.UUID, due_on: date) -> FollowUp:
    """Move a task to another day."""
    with ctx.write() as session:
        task = queries.get_follow_up(session, public_id)
        task.due_on = due_on
    return task


def reassign(ctx: Context, public_id: uuid.UUID, owner_id: int) -> FollowUp:
    """Give a task to another member of staff."""
    with ctx.write() as session:
        task = queries.get_follow_up(session, public_id)
        task.owner_id = session.get_one(Staff, owner_id).id
    return task


def forget_segment(session: Session, segment_id: int) -> None:
    """Let tasks stay whose segment is about to be deleted."""
    session.execute(update(FollowUp).where(FollowUp.segment_id == segment_id).values(segment_id=None))


def add_working_days(start: date, days: int) -> date:
    """Return the day that is `days` working days (Monday to Friday) after `start`. Pure."""
    day = start
    while days > 0:
        day += timedelta(days=1)
        if day.weekday() < _MONDAY_TO_FRIDAY:
            days -= 1
    return day

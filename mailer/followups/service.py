"""Create, close, move and hand over tasks. A task always has an owner (FEATURES F2)."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import insert_into
from mailer.errors import InputError, NotFoundError, Problem
from mailer.followups.assignment import assign_owners
from mailer.followups.rules import Rules, save_rules
from mailer.followups.telling import choose_mode
from mailer.ids import new_public_id
from mailer.schema.accounts import Staff
from mailer.schema.followups import FOLLOW_UP_KINDS, OUTCOMES, FollowUp
from mailer.statuses import FollowUpStatus, TaskMail

_TITLE_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """What a task says. `owner_id`: a named owner; `group`: whose members get it in turn; else the owner chain."""

    title: str
    due_on: date
    kind: str = "to_do"
    note: str = ""
    owner_id: int | None = None
    group: str = ""
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
    owners = assign_owners(session, contact_ids, owner_id=spec.owner_id, group=spec.group)
    now = utc_now()
    rows = [
        {
            "public_id": new_public_id(),
            "contact_id": contact_id,
            "owner_id": owner_id,
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
        for contact_id, owner_id in owners
    ]
    if not rows:
        return []
    new = insert_into(session, FollowUp).on_conflict_do_nothing().returning(FollowUp.contact_id)
    return list(session.scalars(new, rows).all())


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


def create_by_hand(ctx: Context, contact_id: int, spec: TaskSpec, *, by: int | None = None) -> FollowUp:
    """Create a task for one contact as somebody typed it; who makes it for themselves is not told of it by mail."""
    key = f"hand:{uuid.uuid4()}"
    with ctx.write() as session:
        create_for_contact(session, contact_id, replace(spec, source="hand"), dedupe_key=key)
        task = session.scalars(select(FollowUp).where(FollowUp.dedupe_key == key)).one()
        task.told_at = utc_now() if task.owner_id == by else None
    return task


def complete(ctx: Context, public_ids: Sequence[uuid.UUID], outcome: str = "") -> int:
    """Close open tasks with an outcome and return how many; InputError for an unknown one."""
    if outcome not in OUTCOMES:
        raise InputError(f"use one of {', '.join(word for word in OUTCOMES if word)}", where="outcome")
    return _change(ctx, public_ids, {"status": FollowUpStatus.DONE.value, "outcome": outcome, "done_at": utc_now()})


def reopen(ctx: Context, public_ids: Sequence[uuid.UUID]) -> int:
    """Open closed tasks again."""
    opened = {"status": FollowUpStatus.OPEN.value, "outcome": "", "done_at": None}
    return _change(ctx, public_ids, opened, was=FollowUpStatus.DONE)


def snooze(ctx: Context, public_ids: Sequence[uuid.UUID], due_on: date) -> int:
    """Move open tasks to another day."""
    return _change(ctx, public_ids, {"due_on": due_on})


def reassign(ctx: Context, public_ids: Sequence[uuid.UUID], owner_id: int) -> int:
    """Give open tasks to another member of staff, who is told of them; NotFoundError where nobody has this id."""
    with ctx.read() as session:
        staff = session.get(Staff, owner_id)
    if staff is None or staff.archived_at is not None:
        raise NotFoundError("nobody of the staff", mend="choose a person of the list")
    return _change(ctx, public_ids, {"owner_id": owner_id, "told_at": None})


def _change(
    ctx: Context,
    public_ids: Sequence[uuid.UUID],
    values: Mapping[str, object],
    *,
    was: FollowUpStatus = FollowUpStatus.OPEN,
) -> int:
    """Change those of the tasks that are as they `was`; return how many. NotFoundError where none exists."""
    chosen = FollowUp.public_id.in_(public_ids)
    with ctx.write() as session:
        if session.scalar(select(FollowUp.id).where(chosen).limit(1)) is None:
            raise NotFoundError("no such follow-up task")
        statement = update(FollowUp).where(chosen, FollowUp.status == was.value).values(**values)
        changed = session.execute(statement, execution_options={"synchronize_session": False})
    return int(changed.rowcount)  # type: ignore[attr-defined]


def choose_mails(ctx: Context, staff_id: int, mode: str) -> None:
    """Set which mails about tasks a member of staff gets; InputError for an unknown choice."""
    if mode not in list(TaskMail):
        raise InputError(f"use one of {', '.join(TaskMail)}", where="mode")
    with ctx.write() as session:
        choose_mode(session, staff_id, TaskMail(mode))


def change_rules(ctx: Context, rules: Rules, *, by: int | None = None) -> None:
    """Set how tasks are shared out, audited; InputError where nobody is in the group or the owner has left."""
    with ctx.write() as session:
        save_rules(session, rules)
        detail = {"group": rules.group_name, "owner": rules.owner_id, "holidays": len(rules.holidays)}
        record_audit(session, "follow_ups.change_rules", by=by, detail=detail)


def forget_segment(session: Session, segment_id: int) -> None:
    """Let tasks stay whose segment is about to be deleted."""
    session.execute(update(FollowUp).where(FollowUp.segment_id == segment_id).values(segment_id=None))

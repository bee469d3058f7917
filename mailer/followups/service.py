"""Create, close, move and hand over tasks. A task always has an owner (FEATURES F2)."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import insert_into
from mailer.errors import ConflictError, InputError, NotFoundError, Problem
from mailer.followups.assignment import assign_owners
from mailer.followups.meetings import Clash, Planner, business_now, find_clash, lock_diaries
from mailer.followups.rules import Rules, save_rules
from mailer.followups.slots import DEFAULT_MINUTES, LEAST_MINUTES, MOST_MINUTES, Span, show_hour
from mailer.followups.telling import choose_mode
from mailer.ids import new_public_id
from mailer.schema.accounts import Staff
from mailer.schema.followups import FOLLOW_UP_KINDS, OUTCOMES, FollowUp
from mailer.statuses import FollowUpKind, FollowUpStatus, TaskMail

_TITLE_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """What a task says. `owner_id`: a named owner; `group`: whose members get it in turn; else the owner chain.

    A meeting begins at `starts_at`, or finds the first free hour of its owner on `due_on` or later, not before `now`
    (business time; the database knows it where it is not given).
    """

    title: str
    due_on: date
    kind: str = "to_do"
    starts_at: datetime | None = None
    minutes: int | None = None
    note: str = ""
    owner_id: int | None = None
    group: str = ""
    source: str = ""
    segment_id: int | None = None
    tracked_link_id: int | None = None
    now: datetime | None = None

    @property
    def is_meeting(self) -> bool:
        """Whether it has an hour."""
        return self.kind == FollowUpKind.MEETING

    @property
    def length(self) -> int:
        """How many minutes a meeting takes."""
        return DEFAULT_MINUTES if self.minutes is None else self.minutes


def check_spec(spec: TaskSpec) -> None:
    """Raise InputError with everything that is wrong with a task."""
    problems = []
    if not spec.title.strip():
        problems.append(Problem("title", "a task needs a title"))
    if len(spec.title) > _TITLE_LIMIT:
        problems.append(Problem("title", f"longer than {_TITLE_LIMIT} characters"))
    if spec.kind not in FOLLOW_UP_KINDS:
        problems.append(Problem("kind", f"use one of {', '.join(FOLLOW_UP_KINDS)}"))
    if not spec.is_meeting and (spec.starts_at is not None or spec.minutes is not None):
        problems.append(Problem("kind", "only a meeting has an hour and a length", "make it a meeting"))
    if not LEAST_MINUTES <= spec.length <= MOST_MINUTES:
        problems.append(Problem("minutes", f"a meeting takes from {LEAST_MINUTES} to {MOST_MINUTES} minutes"))
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
    wanted = _without_those_made(session, contact_ids, key)
    owners = assign_owners(session, wanted, owner_id=spec.owner_id, group=spec.group)
    times = _find_times(session, spec, owners)
    now = utc_now()
    rows = [
        {
            "public_id": new_public_id(),
            "contact_id": contact_id,
            "owner_id": owner_id,
            "title": spec.title.strip(),
            "kind": spec.kind,
            "note": spec.note,
            **dict(zip(("due_on", "starts_at", "ends_at"), times[contact_id], strict=True)),
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


def _without_those_made(session: Session, contact_ids: Sequence[int], key: Callable[[int], str | None]) -> list[int]:
    """Return those whose task is not there yet: a repeated cause takes nobody's turn and no hour of anybody's day."""
    keys = {contact_id: key(contact_id) for contact_id in contact_ids}
    named = [name for name in keys.values() if name is not None]
    made = set(session.scalars(select(FollowUp.dedupe_key).where(FollowUp.dedupe_key.in_(named))))
    return [contact_id for contact_id, name in keys.items() if name is None or name not in made]


_Time = tuple[date, datetime | None, datetime | None]


def _find_times(session: Session, spec: TaskSpec, owners: Sequence[tuple[int, int]]) -> dict[int, _Time]:
    """Return day, start and end of each contact's task; owners of meetings stay locked until the transaction ends."""
    if not spec.is_meeting:
        return {contact_id: (spec.due_on, None, None) for contact_id, _ in owners}
    planner = Planner(session, {owner_id for _, owner_id in owners}, spec.now or business_now(session))
    times: dict[int, _Time] = {}
    for contact_id, owner_id in owners:
        span = _span(planner, spec, owner_id)
        times[contact_id] = (planner.hours.day_of(span[0]), *span)
    return times


def _span(planner: Planner, spec: TaskSpec, owner_id: int) -> Span:
    if spec.starts_at is not None:
        return spec.starts_at, spec.starts_at + timedelta(minutes=spec.length)
    return planner.take(owner_id, spec.due_on, spec.length)


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
        create_for_contact(session, contact_id, replace(spec, source="hand", now=ctx.clock.now()), dedupe_key=key)
        task = session.scalars(select(FollowUp).where(FollowUp.dedupe_key == key)).one()
        task.told_at = utc_now() if task.owner_id == by else None
    return task


def complete(ctx: Context, public_ids: Sequence[uuid.UUID], outcome: str = "") -> int:
    """Close open tasks with an outcome and return how many; InputError for an unknown one."""
    if outcome not in OUTCOMES:
        raise InputError(f"use one of {', '.join(word for word in OUTCOMES if word)}", where="outcome")
    closed = {"status": FollowUpStatus.DONE.value, "outcome": outcome, "done_at": utc_now()}
    with ctx.write() as session:
        _require_any(session, public_ids)
        return _change(session, public_ids, closed)


def reopen(ctx: Context, public_ids: Sequence[uuid.UUID]) -> int:
    """Open closed tasks again."""
    opened = {"status": FollowUpStatus.OPEN.value, "outcome": "", "done_at": None}
    with ctx.write() as session:
        _require_any(session, public_ids)
        return _change(session, public_ids, opened, was=FollowUpStatus.DONE)


@dataclass(frozen=True)
class Moved:
    """How many open tasks were moved, and when those of them begin now that are meetings, in order."""

    count: int
    starts: Sequence[datetime] = ()


def snooze(ctx: Context, public_ids: Sequence[uuid.UUID], due_on: date) -> Moved:
    """Move open tasks to another day; a meeting goes to the first free hour of its owner on that day or later.

    Raises:
        NotFoundError: there is no such task.
        ConflictError: somebody has no hour free within a year; then nothing is moved.
    """
    with ctx.write() as session:
        tasks = _lock_open(session, public_ids)
        meetings = _meetings(tasks)
        owners = {task.owner_id for task in meetings}
        planner = Planner(session, owners, ctx.clock.now(), without=[task.id for task in meetings])
        for task in tasks:
            task.due_on = due_on
        for task in meetings:
            span = planner.take(task.owner_id, due_on, task.minutes or DEFAULT_MINUTES)
            task.due_on, (task.starts_at, task.ends_at) = planner.hours.day_of(span[0]), span
    return Moved(len(tasks), sorted(task.starts_at for task in meetings if task.starts_at))


@dataclass(frozen=True)
class Handed:
    """How many open tasks were handed over, and the meetings among them that overlap others of the new owner."""

    count: int
    clashes: Sequence[Clash] = ()


def reassign(ctx: Context, public_ids: Sequence[uuid.UUID], owner_id: int) -> Handed:
    """Give open tasks to another member of staff, who is told of them; a meeting keeps its hour.

    NotFoundError where nobody has this id, or there is no such task.
    """
    with ctx.write() as session:
        staff = session.get(Staff, owner_id)
        if staff is None or staff.archived_at is not None:
            raise NotFoundError("nobody of the staff", mend="choose a person of the list")
        tasks = _lock_open(session, public_ids)
        lock_diaries(session, [owner_id])
        for task in tasks:
            task.owner_id, task.told_at = owner_id, None
        session.flush()
        found = [find_clash(session, task, ctx.clock.now()) for task in _meetings(tasks)]
    return Handed(len(tasks), [clash for clash in found if clash is not None])


def edit(ctx: Context, public_id: uuid.UUID, spec: TaskSpec) -> Clash | None:
    """Write title, kind, note and time of `spec` over those of an open task; return what a meeting overlaps then.

    A meeting without `starts_at` goes to the first free hour of its owner on `due_on` or later.

    Raises:
        InputError: as `check_spec`.
        NotFoundError: there is no such task.
        ConflictError: it is closed, or its owner has no hour free within a year.
    """
    check_spec(spec)
    with ctx.write() as session:
        task = session.scalar(select(FollowUp).where(FollowUp.public_id == public_id).with_for_update())
        if task is None:
            raise NotFoundError("no such follow-up task")
        if task.status != FollowUpStatus.OPEN:
            raise ConflictError("the task is closed", mend="open it again first")
        task.title, task.kind, task.note, task.due_on = spec.title.strip(), spec.kind, spec.note, spec.due_on
        task.starts_at = task.ends_at = None
        if spec.is_meeting:
            planner = Planner(session, [task.owner_id], ctx.clock.now(), without=[task.id])
            span = _span(planner, spec, task.owner_id)
            task.due_on, (task.starts_at, task.ends_at) = planner.hours.day_of(span[0]), span
        session.flush()
        return find_clash(session, task, ctx.clock.now())


def _lock_open(session: Session, public_ids: Sequence[uuid.UUID]) -> list[FollowUp]:
    """Return those of the tasks that are open, locked by id: tasks before people, wherever both are locked."""
    _require_any(session, public_ids)
    chosen = (FollowUp.public_id.in_(public_ids), FollowUp.status == FollowUpStatus.OPEN.value)
    query = select(FollowUp).where(*chosen).order_by(FollowUp.id)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def _meetings(tasks: Sequence[FollowUp]) -> list[FollowUp]:
    """Return those that have an hour, the first one first."""
    return sorted(
        (task for task in tasks if task.starts_at), key=lambda task: (task.starts_at or task.created_at, task.id)
    )


def _require_any(session: Session, public_ids: Sequence[uuid.UUID]) -> None:
    if session.scalar(select(FollowUp.id).where(FollowUp.public_id.in_(public_ids)).limit(1)) is None:
        raise NotFoundError("no such follow-up task")


def _change(
    session: Session,
    public_ids: Sequence[uuid.UUID],
    values: Mapping[str, object],
    *,
    was: FollowUpStatus = FollowUpStatus.OPEN,
) -> int:
    """Change those of the tasks that are as they `was`; return how many."""
    chosen = (FollowUp.public_id.in_(public_ids), FollowUp.status == was.value)
    statement = update(FollowUp).where(*chosen).values(**values)
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
        detail = {
            "group": rules.group_name,
            "owner": rules.owner_id,
            "holidays": len(rules.holidays),
            "hours": f"{show_hour(rules.day_starts)}-{show_hour(rules.day_ends)}",
        }
        record_audit(session, "follow_ups.change_rules", by=by, detail=detail)


def forget_segment(session: Session, segment_id: int) -> None:
    """Let tasks stay whose segment is about to be deleted."""
    session.execute(update(FollowUp).where(FollowUp.segment_id == segment_id).values(segment_id=None))

"""Meetings in people's diaries: the first free hour, what overlaps.

Whoever looks for a free hour locks the person first: the diary is read by a statement after the lock, so it shows what
others have committed meanwhile, and two meetings never find the same hour (docs/decisions/0032-one-diary-at-a-time.md).
By hand, people may overlap what they like; they are told.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.errors import ConflictError
from mailer.followups.calendar import Calendar
from mailer.followups.rules import find_rules
from mailer.followups.slots import DEFAULT_MINUTES, MOST_MINUTES, Diary, Hours, Span
from mailer.schema.accounts import Staff
from mailer.schema.followups import FollowUp
from mailer.statuses import FollowUpStatus
from mailer.workspace.queries import get_clock_offset, get_workspace


def find_hours(session: Session) -> Hours:
    """Return when people of the workspace work."""
    rules = find_rules(session)
    return Hours(Calendar(frozenset(rules.holidays)), get_workspace(session).timezone, rules.day_starts, rules.day_ends)


def business_now(session: Session) -> datetime:
    """Return the business time, for those who have no context."""
    return utc_now() + get_clock_offset(session)


def lock_diaries(session: Session, owner_ids: Iterable[int]) -> None:
    """Keep others from finding hours of these people until the transaction ends; always in the same order.

    Rows that refer to a person are not held up: their check is content with a weaker lock.
    """
    people = select(Staff.id).where(Staff.id.in_(set(owner_ids))).order_by(Staff.id)
    session.execute(people.with_for_update(key_share=True)).all()


def load_diary(session: Session, owner_id: int, since: datetime, *, without: Collection[int] = ()) -> Diary:
    """Return what of a person's time is taken since then by open meetings, those of `without` left out."""
    query = select(FollowUp.starts_at, FollowUp.ends_at).where(*_in_diary(owner_id), FollowUp.ends_at > since)
    query = query.where(FollowUp.starts_at > since - timedelta(minutes=MOST_MINUTES))
    if without:
        query = query.where(FollowUp.id.not_in(without))
    return Diary((start, end) for start, end in session.execute(query) if start and end)


def _in_diary(owner_id: int):  # type: ignore[no-untyped-def]
    is_open = FollowUp.status == FollowUpStatus.OPEN.value
    return FollowUp.owner_id == owner_id, is_open, FollowUp.starts_at.is_not(None)


class Planner:
    """Gives meetings their hours, one after the other; the diaries of those concerned stay locked."""

    def __init__(
        self, session: Session, owner_ids: Collection[int], now: datetime, *, without: Collection[int] = ()
    ) -> None:
        """Lock the diaries of `owner_ids`; the meetings `without` are about to move. `now`: business time."""
        lock_diaries(session, owner_ids)
        self._session, self._now = session, now
        self._diaries = {one: load_diary(session, one, self._now, without=without) for one in set(owner_ids)}
        self.hours = find_hours(session)

    def take(self, owner_id: int, from_day: date, minutes: int) -> Span:
        """Return the first free hour of a person on a day or later, and take it; ConflictError where there is none."""
        span = self._diaries[owner_id].find_free(self.hours, from_day, minutes, self._now)
        if span is None:
            raise _full(self._session.get_one(Staff, owner_id), minutes)
        self._diaries[owner_id].add(span)
        return span


def _full(owner: Staff, minutes: int) -> ConflictError:
    return ConflictError(
        f"{owner.name or owner.email} has no {minutes} minutes free within a year",
        mend="name another owner, a shorter meeting or longer working days",
    )


@dataclass(frozen=True)
class Clash:
    """A meeting that overlaps others of its owner, and the owner's first free hour from that day on."""

    task: FollowUp
    others: Sequence[FollowUp]
    free: Span | None


def find_clash(session: Session, task: FollowUp, now: datetime) -> Clash | None:
    """Return what an open meeting overlaps; None where it overlaps nothing. `now`: business time."""
    if task.starts_at is None or task.ends_at is None or task.status != FollowUpStatus.OPEN:
        return None
    others = session.scalars(
        select(FollowUp)
        .where(
            *_in_diary(task.owner_id),
            FollowUp.id != task.id,
            FollowUp.starts_at < task.ends_at,
            FollowUp.starts_at > task.starts_at - timedelta(minutes=MOST_MINUTES),
            FollowUp.ends_at > task.starts_at,
        )
        .order_by(FollowUp.starts_at, FollowUp.id)
    ).all()
    return Clash(task, others, _find_free(session, task, now)) if others else None


def _find_free(session: Session, task: FollowUp, now: datetime) -> Span | None:
    """Return where a meeting would go if it looked for a free hour of its owner from its own day on."""
    diary = load_diary(session, task.owner_id, now, without=[task.id])
    return diary.find_free(find_hours(session), task.due_on, task.minutes or DEFAULT_MINUTES, now)

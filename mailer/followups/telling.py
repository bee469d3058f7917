"""Whom to tell of their tasks by mail, and what: new ones within a minute by choice, the rest each morning (F4).

A mail names no person: copies of it lie in mailboxes that an erasure does not reach. So it counts, and says by what
title those are called that a link, a segment or a form made for many; what was typed by hand is counted only. Meetings
stand there with their hours.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, literal, select, update
from sqlalchemy.orm import Session

from mailer.database import insert_into
from mailer.followups.calendar import Calendar
from mailer.followups.rules import find_calendar
from mailer.schema.accounts import Staff
from mailer.schema.followups import FollowUp, FollowUpMail
from mailer.statuses import FollowUpStatus, TaskMail

MORNING_HOUR = 7
BY_HAND = "hand"
_MOST_LINES = 20
_OPEN = FollowUp.status == FollowUpStatus.OPEN.value


@dataclass(frozen=True)
class MeetingLine:
    """A meeting: when it starts on the clocks of whom it is told, how long it takes, its title; empty if by hand."""

    starts: datetime
    minutes: int
    title: str


@dataclass(frozen=True)
class Summary:
    """What one mail says. `new`: (title, how many), the most first; `by_hand`: new ones typed by hand.

    `meetings`: those of the day, in a morning's mail; `new_meetings`: those that are new. Neither is in `new` again.
    """

    staff_id: int
    email: str
    is_morning: bool
    overdue: int
    today: int
    new: Sequence[tuple[str, int]]
    by_hand: int
    meetings: Sequence[MeetingLine] = ()
    new_meetings: Sequence[MeetingLine] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.overdue or self.today or self.new or self.by_hand or self.meetings or self.new_meetings)


@dataclass(frozen=True)
class _Turn:
    """A member of staff for whom it is time; `local`: on their own clocks."""

    staff: Staff
    local: datetime
    is_morning: bool

    @property
    def day(self) -> date:
        """Their day."""
        return self.local.date()


def has_turns(session: Session, now: datetime, zone: str) -> bool:
    """Whether there is somebody to tell now; read before a writer's lock is taken. `zone`: of who has none."""
    return bool(_list_turns(session, now, zone))


def take_turns(session: Session, now: datetime, zone: str) -> list[Summary]:
    """Return what is to be told now and note that it was told: the same transaction has to send it."""
    summaries = []
    for turn in _list_turns(session, now, zone, is_locked=True):
        fresh = session.execute(
            update(FollowUp)
            .where(FollowUp.owner_id == turn.staff.id, FollowUp.told_at.is_(None), _OPEN)
            .values(told_at=now)
            .returning(FollowUp.title, FollowUp.source, FollowUp.starts_at, FollowUp.ends_at),
            execution_options={"synchronize_session": False},
        ).all()
        overdue, today = _count_due(session, turn) if turn.is_morning else (0, 0)
        fresh = sorted(fresh, key=lambda row: (row[2] is None, row[2] or now))
        shown = sum(start is not None for _, _, start, _ in fresh[:_MOST_LINES])
        new_meetings, rest = _read_meetings(turn, fresh[:shown]), fresh[shown:]
        titles = Counter(title for title, source, _, _ in rest if source != BY_HAND)
        summary = Summary(
            turn.staff.id,
            turn.staff.email,
            turn.is_morning,
            overdue,
            today,
            titles.most_common(_MOST_LINES),
            len(rest) - titles.total(),
            _list_meetings(session, turn) if turn.is_morning else (),
            new_meetings,
        )
        if turn.is_morning:
            session.get_one(FollowUpMail, turn.staff.id).morning = turn.day
        summaries += [] if summary.is_empty else [summary]
    return summaries


def _list_turns(session: Session, now: datetime, zone: str, *, is_locked: bool = False) -> list[_Turn]:
    if is_locked:
        _lock(session)
    calendar = find_calendar(session)
    untold = set(session.scalars(select(FollowUp.owner_id).where(FollowUp.told_at.is_(None), _OPEN).distinct()))
    rows = session.execute(
        select(Staff, FollowUpMail.mode, FollowUpMail.morning)
        .outerjoin(FollowUpMail, FollowUpMail.staff_id == Staff.id)
        .where(Staff.archived_at.is_(None))
        .order_by(Staff.id)
    )
    turns = []
    for staff, mode, morning in rows:
        local = now.astimezone(ZoneInfo(staff.timezone or zone))
        is_morning = _is_morning(local, morning, calendar)
        if mode != TaskMail.NONE and (is_morning or (mode == TaskMail.EACH and staff.id in untold)):
            turns.append(_Turn(staff, local, is_morning))
    return turns


def _is_morning(local: datetime, last: date | None, calendar: Calendar) -> bool:
    return local.hour >= MORNING_HOUR and last != local.date() and calendar.is_working_day(local.date())


def _lock(session: Session) -> None:
    """Let one at a time tell: whoever waited sees what was told meanwhile."""
    everybody = select(Staff.id, literal(TaskMail.DAILY.value)).where(Staff.archived_at.is_(None))
    session.execute(
        insert_into(session, FollowUpMail).from_select(["staff_id", "mode"], everybody).on_conflict_do_nothing()
    )
    session.execute(select(FollowUpMail.staff_id).order_by(FollowUpMail.staff_id).with_for_update()).all()


def _list_meetings(session: Session, turn: _Turn) -> list[MeetingLine]:
    """Return the meetings of somebody's day that are not over, the first one first."""
    midnight = datetime.combine(turn.day + timedelta(days=1), time(), turn.local.tzinfo)
    query = (
        select(FollowUp.title, FollowUp.source, FollowUp.starts_at, FollowUp.ends_at)
        .where(FollowUp.owner_id == turn.staff.id, _OPEN)
        .where(FollowUp.starts_at < midnight, FollowUp.ends_at > turn.local)
        .order_by(FollowUp.starts_at, FollowUp.id)
        .limit(_MOST_LINES)
    )
    return _read_meetings(turn, session.execute(query).all())


def _read_meetings(turn: _Turn, rows: Iterable[Any]) -> list[MeetingLine]:
    """Return those of (title, source, start, end) that have an hour, by their start."""
    zone, lines = turn.local.tzinfo, []
    for title, source, start, end in rows:
        if start is not None:
            minutes = round((end - start) / timedelta(minutes=1))
            lines.append(MeetingLine(start.astimezone(zone), minutes, "" if source == BY_HAND else title))
    return sorted(lines, key=lambda line: line.starts)


def _count_due(session: Session, turn: _Turn) -> tuple[int, int]:
    """Return how many are overdue, and how many more are due this day."""
    is_over = case((FollowUp.ends_at.is_not(None), FollowUp.ends_at <= turn.local), else_=FollowUp.due_on < turn.day)
    counted = select(func.count().filter(is_over), func.count().filter(~is_over, FollowUp.due_on == turn.day)).where(
        FollowUp.owner_id == turn.staff.id, _OPEN, FollowUp.due_on <= turn.day
    )
    overdue, today = session.execute(counted).one()
    return overdue, today


def find_mode(session: Session, staff_id: int) -> TaskMail:
    """Return which mails a member of staff wants."""
    row = session.get(FollowUpMail, staff_id)
    return TaskMail(row.mode) if row else TaskMail.DAILY


def choose_mode(session: Session, staff_id: int, mode: TaskMail) -> None:
    """Set which mails a member of staff wants."""
    row = session.get(FollowUpMail, staff_id, with_for_update=True) or FollowUpMail(staff_id=staff_id)
    row.mode = mode.value
    session.add(row)

"""How a workspace shares tasks out: the end of the owner chain, its holidays and the hours of its working days."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.errors import InputError, Problem
from mailer.followups.calendar import Calendar
from mailer.followups.slots import check_hours
from mailer.schema.accounts import Staff
from mailer.schema.followups import FollowUpRules


@dataclass(frozen=True)
class Rules:
    """`group_name`: whose members get in turn what nobody owns, empty for none; `owner_id`: who gets it else.

    `day_starts` and `day_ends` of a working day: minutes after midnight, in the workspace's zone.
    """

    group_name: str = ""
    owner_id: int | None = None
    holidays: Sequence[date] = field(default_factory=tuple)
    day_starts: int = 9 * 60
    day_ends: int = 17 * 60


def find_rules(session: Session) -> Rules:
    """Return the rules; those of a new workspace where nobody has set any."""
    row = session.get(FollowUpRules, 1)
    if row is None:
        return Rules()
    holidays = tuple(date.fromisoformat(day) for day in row.holidays)
    return Rules(row.group_name, row.owner_id, holidays, row.day_starts, row.day_ends)


def find_calendar(session: Session) -> Calendar:
    """Return the workspace's working days."""
    return Calendar(frozenset(find_rules(session).holidays))


def save_rules(session: Session, rules: Rules) -> None:
    """Set the rules; InputError where nobody is in the group, the owner has left, or a day ends before it begins."""
    problems = check_hours(rules.day_starts, rules.day_ends)
    active = select(Staff.id).where(Staff.archived_at.is_(None))
    if rules.group_name and session.scalar(active.where(Staff.group_name == rules.group_name).limit(1)) is None:
        problems.append(Problem("group_name", f"nobody works in the group {rules.group_name!r}"))
    if rules.owner_id is not None and session.scalar(active.where(Staff.id == rules.owner_id)) is None:
        problems.append(Problem("owner_id", "nobody of the staff"))
    if problems:
        raise InputError(problems)
    row = session.get(FollowUpRules, 1, with_for_update=True) or FollowUpRules(id=1)
    row.group_name, row.owner_id = rules.group_name, rules.owner_id
    row.holidays = [day.isoformat() for day in rules.holidays]
    row.day_starts, row.day_ends = rules.day_starts, rules.day_ends
    session.add(row)

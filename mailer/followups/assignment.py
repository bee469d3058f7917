"""Who gets a task: the contact's owner, the company's, a group in turn, the workspace's own, never nobody (F2).

Who has left the staff gets none: the chain goes on.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.database import insert_into
from mailer.errors import ConflictError, InputError
from mailer.followups.rules import find_rules
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Company, Contact
from mailer.schema.followups import FollowUpTurn
from mailer.statuses import Role


def assign_owners(
    session: Session, contact_ids: Sequence[int], *, owner_id: int | None = None, group: str = ""
) -> list[tuple[int, int]]:
    """Return (contact id, owner id) by contact id, for contacts that exist. A named owner or group goes before all.

    Raises:
        ConflictError: there is no staff at all.
        InputError: nobody works in the named group.
    """
    rows = session.execute(
        select(Contact.id, Contact.owner_id, Company.owner_id)
        .outerjoin(Company, Company.id == Contact.company_id)
        .where(Contact.id.in_(contact_ids))
        .order_by(Contact.id)
    ).all()
    there = set(session.scalars(select(Staff.id).where(Staff.archived_at.is_(None))))
    if owner_id in there and owner_id is not None:
        return [(contact_id, owner_id) for contact_id, _, _ in rows]
    if group:
        turns = deal(session, group, len(rows))
        if rows and not turns:
            raise InputError(f"nobody works in the group {group!r}", where="owner", mend="name another, or a person")
        return [(row[0], turn) for row, turn in zip(rows, turns, strict=True)]
    owners = [own if own in there else company if company in there else None for _, own, company in rows]
    rest = _find_rest(session, there, owners.count(None))
    return [(row[0], owner or next(rest)) for row, owner in zip(rows, owners, strict=True)]


def _find_rest(session: Session, there: set[int], count: int) -> Iterator[int]:
    """Yield an owner for each of `count` tasks that nobody owns."""
    if not count:
        return iter(())
    rules = find_rules(session)
    turns = deal(session, rules.group_name, count) if rules.group_name else []
    if turns:
        return iter(turns)
    return repeat(rules.owner_id if rules.owner_id in there and rules.owner_id else default_owner(session))


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


def deal(session: Session, group: str, count: int) -> list[int]:
    """Return `count` members of a group in turn, and remember whose turn is next; none where nobody is in it."""
    members = session.scalars(
        select(Staff.id).where(Staff.group_name == group, Staff.archived_at.is_(None)).order_by(Staff.id)
    ).all()
    if not members or not count:
        return []
    first = {"group_name": group, "staff_id": members[-1]}
    session.execute(insert_into(session, FollowUpTurn).on_conflict_do_nothing(), first)
    turn = session.scalars(select(FollowUpTurn).where(FollowUpTurn.group_name == group).with_for_update()).one()
    later = [number for number in members if number > turn.staff_id]
    order = [*later, *members[: len(members) - len(later)]]
    dealt = [order[at % len(order)] for at in range(count)]
    turn.staff_id = dealt[-1]
    return dealt

"""Reads of the people in a segment, as its page lists them. Never commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, literal, null
from sqlalchemy.orm import Session

from mailer.contacts.search import match_people
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Address, Company, Contact
from mailer.schema.segments import Segment, SegmentMember
from mailer.segments.patience import SECONDS, at_most
from mailer.segments.queries import Source, members_select
from mailer.statuses import SegmentKind


@dataclass(frozen=True)
class MemberLine:
    """A member as pages show it; of static segments also who added it, when and why."""

    id: int
    public_id: uuid.UUID
    email: str | None
    first_name: str
    last_name: str
    company: str
    country: str
    added_at: datetime | None = None
    added_by: int | None = None
    added_by_name: str = ""
    cause: str = ""

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


def list_member_lines(
    session: Session, source: Source, today: date, *, search: str = "", before_id: int | None = None, limit: int = 50
) -> list[MemberLine]:
    """Return members, the newest contacts first, in keyset pages; `search` looks at address, names and company.

    Raises:
        TooCostlyError: it takes too long to find them.
    """
    is_static = isinstance(source, Segment) and source.kind == SegmentKind.STATIC
    columns: list[Any] = [
        Contact.id, Contact.public_id, Address.email, Contact.first_name, Contact.last_name,
        func.coalesce(Company.name, ""), Contact.country,
    ]  # fmt: skip
    columns += _added_columns() if is_static else [null(), null(), literal(""), literal("")]
    query = members_select(session, source, today).with_only_columns(*columns, maintain_column_froms=True)
    query = query.outerjoin(Address, Address.id == Contact.address_id)
    query = query.outerjoin(Company, Company.id == Contact.company_id)
    if is_static:
        query = query.outerjoin(Staff, Staff.id == SegmentMember.added_by)
    key = SegmentMember.contact_id if is_static else Contact.id  # a list is read in its own order, not sorted whole
    if before_id is not None:
        query = query.where(key < before_id)
    with at_most(session, SECONDS):
        found = query.where(*match_people(session, search)).order_by(key.desc()).limit(limit)
        rows = session.execute(found).all()
    return [MemberLine(*row) for row in rows]


def _added_columns() -> Sequence[Any]:
    who = func.coalesce(func.nullif(Staff.name, ""), Staff.email, "")
    return [SegmentMember.added_at, SegmentMember.added_by, who, SegmentMember.cause]

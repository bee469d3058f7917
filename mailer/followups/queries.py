"""Reads of follow-up tasks. Never commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Select, exists, func, nulls_last, select
from sqlalchemy.orm import Session, aliased

from mailer.errors import NotFoundError
from mailer.schema.accounts import Staff
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Company, Contact
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Sending
from mailer.schema.followups import FollowUp
from mailer.statuses import FollowUpStatus

_OWNER_NAME = func.coalesce(func.nullif(Staff.name, ""), Staff.email)


@dataclass(frozen=True)
class FollowUpLine:
    """A task as lists show it; `overlaps`: it is a meeting at the same time as another one of its owner's."""

    task: FollowUp
    contact: Contact
    company: str
    owner: str
    overlaps: bool = False

    def is_overdue(self, now: datetime, today: date) -> bool:
        """Whether its time has passed: of a meeting with its end, of others with their day."""
        if self.task.ends_at is not None:
            return self.task.ends_at <= now
        return self.task.due_on < today


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which tasks; what is None does not matter. `group`: its members own them; `due_by`: due then or before."""

    status: FollowUpStatus = FollowUpStatus.OPEN
    owner_id: int | None = None
    group: str | None = None
    campaign_id: int | None = None
    link_id: int | None = None
    due_by: date | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a task must be."""
        wanted: list[ColumnElement[bool]] = [FollowUp.status == self.status.value]
        if self.owner_id is not None:
            wanted.append(FollowUp.owner_id == self.owner_id)
        if self.group is not None:
            wanted.append(FollowUp.owner_id.in_(select(Staff.id).where(Staff.group_name == self.group)))
        if self.campaign_id is not None:
            wanted.append(FollowUp.tracked_link_id.in_(_links_of(self.campaign_id)))
        if self.link_id is not None:
            wanted.append(FollowUp.tracked_link_id == self.link_id)
        if self.due_by is not None:
            wanted.append(FollowUp.due_on <= self.due_by)
        return wanted


def _links_of(campaign_id: int) -> Select[int]:
    return (
        select(TrackedLink.id)
        .join(Sending, Sending.content_version_id == TrackedLink.content_version_id)
        .join(Campaign, Campaign.sending_id == Sending.id)
        .where(Campaign.id == campaign_id)
    )


Key = tuple[date, datetime | None, int]
"""Where a page of tasks ends: day, start and id of its last one."""


def key_of(line: FollowUpLine) -> Key:
    """Return what orders tasks: by day, meetings by their start before what has no hour."""
    return (line.task.due_on, line.task.starts_at, line.task.id)


def list_follow_ups(
    session: Session, wanted: Filter | None = None, *, after: Key | None = None, limit: int = 50
) -> list[FollowUpLine]:
    """Return tasks by day, its meetings by their start first, in keyset pages: pass the last line's `key_of`."""
    order = (FollowUp.due_on, nulls_last(FollowUp.starts_at), FollowUp.id)
    query = _lines().where(*(wanted or Filter()).conditions()).order_by(*order).limit(limit)
    if after is not None:
        query = query.where(_is_after(after))
    return [FollowUpLine(*row) for row in session.execute(query)]


def _is_after(key: Key) -> ColumnElement[bool]:
    due_on, starts_at, task_id = key
    if starts_at is None:
        later = FollowUp.starts_at.is_(None) & (FollowUp.id > task_id)
    else:
        same = (FollowUp.starts_at == starts_at) & (FollowUp.id > task_id)
        later = FollowUp.starts_at.is_(None) | (FollowUp.starts_at > starts_at) | same
    return (FollowUp.due_on > due_on) | ((FollowUp.due_on == due_on) & later)


def get_line(session: Session, public_id: uuid.UUID) -> FollowUpLine:
    """Return a task as lists show it, or raise NotFoundError."""
    row = session.execute(_lines().where(FollowUp.public_id == public_id)).one_or_none()
    if row is None:
        raise NotFoundError("no such follow-up task")
    return FollowUpLine(*row)


def _lines() -> Select[FollowUp, Contact, str, str, bool]:
    other = aliased(FollowUp)
    open_word = FollowUpStatus.OPEN.value
    overlaps = exists().where(
        FollowUp.status == open_word,
        other.owner_id == FollowUp.owner_id,
        other.status == open_word,
        other.starts_at < FollowUp.ends_at,
        other.ends_at > FollowUp.starts_at,
        other.id != FollowUp.id,
    )
    return (
        select(FollowUp, Contact, func.coalesce(Company.name, ""), _OWNER_NAME, overlaps)
        .join(Contact, Contact.id == FollowUp.contact_id)
        .outerjoin(Company, Company.id == Contact.company_id)
        .join(Staff, Staff.id == FollowUp.owner_id)
    )


def count_open(session: Session, today: date, wanted: Filter | None = None) -> tuple[int, int]:
    """Return how many tasks are open and how many of them are due today or overdue."""
    query = select(func.count(), func.count().filter(FollowUp.due_on <= today))
    total, due = session.execute(query.where(*(wanted or Filter()).conditions())).one()
    return total, due


@dataclass(frozen=True)
class Origin:
    """A link of a campaign that made tasks."""

    campaign_id: int
    campaign: str
    link_id: int
    link: str


def list_origins(session: Session, *, limit: int = 100) -> Sequence[Origin]:
    """Return the links whose clicks made tasks, those of the newest campaigns first."""
    made = select(FollowUp.id).where(FollowUp.tracked_link_id == TrackedLink.id).exists()
    query = (
        select(
            Campaign.id,
            Campaign.name,
            TrackedLink.id,
            func.coalesce(func.nullif(TrackedLink.label, ""), TrackedLink.url),
        )
        .join(Sending, Sending.id == Campaign.sending_id)
        .join(TrackedLink, TrackedLink.content_version_id == Sending.content_version_id)
        .where(made)
        .order_by(Campaign.id.desc(), TrackedLink.ordinal)
        .limit(limit)
    )
    return [Origin(*row) for row in session.execute(query)]

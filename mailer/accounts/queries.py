"""Reads of staff and of the audit."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.errors import NotFoundError
from mailer.schema.accounts import AuditEvent, Staff


def find_staff(session: Session, email: str) -> Staff | None:
    """Return the member of staff with this address, archived or not."""
    return session.scalar(select(Staff).where(Staff.email == email.strip().lower()))


def find_staff_by_id(session: Session, staff_id: int) -> Staff | None:
    """Return an active member of staff by id."""
    return session.scalar(select(Staff).where(Staff.id == staff_id, Staff.archived_at.is_(None)))


def get_staff(session: Session, public_id: uuid.UUID) -> Staff:
    """Return a member of staff or raise NotFoundError."""
    staff = session.scalar(select(Staff).where(Staff.public_id == public_id))
    if staff is None:
        raise NotFoundError("no such member of staff")
    return staff


def list_staff(session: Session, *, with_archived: bool = False) -> Sequence[Staff]:
    """Return the staff by name, then address."""
    found = select(Staff).order_by(Staff.name, Staff.email)
    return session.scalars(found if with_archived else found.where(Staff.archived_at.is_(None))).all()


def list_groups(session: Session) -> Sequence[str]:
    """Return the names of the groups that somebody works in."""
    in_use = select(Staff.group_name).where(Staff.group_name != "", Staff.archived_at.is_(None)).distinct()
    return session.scalars(in_use.order_by(Staff.group_name)).all()


def list_audit(session: Session, *, before_id: int | None = None, limit: int = 50) -> Sequence[AuditEvent]:
    """Return audit lines, newest first, older than `before_id`."""
    found = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    return session.scalars(found if before_id is None else found.where(AuditEvent.id < before_id)).all()

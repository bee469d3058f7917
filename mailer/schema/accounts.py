"""Staff and what they did. Owned by accounts/."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String

from mailer.schema.base import Base, Big, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import Role


class Staff(Base):
    """A person who signs in. `session_version` grows with each password change and ends every session.

    `group_name`: the group they work in, empty for none.
    """

    __tablename__ = "staff"
    __table_args__ = (one_of("role", Role),)

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    role: Mapped[Word]
    group_name: Mapped[str] = mapped_column(String(100), default="", server_default="")
    password_hash: Mapped[str] = mapped_column(String(200))
    session_version: Mapped[int] = mapped_column(default=1)
    must_change_password: Mapped[bool] = mapped_column(default=True)
    timezone: Mapped[str] = mapped_column(String(64), default="")
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    last_login_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class AuditEvent(Base):
    """Who did what, when. `staff_id` is NULL for commands and background work; `actor` says which."""

    __tablename__ = "audit_event"
    __table_args__ = (Index("ix_audit_event_subject", "subject_kind", "subject_id", "id"),)

    id: Mapped[Id]
    at: Mapped[datetime]
    staff_id: Mapped[Big | None] = mapped_column(refers("staff.id"))
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(100))
    subject_kind: Mapped[str] = mapped_column(String(40), default="")
    subject_id: Mapped[Big | None]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)

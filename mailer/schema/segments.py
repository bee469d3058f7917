"""Saved audiences. Owned by segments/."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, Text

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import SegmentKind, SegmentOperation

VISIBILITIES = ("all", "private")


class Segment(Base):
    """A static set, a stored rule, or a set operation over other segments."""

    __tablename__ = "segment"
    __table_args__ = (
        one_of("kind", SegmentKind),
        one_of("operation", SegmentOperation),
        one_of("visibility", VISIBILITIES),
        CheckConstraint("(kind = 'dynamic') = (rule IS NOT NULL)", name="rule"),
        CheckConstraint("(kind = 'combined') = (operation IS NOT NULL)", name="combined"),
        Index("ix_segment_name", "name"),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    kind: Mapped[Word]
    rule: Mapped[dict[str, Any] | None]
    operation: Mapped[Word | None]
    visibility: Mapped[Word] = mapped_column(default="all")
    is_watched: Mapped[bool] = mapped_column(default=False)
    owner_id: Mapped[Big | None] = mapped_column(refers("staff.id"))
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class SegmentMember(Base):
    """A member of a static segment, and who added it, when and why."""

    __tablename__ = "segment_member"
    __table_args__ = (Index("ix_segment_member_contact_id", "contact_id"),)

    segment_id: Mapped[int] = mapped_column(BigInt, refers("segment.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigInt, refers("contact.id", ondelete="CASCADE"), primary_key=True)
    added_at: Mapped[datetime]
    added_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    cause: Mapped[str] = mapped_column(String(100), default="")


class SegmentInput(Base):
    """An operand of a combined segment; `ordinal` counts from 0."""

    __tablename__ = "segment_input"
    __table_args__ = (Index("ix_segment_input_input_id", "input_id"),)

    segment_id: Mapped[int] = mapped_column(BigInt, refers("segment.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    input_id: Mapped[int] = mapped_column(BigInt, refers("segment.id"))


class SegmentUse(Base):
    """Who uses a segment, recorded through its service by rooms above."""

    __tablename__ = "segment_use"

    segment_id: Mapped[int] = mapped_column(BigInt, refers("segment.id"), primary_key=True)
    user_kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)

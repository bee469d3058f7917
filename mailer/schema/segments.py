"""Saved audiences, the history of watched ones, and bulk tasks on their members. Owned by segments/."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, Text

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import BulkKind, BulkOutcome, BulkStatus, SegmentChange, SegmentKind, SegmentOperation

VISIBILITIES = ("all", "private")


class Segment(Base):
    """A static set, a stored rule, or a set operation over other segments.

    A private one is seen by its owner, by admins and by the staff of the group `group_name` where that is not empty.
    """

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
    group_name: Mapped[str] = mapped_column(String(100), default="", server_default="")
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


class SegmentWatch(Base):
    """The look-out on a watched segment: who looks now, when somebody looked last, what the next look is to know.

    `token` grows with each look, so that a look which was given up for dead writes nothing any more. `is_ready` says
    that the members at the start are all known. `rule_changed_at` is the last edit of a rule that no look has seen.
    """

    __tablename__ = "segment_watch"
    __table_args__ = (Index("ix_segment_watch_due_at", "due_at"),)

    segment_id: Mapped[int] = mapped_column(BigInt, refers("segment.id", ondelete="CASCADE"), primary_key=True)
    since: Mapped[datetime]
    is_ready: Mapped[bool] = mapped_column(default=False)
    members: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    looked_at: Mapped[datetime | None]
    rule_changed_at: Mapped[datetime | None]
    token: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(Text, default="")


class SegmentWatchMember(Base):
    """Somebody who was a member of a watched segment at the last look."""

    __tablename__ = "segment_watch_member"
    __table_args__ = (Index("ix_segment_watch_member_contact_id", "contact_id"),)

    segment_id: Mapped[int] = mapped_column(BigInt, refers("segment.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigInt, refers("contact.id", ondelete="CASCADE"), primary_key=True)


class SegmentEvent(Base):
    """Somebody entered or left a watched segment. `cause` is in the words of docs/reference/segment-history.md."""

    __tablename__ = "segment_event"
    __table_args__ = (
        one_of("kind", SegmentChange),
        Index("ix_segment_event_segment_id", "segment_id", "id"),
        Index("ix_segment_event_contact_id", "contact_id", "id"),
    )

    id: Mapped[Id]
    segment_id: Mapped[Big] = mapped_column(refers("segment.id", ondelete="CASCADE"))
    contact_id: Mapped[Big] = mapped_column(refers("contact.id", ondelete="CASCADE"))
    kind: Mapped[Word]
    at: Mapped[datetime]
    cause: Mapped[str] = mapped_column(String(100), default="")
    staff_id: Mapped[Big | None] = mapped_column(refers("staff.id"))


class SegmentSize(Base):
    """How many members a watched segment had at the end of the hour that begins at `at`; no change, no row."""

    __tablename__ = "segment_size"

    segment_id: Mapped[int] = mapped_column(BigInt, refers("segment.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    members: Mapped[int]


class BulkTask(Base):
    """Something that is done to every member of a segment: its members are fixed at the start, its cursor moves on.

    `cursor` is the highest contact id done with in the present status; `token` and `leased_until` say who works on it.
    """

    __tablename__ = "bulk_task"
    __table_args__ = (
        one_of("kind", BulkKind),
        one_of("status", BulkStatus),
        Index("ix_bulk_task_status", "status", "id"),
        Index("ix_bulk_task_segment_id", "segment_id", "id"),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    segment_id: Mapped[Big | None] = mapped_column(refers("segment.id", ondelete="SET NULL"))
    segment_name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[Word]
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[Word]
    error: Mapped[str] = mapped_column(Text, default="")
    cursor: Mapped[Big] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    changed_count: Mapped[int] = mapped_column(default=0)
    unchanged_count: Mapped[int] = mapped_column(default=0)
    skipped_count: Mapped[int] = mapped_column(default=0)
    undone_count: Mapped[int] = mapped_column(default=0)
    kept_count: Mapped[int] = mapped_column(default=0)
    token: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    created_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    undone_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    forgotten_at: Mapped[datetime | None]


class BulkMember(Base):
    """A contact of a bulk task, what came of it, and the value before as JSON text or as it stood; NULL for none."""

    __tablename__ = "bulk_member"
    __table_args__ = (one_of("outcome", BulkOutcome), Index("ix_bulk_member_contact_id", "contact_id"))

    bulk_task_id: Mapped[int] = mapped_column(BigInt, refers("bulk_task.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigInt, refers("contact.id", ondelete="CASCADE"), primary_key=True)
    outcome: Mapped[Word] = mapped_column(default=BulkOutcome.WAITING)
    reason: Mapped[Word] = mapped_column(default="")
    before: Mapped[str | None] = mapped_column(Text)

"""Tasks for people. Owned by followups/."""

from datetime import date, datetime

from sqlalchemy import Index, String, Text

from mailer.schema.base import Base, Big, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import FollowUpKind, FollowUpOutcome, FollowUpStatus

FOLLOW_UP_KINDS = tuple(FollowUpKind)
OUTCOMES = (*FollowUpOutcome, "")


class FollowUp(Base):
    """A task about a contact; `dedupe_key` keeps a repeated cause from making it twice."""

    __tablename__ = "follow_up"
    __table_args__ = (
        one_of("status", FollowUpStatus),
        one_of("kind", FOLLOW_UP_KINDS),
        one_of("outcome", OUTCOMES),
        Index("ix_follow_up_owner", "owner_id", "status", "due_on", "id"),
        Index("ix_follow_up_contact_id", "contact_id"),
        Index("ix_follow_up_due", "status", "due_on", "id"),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    contact_id: Mapped[Big] = mapped_column(refers("contact.id", ondelete="CASCADE"))
    owner_id: Mapped[Big] = mapped_column(refers("staff.id"))
    title: Mapped[str] = mapped_column(String(200))
    kind: Mapped[Word] = mapped_column(default="to_do")
    note: Mapped[str] = mapped_column(Text, default="")
    due_on: Mapped[date]
    status: Mapped[Word] = mapped_column(default=FollowUpStatus.OPEN)
    outcome: Mapped[Word] = mapped_column(default="")
    source: Mapped[str] = mapped_column(String(100), default="")
    tracked_link_id: Mapped[Big | None] = mapped_column(refers("tracked_link.id"))
    segment_id: Mapped[Big | None] = mapped_column(refers("segment.id"))
    dedupe_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]

"""Tasks for people, and how they are shared out. Owned by followups/; `follow_up_mail` by notices/."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, Text, text

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import FollowUpKind, FollowUpOutcome, FollowUpStatus, TaskMail

FOLLOW_UP_KINDS = tuple(FollowUpKind)
OUTCOMES = (*FollowUpOutcome, "")
_UNTOLD = "told_at IS NULL AND status = 'open'"
_IN_DIARY = "starts_at IS NOT NULL AND status = 'open'"
DAY_MINUTES = 24 * 60


class FollowUp(Base):
    """A task about a contact; `dedupe_key` keeps a repeated cause from making it twice.

    `told_at`: when its owner was told of it by mail, NULL until then and again when it is handed over. `starts_at` and
    `ends_at`: of a meeting with an hour; then `due_on` is the day on which it starts, in the workspace's zone.
    """

    __tablename__ = "follow_up"
    __table_args__ = (
        one_of("status", FollowUpStatus),
        one_of("kind", FOLLOW_UP_KINDS),
        one_of("outcome", OUTCOMES),
        CheckConstraint(
            "(starts_at IS NULL AND ends_at IS NULL) OR (starts_at < ends_at AND kind = 'meeting')", name="hours"
        ),
        Index("ix_follow_up_owner", "owner_id", "status", "due_on", "id"),
        Index("ix_follow_up_contact_id", "contact_id"),
        Index("ix_follow_up_due", "status", "due_on", "id"),
        Index(
            "ix_follow_up_diary",
            "owner_id",
            "starts_at",
            sqlite_where=text(_IN_DIARY),
            postgresql_where=text(_IN_DIARY),
        ),
        Index("ix_follow_up_untold", "owner_id", "id", sqlite_where=text(_UNTOLD), postgresql_where=text(_UNTOLD)),
        Index(
            "ix_follow_up_tracked_link_id",
            "tracked_link_id",
            sqlite_where=text("tracked_link_id IS NOT NULL"),
            postgresql_where=text("tracked_link_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    contact_id: Mapped[Big] = mapped_column(refers("contact.id", ondelete="CASCADE"))
    owner_id: Mapped[Big] = mapped_column(refers("staff.id"))
    title: Mapped[str] = mapped_column(String(200))
    kind: Mapped[Word] = mapped_column(default="to_do")
    note: Mapped[str] = mapped_column(Text, default="")
    due_on: Mapped[date]
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    status: Mapped[Word] = mapped_column(default=FollowUpStatus.OPEN)
    outcome: Mapped[Word] = mapped_column(default="")
    source: Mapped[str] = mapped_column(String(100), default="")
    tracked_link_id: Mapped[Big | None] = mapped_column(refers("tracked_link.id"))
    segment_id: Mapped[Big | None] = mapped_column(refers("segment.id"))
    dedupe_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]

    @property
    def minutes(self) -> int | None:
        """How long a meeting with an hour takes."""
        if self.starts_at is None or self.ends_at is None:
            return None
        return int((self.ends_at - self.starts_at) / timedelta(minutes=1))


class FollowUpRules(Base):
    """The one row of how tasks are shared out: the end of the owner chain, days without work, the hours of the others.

    `holidays`: ISO dates; `day_starts` and `day_ends`: minutes after midnight on the clocks of the workspace's zone. A
    workspace without the row has neither group, owner nor holidays.
    """

    __tablename__ = "follow_up_rules"
    __table_args__ = (
        CheckConstraint("id = 1", name="single"),
        CheckConstraint(f"0 <= day_starts AND day_starts < day_ends AND day_ends <= {DAY_MINUTES}", name="hours"),
    )

    id: Mapped[Id]
    group_name: Mapped[str] = mapped_column(String(100), default="")
    owner_id: Mapped[Big | None] = mapped_column(refers("staff.id"))
    holidays: Mapped[list[Any]] = mapped_column(default=list)
    day_starts: Mapped[int] = mapped_column(default=9 * 60, server_default="540")
    day_ends: Mapped[int] = mapped_column(default=17 * 60, server_default="1020")


class FollowUpTurn(Base):
    """Who of a group got its last task, so that the next one goes to the next person."""

    __tablename__ = "follow_up_turn"

    group_name: Mapped[str] = mapped_column(String(100), primary_key=True)
    staff_id: Mapped[Big] = mapped_column(refers("staff.id"))


class FollowUpMail(Base):
    """Which mails about tasks a member of staff wants; no row: one each working morning. `morning`: of the last."""

    __tablename__ = "follow_up_mail"
    __table_args__ = (one_of("mode", TaskMail),)

    staff_id: Mapped[int] = mapped_column(BigInt, refers("staff.id"), primary_key=True)
    mode: Mapped[Word] = mapped_column(default=TaskMail.DAILY)
    morning: Mapped[date | None]

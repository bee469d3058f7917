"""Sign-up forms, their wordings, and who signs up. Owned by forms/.

Until a sign-up is confirmed its address, answers and origin lie here and nowhere else; a background job deletes them
after 30 days. Once it is confirmed they move to the contact and to the evidence of the ledger, and are blank here.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, Text, UniqueConstraint, text

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import FormState, SignUpRefusal, SignUpStatus

WITHOUT_REASON = (*SignUpRefusal, "")


class Form(Base):
    """A form. `fields`, `topic_ids`, `look`, `sites` and `actions` are as forms/spec.py has them.

    `confirmed_count` is what `closes_after` limits; it is raised by the very statement that looks at the limit.
    `version_id` is the frozen confirmation mail, made anew where `version_key` no longer names what it is made of.
    """

    __tablename__ = "form"
    __table_args__ = (
        one_of("state", FormState),
        CheckConstraint("closes_after IS NULL OR confirmed_count <= closes_after", name="places"),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[Word] = mapped_column(default=FormState.DRAFT)
    is_double: Mapped[bool] = mapped_column(default=True)
    sender_id: Mapped[Big | None] = mapped_column(refers("sender.id"))
    fields: Mapped[list[Any]] = mapped_column(default=list)
    topic_ids: Mapped[list[Any]] = mapped_column(default=list)
    look: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sites: Mapped[list[Any]] = mapped_column(default=list)
    actions: Mapped[list[Any]] = mapped_column(default=list)
    closes_at: Mapped[datetime | None]
    closes_after: Mapped[int | None]
    confirmed_count: Mapped[int] = mapped_column(default=0)
    version_id: Mapped[Big | None] = mapped_column(refers("content_version.id"))
    version_key: Mapped[str] = mapped_column(String(64), default="")
    tripped_at: Mapped[datetime | None]
    created_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def is_open_at(self, now: datetime) -> bool:
        """Whether the form takes sign-ups at a business time: open, not archived, its time not over, a place left."""
        return (
            self.state == FormState.OPEN
            and self.archived_at is None
            and (self.closes_at is None or now < self.closes_at)
            and (self.closes_after is None or self.confirmed_count < self.closes_after)
        )


class FormWording(Base):
    """What a person agrees to, word for word; never changed: another wording is another version."""

    __tablename__ = "form_wording"
    __table_args__ = (UniqueConstraint("form_id", "version"),)

    id: Mapped[Id]
    form_id: Mapped[Big] = mapped_column(refers("form.id"))
    version: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    created_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    created_at: Mapped[datetime]


class SignUp(Base):
    """One person's sign-up. `message_id` is the confirmation mail, and with it the link that confirms.

    `contact_id` is who they became; before that, who came by a link of a mail and kept the address it went to.
    `handled_at` NULL: the background work has not looked at it yet. `note` says which actions could not be done.
    """

    __tablename__ = "sign_up"
    __table_args__ = (
        one_of("status", SignUpStatus),
        one_of("reason", WITHOUT_REASON),
        Index("ix_sign_up_form_status", "form_id", "status", "id"),
        Index("ix_sign_up_address_hash", "address_hash", "id"),
        Index("ix_sign_up_submitted_at", "status", "submitted_at"),
        Index(
            "ix_sign_up_unhandled",
            "id",
            sqlite_where=text("handled_at IS NULL"),
            postgresql_where=text("handled_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    form_id: Mapped[Big] = mapped_column(refers("form.id"))
    wording_id: Mapped[Big] = mapped_column(refers("form_wording.id"))
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    email: Mapped[str | None] = mapped_column(String(254))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    topic_ids: Mapped[list[Any]] = mapped_column(default=list)
    status: Mapped[Word] = mapped_column(default=SignUpStatus.PENDING)
    reason: Mapped[Word] = mapped_column(default="")
    note: Mapped[str] = mapped_column(Text, default="")
    ip: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(Text, default="")
    page: Mapped[str] = mapped_column(Text, default="")
    submitted_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    message_id: Mapped[Big | None] = mapped_column(unique=True)
    expires_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    contact_id: Mapped[Big | None]


class SignUpAddress(Base):
    """How many confirmation mails went to an address, known by its keyed hash only; the row is the limit's lock."""

    __tablename__ = "sign_up_address"

    address_hash: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    mails: Mapped[int] = mapped_column(default=0)
    last_mail_at: Mapped[datetime]


class FormRefusal(Base):
    """How many were turned away on a day, and why; nothing of who they were."""

    __tablename__ = "form_refusal"
    __table_args__ = (one_of("reason", SignUpRefusal),)

    form_id: Mapped[int] = mapped_column(BigInt, refers("form.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    reason: Mapped[Word] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)

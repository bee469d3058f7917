"""Sendings, batches, messages and their events: the ledger of recipients. Owned by delivery/."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint, false, text

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import (
    BatchState,
    EventKind,
    HitClass,
    HoldReason,
    MessageState,
    Purpose,
    SendingClass,
    SendingState,
)

SENDING_STATES = tuple(
    state for state in SendingState if state not in (SendingState.DRAFT, SendingState.SCHEDULED, SendingState.MISSED)
)
TROUBLE = "kind IN ('hard_bounce', 'soft_bounce', 'delayed', 'complaint')"
"""What came back. A query that says so in these words reads an index of those rows alone."""

NAMES_LINK = "tracked_link_id IS NOT NULL"
"""Clicks, and nothing else."""


class Sending(Base):
    """One content to one audience, once. A campaign, a step or a notice points to it.

    `hold_reason` is how it is stopped while `sending`, `held_by` NULL where no person did it; batches with an ordinal
    above `release_limit` are not claimable. `canary` says how many go out first and why (campaigns/canary.py);
    `slowed_to` is what the breaker leaves it, in mails a second.
    """

    __tablename__ = "sending"
    __table_args__ = (
        one_of("class", SendingClass),
        one_of("purpose", (Purpose.E_MARKETING,)),
        one_of("state", SENDING_STATES),
        one_of("hold_reason", HoldReason),
        Index("ix_sending_state", "state", "id"),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    sending_class: Mapped[Word] = mapped_column("class")
    purpose: Mapped[Word] = mapped_column(default=Purpose.E_MARKETING)
    topic_id: Mapped[Big | None] = mapped_column(refers("topic.id"))
    sender_id: Mapped[Big] = mapped_column(refers("sender.id"))
    content_version_id: Mapped[Big] = mapped_column(refers("content_version.id"))
    state: Mapped[Word]
    hold_reason: Mapped[Word | None]
    hold_note: Mapped[str] = mapped_column(Text, default="")
    held_at: Mapped[datetime | None]
    held_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    release_limit: Mapped[int | None]
    canary: Mapped[dict[str, Any] | None]
    slowed_to: Mapped[int | None]
    key_id: Mapped[int]
    rate_per_second: Mapped[int | None]
    track_opens: Mapped[bool] = mapped_column(default=True)
    track_clicks: Mapped[bool] = mapped_column(default=True)
    send_until: Mapped[datetime | None]
    keeps_quiet_hours: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class SendBatch(Base):
    """About 200 messages of one mailbox provider; the lease stands here, so a message is written twice only."""

    __tablename__ = "send_batch"
    __table_args__ = (
        UniqueConstraint("sending_id", "ordinal", "id"),
        one_of("state", BatchState),
        Index("ix_send_batch_due", "sending_id", "state", "not_before", "ordinal"),
        Index("ix_send_batch_lease", "state", "lease_until"),
    )

    id: Mapped[Id]
    sending_id: Mapped[Big] = mapped_column(refers("sending.id"))
    provider: Mapped[Word]
    ordinal: Mapped[int]
    state: Mapped[Word] = mapped_column(default=BatchState.READY)
    not_before: Mapped[datetime]
    token: Mapped[Big] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    claims: Mapped[int] = mapped_column(default=0)


class Message(Base):
    """One mail to one recipient of a sending; exists before anything is sent.

    No index names what a gate changes (state, gate_at, gate_token): on PostgreSQL such an update touches no index and
    stays on its page, which is left room; that halved what a mail costs the server. What it names by id is no foreign
    key: nobody deletes those rows (docs/decisions/0008-keys-without-checks.md).

    `recipient_key` is the contact's id, or a negative keyed hash of `to_address` where no contact is meant. `repeats`
    counts the times it was sent again although it may have been accepted: above 0 it is a possible duplicate.
    """

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("sending_id", "recipient_key", "occurrence"),
        one_of("state", MessageState),
        Index("ix_message_batch_id", "batch_id", "id"),
        Index("ix_message_contact_id", "contact_id", "id"),
        Index("ix_message_sending_id", "sending_id", "id"),
        Index(
            "ix_message_relay_message_id",
            "relay_message_id",
            sqlite_where=text("relay_message_id IS NOT NULL"),
            postgresql_where=text("relay_message_id IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: Mapped[Id]
    sending_id: Mapped[Big]
    contact_id: Mapped[Big | None]
    address_id: Mapped[Big | None]
    to_address: Mapped[str | None] = mapped_column(String(254))
    recipient_key: Mapped[Big]
    occurrence: Mapped[int] = mapped_column(default=0)
    batch_id: Mapped[Big | None]
    state: Mapped[Word]
    reason: Mapped[str] = mapped_column(String(40), default="")
    attempts: Mapped[int] = mapped_column(default=0)
    repeats: Mapped[int] = mapped_column(default=0, server_default="0")
    gate_token: Mapped[Big | None]
    gate_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    reply: Mapped[str] = mapped_column(Text, default="")
    relay_message_id: Mapped[str | None] = mapped_column(String(200))


class Event(Base):
    """A fact beside a message; `dedupe_key` makes every source safe to repeat.

    The last columns of its indexes spare segment rules the look at the row. What it names by id is no foreign key
    (docs/decisions/0008-keys-without-checks.md).
    """

    __tablename__ = "event"
    __table_args__ = (
        one_of("kind", EventKind),
        one_of("class", HitClass),
        Index("ix_event_message_id", "message_id", "id"),
        Index("ix_event_contact_kind_at", "contact_id", "kind", "at", "class", "sending_id"),
        Index("ix_event_sending_kind_class", "sending_id", "kind", "class", "contact_id", "at"),
        Index(
            "ix_event_link",
            "tracked_link_id",
            "sending_id",
            "class",
            "message_id",
            sqlite_where=text(NAMES_LINK),
            postgresql_where=text(NAMES_LINK),
        ),
        Index("ix_event_kind_at", "kind", "at", "class", "contact_id"),
        Index("ix_event_trouble", "id", sqlite_where=text(TROUBLE), postgresql_where=text(TROUBLE)),
        Index(
            "ix_event_trouble_sending", "sending_id", "id", sqlite_where=text(TROUBLE), postgresql_where=text(TROUBLE)
        ),
    )

    id: Mapped[Id]
    message_id: Mapped[Big]
    sending_id: Mapped[Big]
    contact_id: Mapped[Big | None]
    kind: Mapped[Word]
    hit_class: Mapped[Word | None] = mapped_column("class")
    at: Mapped[datetime]
    tracked_link_id: Mapped[Big | None]
    reason: Mapped[str] = mapped_column(String(60), default="")
    code: Mapped[str] = mapped_column(String(20), default="")
    dedupe_key: Mapped[str] = mapped_column(String(100), unique=True)
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Engagement(Base):
    """When a contact last opened (a person or a privacy proxy; a person alone) and last clicked, for segment rules.

    Written with the events it sums up, so it is exact; hits of machines count for nothing.
    """

    __tablename__ = "engagement"
    __table_args__ = {"postgresql_with": {"fillfactor": 70}}  # noqa: RUF012 - SQLAlchemy's hook

    contact_id: Mapped[int] = mapped_column(BigInt, refers("contact.id", ondelete="CASCADE"), primary_key=True)
    last_open_at: Mapped[datetime | None]
    last_human_open_at: Mapped[datetime | None]
    last_click_at: Mapped[datetime | None]

"""Permission, topics and suppressions. Owned by consent/.

`consent` is the current permission; `consent_event` the append-only ledger beside it, which knows a person by
`ledger_id` only; what proves a line (form, IP, wording) lies apart in `consent_evidence`, where it can be erased.
Contact and topic are no foreign keys here: nobody deletes those rows (docs/decisions/0008-keys-without-checks.md).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, Text, text, true

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import (
    Basis,
    ConsentVerdict,
    LeaveReason,
    Permission,
    Purpose,
    SubscriptionStatus,
    SuppressionReason,
)

SUPPRESSION_SCOPES = ("all", "topic")
RUNS_OUT = "expires_at IS NOT NULL AND permission <> 'none'"
LEFT = "verdict = 'withdrawn' OR verdict = 'unsubscribed'"
"""Conditions of partial indexes; a query that is to use one repeats its words."""


class Topic(Base):
    """What one can subscribe to. `customer` and `business` permissions reach own-products topics only.

    `is_tracked` False: opens and clicks of its mails are kept with nobody.
    """

    __tablename__ = "topic"

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(100), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    is_own_products: Mapped[bool] = mapped_column(default=False)
    is_tracked: Mapped[bool] = mapped_column(default=True, server_default=true())
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Subscription(Base):
    """A contact and a topic; no row means not subscribed."""

    __tablename__ = "subscription"
    __table_args__ = (
        one_of("status", SubscriptionStatus),
        Index("ix_subscription_topic_id", "topic_id", "status", "contact_id"),
        {"sqlite_with_rowid": False},
    )

    contact_id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    topic_id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    status: Mapped[Word]
    updated_at: Mapped[datetime]


class Consent(Base):
    """The current permission of a contact for a purpose; no row means `none`.

    `expires_at`: from then on it permits nothing; it stays when the permission has become `none` by it. `paused_until`
    is the person's wish for quiet (docs/decisions/0017-a-pause-stands-on-the-permission.md).
    """

    __tablename__ = "consent"
    __table_args__ = (
        one_of("purpose", Purpose),
        one_of("permission", Permission),
        one_of("basis", Basis),
        Index(
            "ix_consent_expires_at",
            "expires_at",
            "contact_id",
            sqlite_where=text(RUNS_OUT),
            postgresql_where=text(RUNS_OUT),
        ),
        {"sqlite_with_rowid": False},
    )

    contact_id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20), primary_key=True)
    permission: Mapped[Word]
    basis: Mapped[Word | None]
    source: Mapped[str] = mapped_column(Text, default="")
    expires_at: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class ConsentEvent(Base):
    """A line of the ledger; never changed, never deleted. The salt of `evidence_digest` lies with the evidence.

    `ends_at`: when what it gives runs out, or a pause is over.
    """

    __tablename__ = "consent_event"
    __table_args__ = (
        one_of("purpose", Purpose),
        one_of("verdict", ConsentVerdict),
        one_of("permission", Permission),
        one_of("basis", Basis),
        Index("ix_consent_event_ledger_id", "ledger_id", "id"),
        Index("ix_consent_event_left", "at", "id", sqlite_where=text(LEFT), postgresql_where=text(LEFT)),
    )

    id: Mapped[Id]
    ledger_id: Mapped[Big]
    purpose: Mapped[Word]
    topic_id: Mapped[Big | None]
    verdict: Mapped[Word]
    permission: Mapped[Word | None]
    basis: Mapped[Word | None]
    source: Mapped[str] = mapped_column(Text, default="")
    channel: Mapped[str] = mapped_column(String(40), default="")
    wording_version: Mapped[str] = mapped_column(String(40), default="")
    evidence_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    message_id: Mapped[Big | None]
    by_staff_id: Mapped[Big | None]
    at: Mapped[datetime]
    ends_at: Mapped[datetime | None]


class ConsentBlock(Base):
    """A seal over the lines of the ledger from the block before it up to `last_id`; made by a background job.

    Triggers refuse to change or delete lines and blocks. Two blocks never follow the same one.
    """

    __tablename__ = "consent_block"
    __table_args__ = (Index("ix_consent_block_last_id", "last_id"),)

    id: Mapped[Id]
    previous_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    line_count: Mapped[int]
    last_id: Mapped[Big]
    sealed_at: Mapped[datetime]


class ConsentEvidence(Base):
    """What proves a line of the ledger; erasable."""

    __tablename__ = "consent_evidence"

    consent_event_id: Mapped[int] = mapped_column(BigInt, refers("consent_event.id"), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    data: Mapped[dict[str, Any]]


class Suppression(Base):
    """An address we must not write to, known by its keyed hash. Lifted rows stay as history."""

    __tablename__ = "suppression"
    __table_args__ = (
        one_of("scope", SUPPRESSION_SCOPES),
        one_of("reason", SuppressionReason),
        Index(
            "uq_suppression_active",
            "address_hash",
            "reason",
            text("coalesce(topic_id, 0)"),
            unique=True,
            sqlite_where=text("lifted_at IS NULL"),
            postgresql_where=text("lifted_at IS NULL"),
        ),
        Index("ix_suppression_created_at", "created_at", "id"),
        Index("ix_suppression_address_hash", "address_hash", "reason"),
    )

    id: Mapped[Id]
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    scope: Mapped[Word] = mapped_column(default="all")
    topic_id: Mapped[Big | None] = mapped_column(refers("topic.id"))
    reason: Mapped[Word]
    source: Mapped[str] = mapped_column(Text, default="")
    message_id: Mapped[Big | None]
    is_suspect: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[Big | None] = mapped_column(refers("staff.id"))


class Wording(Base):
    """Words that people agreed to; `version` is computed from the text, so a text never changes under its version."""

    __tablename__ = "wording"

    version: Mapped[str] = mapped_column(String(40), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class LeaveAnswer(Base):
    """Why a person left, in a word and their own words; belongs to the line of the ledger and is erased with it."""

    __tablename__ = "leave_answer"
    __table_args__ = (one_of("reason", LeaveReason), Index("ix_leave_answer_at", "at", "reason"))

    consent_event_id: Mapped[int] = mapped_column(BigInt, refers("consent_event.id"), primary_key=True)
    reason: Mapped[Word]
    note: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime]


class ConsentOverride(Base):
    """Leave to send one campaign to named people without permission or subscription (FEATURES C3).

    It counts once `approved_at` is set: at once for few people, by a second person (`approved_by`) for many. `ended_at`
    takes it back. Campaign and sending are no foreign keys: the tables above know this one, not the other way round.
    """

    __tablename__ = "consent_override"
    __table_args__ = (Index("ix_consent_override_campaign_id", "campaign_id"),)

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    campaign_id: Mapped[Big]
    sending_id: Mapped[Big | None] = mapped_column(unique=True)
    topic_id: Mapped[Big]
    reason: Mapped[str] = mapped_column(Text)
    headcount: Mapped[int]
    requested_by: Mapped[Big] = mapped_column(refers("staff.id"))
    requested_at: Mapped[datetime]
    approved_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    approved_at: Mapped[datetime | None]
    ended_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    ended_at: Mapped[datetime | None]


class ConsentOverridePerson(Base):
    """A contact whom an override names."""

    __tablename__ = "consent_override_person"
    __table_args__ = (
        Index("ix_consent_override_person_contact_id", "contact_id"),
        {"sqlite_with_rowid": False},
    )

    override_id: Mapped[int] = mapped_column(BigInt, refers("consent_override.id"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigInt, primary_key=True)

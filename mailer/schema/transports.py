"""How mail leaves: relays, sending domains with their keys, and what a mailbox provider refused. Owned by delivery/."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, Text, UniqueConstraint, text

from mailer.schema.base import Base, Big, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import HoldReason

DKIM_ALGORITHMS = ("rsa", "ed25519")


class Transport(Base):
    """A relay. `secret` is its URL, sealed, since it holds a password; `label` is what may be shown of it.

    Mails are shared out by `weight`; 0 is a relay that takes over only where no other works. `rate_per_second` NULL:
    as fast as it takes them.
    """

    __tablename__ = "transport"
    __table_args__ = (
        CheckConstraint("weight >= 0 AND connections > 0 AND rate_per_second > 0", name="limits"),
        Index(
            "uq_transport_name",
            "name",
            unique=True,
            sqlite_where=text("archived_at IS NULL"),
            postgresql_where=text("archived_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(100))
    label: Mapped[str] = mapped_column(String(300))
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    weight: Mapped[int] = mapped_column(default=1)
    connections: Mapped[int] = mapped_column(default=2)
    rate_per_second: Mapped[int | None]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class RelayState(Base):
    """How a relay fares, by its key (`settings`, `transport:7`); no row: it never failed. Written on changes only."""

    __tablename__ = "relay_state"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    down_since: Mapped[datetime | None]
    resting_until: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(Text, default="")
    last_error_at: Mapped[datetime | None]


class SendingDomain(Base):
    """A domain that mails are from. `checks` are the findings of the last look at its DNS records.

    `warm_up_from` is NULL where it is warm; `warm_up_step` counts the days that grew, `warm_up_day` is the last one.
    """

    __tablename__ = "sending_domain"

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    domain: Mapped[str] = mapped_column(String(253), unique=True)
    warm_up_from: Mapped[datetime | None]
    warm_up_step: Mapped[int] = mapped_column(default=0)
    warm_up_day: Mapped[date | None]
    checks: Mapped[dict[str, Any]] = mapped_column(default=dict)
    checked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class DkimKey(Base):
    """A key that signs mails of a domain (RFC 6376, RFC 8463). `private_key` is sealed PKCS #8."""

    __tablename__ = "dkim_key"
    __table_args__ = (UniqueConstraint("domain_id", "selector"), one_of("algorithm", DKIM_ALGORITHMS))

    id: Mapped[Id]
    domain_id: Mapped[Big] = mapped_column(refers("sending_domain.id", ondelete="CASCADE"))
    selector: Mapped[str] = mapped_column(String(63))
    algorithm: Mapped[Word]
    private_key: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class PolicyRefusal(Base):
    """A reply that blamed the sender (5.7.x); three of one provider in ten minutes hold its batches (FEATURES B4)."""

    __tablename__ = "policy_refusal"
    __table_args__ = (
        Index("ix_policy_refusal_provider_at", "provider", "at"),
        Index("ix_policy_refusal_sending_at", "sending_id", "at"),
    )

    id: Mapped[Id]
    sending_id: Mapped[Big] = mapped_column(refers("sending.id"))
    provider: Mapped[Word]
    at: Mapped[datetime]
    reply: Mapped[str] = mapped_column(Text)


class ProviderHold(Base):
    """Batches of `provider` in a sending are not claimable until somebody releases them."""

    __tablename__ = "provider_hold"
    __table_args__ = (
        one_of("reason", HoldReason),
        Index(
            "uq_provider_hold_sending_id_provider",
            "sending_id",
            "provider",
            unique=True,
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    sending_id: Mapped[Big] = mapped_column(refers("sending.id"))
    provider: Mapped[Word]
    reason: Mapped[Word]
    note: Mapped[str] = mapped_column(Text, default="")
    held_at: Mapped[datetime]
    released_at: Mapped[datetime | None]

"""Counts of what was sent, the breaker with its history, watched canaries, outside figures. Owned by reputation/."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Float, Index, String, Text, UniqueConstraint

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, Word, mapped_column, one_of, refers
from mailer.statuses import BreakerState

BREAKER_SCOPES = ("workspace", "sending", "domain", "provider")
CANARY_STATES = ("filling", "watching", "released", "ended")


class RateSlot(Base):
    """What became of the mails that went out within a slot of time, by sending and mailbox provider.

    Every figure counts mails by the time they were transmitted, also what came of them days later, so that a share is
    one of the same mails. Slots are five minutes, an hour once they are a day old; they are counted from rows, never
    added up, so that they can be written anew at any time.
    """

    __tablename__ = "rate_slot"
    __table_args__ = (Index("ix_rate_slot_slot", "slot"), {"sqlite_with_rowid": False})

    sending_id: Mapped[int] = mapped_column(BigInt, refers("sending.id"), primary_key=True)
    provider: Mapped[str] = mapped_column(String(20), primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
    transmitted: Mapped[int] = mapped_column(default=0)
    accepted: Mapped[int] = mapped_column(default=0)
    deferred: Mapped[int] = mapped_column(default=0)
    hard: Mapped[int] = mapped_column(default=0)
    soft: Mapped[int] = mapped_column(default=0)
    bounced_later: Mapped[int] = mapped_column(default=0)
    complaints: Mapped[int] = mapped_column(default=0)
    unsubscribed: Mapped[int] = mapped_column(default=0)


class RateLook(Base):
    """When a sending was counted last, what it cost, when it is counted again; `domain` is that of its sender.

    `news_at`: when figures changed that nobody has judged yet; it outlives who counted them.
    """

    __tablename__ = "rate_look"
    __table_args__ = (Index("ix_rate_look_next_at", "next_at"), Index("ix_rate_look_domain", "domain"))

    sending_id: Mapped[int] = mapped_column(BigInt, refers("sending.id"), primary_key=True)
    domain: Mapped[str] = mapped_column(String(255))
    looked_at: Mapped[datetime]
    next_at: Mapped[datetime | None]
    took_ms: Mapped[int] = mapped_column(default=0)
    waiting: Mapped[int] = mapped_column(default=0)
    unknown: Mapped[int] = mapped_column(default=0)
    news_at: Mapped[datetime | None]


class Breaker(Base):
    """State of the breaker for a scope; survives restarts. `figures` are those it was decided on.

    `released_at`: a person let it go on; what was transmitted before counts only where it becomes worse than
    `released_state`.
    """

    __tablename__ = "breaker"
    __table_args__ = (
        UniqueConstraint("scope", "scope_key"),
        one_of("scope", BREAKER_SCOPES),
        one_of("state", BreakerState),
        one_of("released_state", BreakerState),
    )

    id: Mapped[Id]
    scope: Mapped[Word]
    scope_key: Mapped[str] = mapped_column(String(255), default="")
    state: Mapped[Word] = mapped_column(default=BreakerState.OK)
    note: Mapped[str] = mapped_column(Text, default="")
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    released_state: Mapped[Word | None]
    released_at: Mapped[datetime | None]
    by_staff_id: Mapped[Big | None]
    changed_at: Mapped[datetime]


class BreakerChange(Base):
    """A line of a breaker's history: never changed. `note` is why, in our words or those of who released it."""

    __tablename__ = "breaker_change"
    __table_args__ = (
        one_of("scope", BREAKER_SCOPES),
        one_of("state", BreakerState),
        one_of("state_before", BreakerState),
        Index("ix_breaker_change_scope", "scope", "scope_key", "id"),
    )

    id: Mapped[Id]
    scope: Mapped[Word]
    scope_key: Mapped[str] = mapped_column(String(255), default="")
    state_before: Mapped[Word]
    state: Mapped[Word]
    note: Mapped[str] = mapped_column(Text, default="")
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by_staff_id: Mapped[Big | None]
    at: Mapped[datetime]


class CanaryWatch(Base):
    """The watch over the first share of a sending (`sending.canary`); times but `released_at` are business time."""

    __tablename__ = "canary_watch"
    __table_args__ = (one_of("state", CANARY_STATES), Index("ix_canary_watch_state", "state", "sending_id"))

    sending_id: Mapped[int] = mapped_column(BigInt, refers("sending.id"), primary_key=True)
    state: Mapped[Word] = mapped_column(default="filling")
    out_at: Mapped[datetime | None]
    watch_until: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    released_by: Mapped[Big | None]
    note: Mapped[str] = mapped_column(Text, default="")


class OutsideFigure(Base):
    """What a mailbox provider says of a domain on a day, typed or read from a file. Shares are from 0 to 1."""

    __tablename__ = "outside_figure"
    __table_args__ = (
        UniqueConstraint("source", "domain", "day"),
        CheckConstraint("spam_rate >= 0 AND spam_rate <= 1", name="spam_rate"),
    )

    id: Mapped[Id]
    source: Mapped[Word]
    domain: Mapped[str] = mapped_column(String(255))
    day: Mapped[date]
    spam_rate: Mapped[float | None] = mapped_column(Float)
    domain_reputation: Mapped[str] = mapped_column(String(20), default="")
    by_staff_id: Mapped[Big | None]
    at: Mapped[datetime]

"""Raw hits and how far each host's spool has been read. Owned by tracking/."""

from datetime import datetime

from sqlalchemy import BigInteger, Float, Index, SmallInteger, String, Text, UniqueConstraint

from mailer.schema.base import Base, Big, Id, Mapped, Word, mapped_column, one_of
from mailer.statuses import HitClass


class SpoolPosition(Base):
    """The offset reached in a spool file; written in the same transaction as its rows."""

    __tablename__ = "spool_position"
    __table_args__ = (UniqueConstraint("host", "file"),)

    id: Mapped[Id]
    host: Mapped[str] = mapped_column(String(100))
    file: Mapped[str] = mapped_column(String(100))
    offset: Mapped[int] = mapped_column(BigInteger)


class Hit(Base):
    """One request to the tracking endpoint with its evidence and the verdict, which may be revised.

    `reason` holds all reasons, parted by spaces; `rules` is the version of the rules they come from; `seconds_after`
    is counted from hand-over; `flags` as in tracking/records.py. `message_id` is no foreign key
    (docs/decisions/0008-keys-without-checks.md).
    """

    __tablename__ = "hit"
    __table_args__ = (
        one_of("class", HitClass),
        Index("ix_hit_message_id", "message_id", "at"),
        Index("ix_hit_at", "at"),
    )

    id: Mapped[Id]
    message_id: Mapped[Big]
    kind: Mapped[Word]
    link: Mapped[int] = mapped_column(default=0)
    method: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]
    ip: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(Text, default="")
    hit_class: Mapped[Word] = mapped_column("class")
    reason: Mapped[str] = mapped_column(String(200), default="")
    rules: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    flags: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    seconds_after: Mapped[float | None] = mapped_column(Float)
    program: Mapped[str] = mapped_column(String(60), default="", server_default="")
    device: Mapped[str] = mapped_column(String(20), default="", server_default="")
    network: Mapped[str] = mapped_column(String(20), default="", server_default="")


class VerdictRun(Base):
    """One computing anew of all verdicts, mail by mail up to `after_message_id`, so that it can go on after a kill."""

    __tablename__ = "verdict_run"

    id: Mapped[Id]
    rules: Mapped[int] = mapped_column(SmallInteger)
    started_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    after_message_id: Mapped[int] = mapped_column(BigInteger, default=0)
    hits: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)

"""Raw hits and how far each host's spool has been read. Owned by tracking/."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint

from mailer.schema.base import Base, Big, Id, Mapped, Word, mapped_column, one_of, refers
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
    """One request to the tracking endpoint with its evidence and the verdict, which may be revised."""

    __tablename__ = "hit"
    __table_args__ = (
        one_of("class", HitClass),
        Index("ix_hit_message_id", "message_id", "at"),
        Index("ix_hit_at", "at"),
    )

    id: Mapped[Id]
    message_id: Mapped[Big] = mapped_column(refers("message.id"))
    kind: Mapped[Word]
    link: Mapped[int] = mapped_column(default=0)
    method: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]
    ip: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(Text, default="")
    hit_class: Mapped[Word] = mapped_column("class")
    reason: Mapped[str] = mapped_column(String(60), default="")

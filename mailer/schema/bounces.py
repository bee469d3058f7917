"""Reports that came back, raw first. Owned by bounces/."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, Text

from mailer.schema.base import Base, Big, Id, Mapped, Word, mapped_column, one_of, refers
from mailer.statuses import Blame, Verdict

REPORT_STATES = ("received", "matched", "unmatched", "ignored")


class BounceReport(Base):
    """A bounce, complaint or reply mail; `raw` is kept as it came, the rest is computed from it."""

    __tablename__ = "bounce_report"
    __table_args__ = (
        one_of("state", REPORT_STATES),
        one_of("verdict", Verdict),
        one_of("blame", Blame),
        Index("ix_bounce_report_state", "state", "id"),
        Index("ix_bounce_report_message_id", "message_id"),
        Index("ix_bounce_report_received_at", "received_at", "id"),
    )

    id: Mapped[Id]
    received_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(40))
    mail_from: Mapped[str] = mapped_column(String(320), default="")
    rcpt_to: Mapped[str] = mapped_column(String(320), default="")
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[Word] = mapped_column(default="received")
    verdict: Mapped[Word | None]
    blame: Mapped[Word | None]
    reason: Mapped[str] = mapped_column(String(60), default="")
    status: Mapped[str] = mapped_column(String(20), default="")
    recipients: Mapped[list[Any]] = mapped_column(default=list)
    diagnostic: Mapped[str] = mapped_column(Text, default="")
    matched_by: Mapped[str] = mapped_column(String(40), default="")
    message_id: Mapped[Big | None] = mapped_column(refers("message.id"))

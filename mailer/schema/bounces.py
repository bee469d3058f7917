"""Reports that came back, raw first, and the doors that they come through. Owned by bounces/."""

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, LargeBinary, String, Text, text

from mailer.schema.base import Base, Big, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import Blame, Provider, Verdict

REPORT_STATES = ("received", "matched", "unmatched", "ignored")
CALL_STATES = ("received", "done", "failed")
SECURITIES = ("tls", "starttls", "none")
INCIDENT_STATES = ("open", "released", "dismissed")


class BounceReport(Base):
    """A bounce, complaint or reply mail, or an event of a provider; `raw` is as it came, the rest is computed from it.

    `wording` is a digest of its words without what differs from mail to mail: what a person taught about one is known
    by it. One that could not be read is tried again at `retry_at`.
    """

    __tablename__ = "bounce_report"
    __table_args__ = (
        one_of("state", REPORT_STATES),
        one_of("verdict", Verdict),
        one_of("blame", Blame),
        Index("ix_bounce_report_state", "state", "id"),
        Index("ix_bounce_report_message_id", "message_id"),
        Index("ix_bounce_report_received_at", "received_at", "id"),
        Index("ix_bounce_report_wording", "wording", "id"),
        Index("ix_bounce_report_reason", "reason", "id"),
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
    wording: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    retry_at: Mapped[datetime | None]


class BounceLesson(Base):
    """What a person taught: reports with this wording mean this. `words` is what was compared, without names."""

    __tablename__ = "bounce_lesson"
    __table_args__ = (one_of("verdict", Verdict),)

    id: Mapped[Id]
    wording: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    verdict: Mapped[Word]
    words: Mapped[str] = mapped_column(Text, default="")
    created_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    created_at: Mapped[datetime]


class WebhookEndpoint(Base):
    """A provider that may call us. `secret` holds the token of its path and its keys, sealed; it is found by its hash.

    `last_outcome` is a word of webhooks/; `last_note` what a person should know of it.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (one_of("provider", Provider),)

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    provider: Mapped[Word]
    name: Mapped[str] = mapped_column(String(100))
    path_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    last_call_at: Mapped[datetime | None]
    last_good_at: Mapped[datetime | None]
    last_outcome: Mapped[Word] = mapped_column(default="")
    last_note: Mapped[str] = mapped_column(Text, default="")
    calls: Mapped[Big] = mapped_column(default=0)
    refused: Mapped[Big] = mapped_column(default=0)


class WebhookCall(Base):
    """A call as it came, until it is taken apart: each event that matters becomes a report; then the body goes."""

    __tablename__ = "webhook_call"
    __table_args__ = (
        one_of("state", CALL_STATES),
        Index("ix_webhook_call_state", "state", "id"),
        Index("ix_webhook_call_received_at", "received_at"),
    )

    id: Mapped[Id]
    endpoint_id: Mapped[Big] = mapped_column(refers("webhook_endpoint.id"))
    received_at: Mapped[datetime]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    content_type: Mapped[str] = mapped_column(String(200), default="")
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[Word] = mapped_column(default="received")
    attempts: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")
    events: Mapped[int] = mapped_column(default=0)


class BounceMailbox(Base):
    """A mailbox that reports are fetched from (IMAP). `secret` is its password, sealed.

    `uid_validity` and `last_uid` say how far it was read (RFC 3501, section 2.3.1.1); `move_to` empty: what was read is
    marked as seen and stays.
    """

    __tablename__ = "bounce_mailbox"
    __table_args__ = (one_of("security", SECURITIES),)

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(100))
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(default=993)
    security: Mapped[Word] = mapped_column(default="tls")
    username: Mapped[str] = mapped_column(String(255))
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    folder: Mapped[str] = mapped_column(String(200), default="INBOX")
    move_to: Mapped[str] = mapped_column(String(200), default="")
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    uid_validity: Mapped[Big | None]
    last_uid: Mapped[Big] = mapped_column(default=0)
    fetched: Mapped[Big] = mapped_column(default=0)
    polled_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")
    leased_until: Mapped[datetime | None]


class ProviderIncident(Base):
    """An hour in which a mailbox provider refused so many that it is the provider's mistake, until a person has looked.

    Hard bounces of its mailboxes from `began_at` on are marked suspect. `hard_rate` and `mean_rate` are shares.
    """

    __tablename__ = "provider_incident"
    __table_args__ = (
        one_of("state", INCIDENT_STATES),
        Index(
            "uq_provider_incident_open",
            "provider",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[Id]
    provider: Mapped[Word]
    state: Mapped[Word] = mapped_column(default="open")
    began_at: Mapped[datetime]
    created_at: Mapped[datetime]
    hard: Mapped[int]
    tried: Mapped[int]
    hard_rate: Mapped[float] = mapped_column(Float)
    mean_rate: Mapped[float] = mapped_column(Float)
    lifted: Mapped[int] = mapped_column(default=0)
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[Big | None] = mapped_column(refers("staff.id"))

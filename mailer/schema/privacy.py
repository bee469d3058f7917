"""What persons asked for, what was erased, what was kept as figures only. Owned by privacy/."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, Text

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import ErasureStatus, RequestKind, RequestStatus

CHANNELS = ("mail", "phone", "letter", "meeting", "page")


class SubjectRequest(Base):
    """A request of a person about their own data (GDPR, 15 to 21). `due_on` is the last day of the time allowed.

    `who` and `note` are in words and go with an erasure; `address_hash` and the number stay. `contact_id` is no
    foreign key: nobody deletes those rows (docs/decisions/0008-keys-without-checks.md).
    """

    __tablename__ = "subject_request"
    __table_args__ = (
        one_of("kind", RequestKind),
        one_of("status", RequestStatus),
        one_of("channel", CHANNELS),
        Index("ix_subject_request_status", "status", "due_on", "id"),
        Index("ix_subject_request_contact_id", "contact_id"),
        Index("ix_subject_request_address_hash", "address_hash"),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    kind: Mapped[Word]
    status: Mapped[Word] = mapped_column(default=RequestStatus.OPEN)
    channel: Mapped[Word]
    who: Mapped[str] = mapped_column(String(320), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    contact_id: Mapped[Big | None]
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    received_on: Mapped[date]
    due_on: Mapped[date]
    extended_at: Mapped[datetime | None]
    extension_note: Mapped[str] = mapped_column(Text, default="")
    answer: Mapped[str] = mapped_column(Text, default="")
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    created_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    created_at: Mapped[datetime]


class Erasure(Base):
    """The erasure of one person, resumable: `step` is what is done next, `waits_for` why it is not done yet.

    `person` holds what must be looked for (addresses, names, IPs, ids of messages), sealed, until the end; then only
    hashes and counts are left.
    """

    __tablename__ = "erasure"
    __table_args__ = (one_of("status", ErasureStatus), Index("ix_erasure_status", "status", "id"))

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    status: Mapped[Word] = mapped_column(default=ErasureStatus.RUNNING)
    step: Mapped[Word]
    waits_for: Mapped[str] = mapped_column(String(200), default="")
    address_hashes: Mapped[list[Any]] = mapped_column(default=list)
    contact_ids: Mapped[list[Any]] = mapped_column(default=list)
    address_ids: Mapped[list[Any]] = mapped_column(default=list)
    person: Mapped[bytes | None] = mapped_column(LargeBinary)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by_staff_id: Mapped[Big | None] = mapped_column(refers("staff.id"))
    token: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class KeptFigure(Base):
    """A figure of a sending whose rows are gone. `name` and `word` are those of docs/reference/retention.md."""

    __tablename__ = "kept_figure"

    sending_id: Mapped[int] = mapped_column(BigInt, refers("sending.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    word: Mapped[str] = mapped_column(String(60), primary_key=True)
    count: Mapped[int]


class RetentionRun(Base):
    """A night's work on what has been kept long enough; `day` makes it one a night, `counts` are rows by rule."""

    __tablename__ = "retention_run"

    id: Mapped[Id]
    day: Mapped[date] = mapped_column(unique=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)

"""Files that came in. Owned by imports/."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text

from mailer.schema.base import Base, Big, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import Basis, ImportStatus

IMPORT_KINDS = ("contacts", "activities")


class ImportRun(Base):
    """One import; `rows_done` is how far it got, so it can be resumed and repeated without harm."""

    __tablename__ = "import_run"
    __table_args__ = (
        one_of("kind", IMPORT_KINDS),
        one_of("basis", Basis),
        one_of("status", ImportStatus),
        Index("ix_import_run_digest", "digest"),
        Index("ix_import_run_created_at", "created_at", "id"),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    kind: Mapped[Word]
    file_name: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    basis: Mapped[Word | None]
    source: Mapped[str] = mapped_column(Text, default="")
    topic_ids: Mapped[list[Any]] = mapped_column(default=list)
    status: Mapped[Word]
    error: Mapped[str] = mapped_column(Text, default="")
    rows_done: Mapped[int] = mapped_column(default=0)
    new_count: Mapped[int] = mapped_column(default=0)
    updated_count: Mapped[int] = mapped_column(default=0)
    unchanged_count: Mapped[int] = mapped_column(default=0)
    refused_count: Mapped[int] = mapped_column(default=0)
    refused_path: Mapped[str] = mapped_column(Text, default="")
    created_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

"""Settings kept in the database, and who mails are from. Owned by workspace/."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, String, Text

from mailer.schema.base import Base, Id, Mapped, PublicId, mapped_column


class Workspace(Base):
    """The one row of settings; `limits` overrides values of docs/reference/defaults.md by name."""

    __tablename__ = "workspace"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200), default="Mailer")
    brand_color: Mapped[str] = mapped_column(String(7), default="", server_default="")
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    clock_offset_seconds: Mapped[int] = mapped_column(default=0)
    limits: Mapped[dict[str, Any]] = mapped_column(default=dict)
    stopped_at: Mapped[datetime | None]
    stop_note: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Sender(Base):
    """A sender profile: the From identity and what the footer must say (16 CFR 316, ePrivacy 13)."""

    __tablename__ = "sender"

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(200), unique=True)
    from_name: Mapped[str] = mapped_column(String(200))
    from_email: Mapped[str] = mapped_column(String(254))
    reply_to: Mapped[str] = mapped_column(String(254), default="")
    postal_address: Mapped[str] = mapped_column(Text, default="")
    organisation_number: Mapped[str] = mapped_column(String(50), default="")
    privacy_url: Mapped[str] = mapped_column(Text, default="")
    footer: Mapped[str] = mapped_column(Text, default="")
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

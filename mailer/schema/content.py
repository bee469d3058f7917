"""Designs and frozen contents. Owned by content/."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, Text, UniqueConstraint, text

from mailer.schema.base import Base, Big, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import ActionKind, LinkResponse


class Design(Base):
    """An own, reusable MJML layout; starters are files in templates/starters/."""

    __tablename__ = "design"

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(200), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    mjml: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ContentVersion(Base):
    """The compiled, frozen content of a sending; never changed. `data` holds the campaign's values for the template."""

    __tablename__ = "content_version"
    __table_args__ = (Index("ix_content_version_content_hash", "content_hash"),)

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    content_hash: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)
    preheader: Mapped[str] = mapped_column(Text, default="")
    html: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]


class Attachment(Base):
    """A file that mails carry, kept once however often it is attached; `content_hash` is BLAKE2b of `data`, in hex."""

    __tablename__ = "attachment"

    id: Mapped[Id]
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    size: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime]


class VersionAttachment(Base):
    """A file of a content version, under the name that readers see."""

    __tablename__ = "version_attachment"
    __table_args__ = (UniqueConstraint("content_version_id", "ordinal"),)

    id: Mapped[Id]
    content_version_id: Mapped[Big] = mapped_column(refers("content_version.id"))
    ordinal: Mapped[int]
    attachment_id: Mapped[Big] = mapped_column(refers("attachment.id"))
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))


class TrackedLink(Base):
    """A link of a content version; `ordinal` is the number in tokens and in `links[n]` of the template.

    `page_text` is what a page of text says, and what the page with a button says once it was pressed; where the link
    opens a form, what is said once that form takes no more answers.
    """

    __tablename__ = "tracked_link"
    __table_args__ = (
        UniqueConstraint("content_version_id", "ordinal"),
        one_of("response", LinkResponse),
        CheckConstraint("(response = 'form') = (form_id IS NOT NULL)", name="form"),
        Index(
            "ix_tracked_link_form_id",
            "form_id",
            sqlite_where=text("form_id IS NOT NULL"),
            postgresql_where=text("form_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    content_version_id: Mapped[Big] = mapped_column(refers("content_version.id"))
    ordinal: Mapped[int]
    url: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(String(200), default="")
    response: Mapped[Word] = mapped_column(default="redirect")
    page_text: Mapped[str] = mapped_column(Text, default="", server_default="")
    form_id: Mapped[Big | None] = mapped_column(refers("form.id"))


class LinkAction(Base):
    """What a human click on a link does; `params` by kind (docs/reference/link-actions.md)."""

    __tablename__ = "link_action"
    __table_args__ = (UniqueConstraint("tracked_link_id", "ordinal"), one_of("kind", ActionKind))

    id: Mapped[Id]
    tracked_link_id: Mapped[Big] = mapped_column(refers("tracked_link.id"))
    ordinal: Mapped[int]
    kind: Mapped[str] = mapped_column(String(40))
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_repeated: Mapped[bool] = mapped_column(default=False)
    ends_at: Mapped[datetime | None]

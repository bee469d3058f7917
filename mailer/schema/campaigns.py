"""Drafts of mailings and what became of them. Owned by campaigns/."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, false

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import SendingState

CAMPAIGN_SEGMENT_MODES = ("include", "exclude")


class Campaign(Base):
    """One content to one audience at one time. `status` is the truth until `sending_id` is set, then its state is.

    `links` and `data` are as in a campaign file (docs/reference/campaign-file.md).
    """

    __tablename__ = "campaign"
    __table_args__ = (
        one_of("status", SendingState),
        Index("ix_campaign_status", "status", "send_at"),
        Index("ix_campaign_created_at", "created_at", "id"),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(Text, default="")
    preheader: Mapped[str] = mapped_column(Text, default="")
    sender_id: Mapped[Big | None] = mapped_column(refers("sender.id"))
    topic_id: Mapped[Big | None] = mapped_column(refers("topic.id"))
    is_transactional: Mapped[bool] = mapped_column(default=False)
    transactional_reason: Mapped[str] = mapped_column(Text, default="")
    design: Mapped[str] = mapped_column(String(200), default="")
    mjml: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    links: Mapped[list[Any]] = mapped_column(default=list)
    track_opens: Mapped[bool] = mapped_column(default=True)
    track_clicks: Mapped[bool] = mapped_column(default=True)
    rate_per_second: Mapped[int | None]
    keeps_quiet_hours: Mapped[bool] = mapped_column(default=False, server_default=false())
    send_at: Mapped[datetime | None]
    send_until: Mapped[datetime | None]
    status: Mapped[Word] = mapped_column(default=SendingState.DRAFT)
    approved_count: Mapped[int | None]
    audience_on: Mapped[datetime | None]
    audience_cursor: Mapped[Big | None]
    sending_id: Mapped[Big | None] = mapped_column(refers("sending.id"), unique=True)
    created_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    launched_by: Mapped[Big | None] = mapped_column(refers("staff.id"))
    version: Mapped[int] = mapped_column(default=1)
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class CampaignSegment(Base):
    """A segment whose members a campaign includes or excludes."""

    __tablename__ = "campaign_segment"
    __table_args__ = (one_of("mode", CAMPAIGN_SEGMENT_MODES),)

    campaign_id: Mapped[int] = mapped_column(BigInt, refers("campaign.id", ondelete="CASCADE"), primary_key=True)
    segment_id: Mapped[int] = mapped_column(BigInt, refers("segment.id"), primary_key=True)
    mode: Mapped[str] = mapped_column(String(20), primary_key=True)


class CampaignAttachment(Base):
    """A file that a draft is to carry; what is sent stands at its content version."""

    __tablename__ = "campaign_attachment"
    __table_args__ = (Index("ix_campaign_attachment_campaign_id", "campaign_id", "id"),)

    id: Mapped[Id]
    campaign_id: Mapped[Big] = mapped_column(refers("campaign.id", ondelete="CASCADE"))
    attachment_id: Mapped[Big] = mapped_column(refers("attachment.id"))
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]


class TestSending(Base):
    """A test mail of a campaign: outside its statistics."""

    __tablename__ = "test_sending"

    sending_id: Mapped[int] = mapped_column(BigInt, refers("sending.id"), primary_key=True)
    campaign_id: Mapped[int] = mapped_column(BigInt, refers("campaign.id", ondelete="CASCADE"))

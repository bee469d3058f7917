"""Reads of campaigns. Never commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.context import Context
from mailer.delivery import queries as delivery
from mailer.delivery.queries import Progress
from mailer.errors import NotFoundError
from mailer.schema.campaigns import Campaign, CampaignSegment
from mailer.schema.delivery import Message, Sending
from mailer.schema.segments import Segment
from mailer.statuses import MessageState, SendingState


def get_campaign(session: Session, campaign_id: int) -> Campaign:
    """Return a campaign by its id or raise NotFoundError."""
    campaign = session.get(Campaign, campaign_id)
    if campaign is None:
        raise NotFoundError(f"there is no campaign {campaign_id}", mend="list them: mailer campaigns list")
    return campaign


def get_by_public_id(session: Session, public_id: uuid.UUID) -> Campaign:
    """Return a campaign by its public id or raise NotFoundError."""
    campaign = session.scalars(select(Campaign).where(Campaign.public_id == public_id)).one_or_none()
    if campaign is None:
        raise NotFoundError("no such campaign")
    return campaign


@dataclass(frozen=True)
class CampaignLine:
    """A campaign as lists show it; `reason` says why it is held."""

    campaign: Campaign
    status: SendingState
    reason: str


def list_campaigns(session: Session, *, before_id: int | None = None, limit: int = 50) -> list[CampaignLine]:
    """Return campaigns, newest first, in keyset pages."""
    query = (
        select(Campaign, Sending)
        .outerjoin(Sending, Sending.id == Campaign.sending_id)
        .where(Campaign.archived_at.is_(None))
        .order_by(Campaign.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(Campaign.id < before_id)
    return [
        CampaignLine(campaign, *show_status(session, campaign, sending)) for campaign, sending in session.execute(query)
    ]


def show_status(session: Session, campaign: Campaign, sending: Sending | None) -> tuple[SendingState, str]:
    """Return the status that is shown: the draft's own until a sending exists, then the sending's."""
    if sending is None:
        return SendingState(campaign.status), ""
    return delivery.display_state(session, sending)


def get_progress(session: Session, ctx: Context, campaign: Campaign) -> Progress:
    """Return where a campaign stands; a draft has no messages."""
    if campaign.sending_id is None:
        empty = {state.value: 0 for state in MessageState}
        return Progress(SendingState(campaign.status), "", empty, {}, 0.0, None)
    return delivery.get_progress(session, ctx, delivery.get_sending(session, campaign.sending_id))


def keep_own_messages(session: Session, campaign: Campaign, ids: Sequence[int]) -> list[int]:
    """Return those of `ids` that are messages of the campaign."""
    return list(
        session.scalars(select(Message.id).where(Message.sending_id == campaign.sending_id, Message.id.in_(ids)))
    )


def list_segments(session: Session, campaign_id: int, mode: str) -> Sequence[Segment]:
    """Return the segments that a campaign includes or excludes, by name."""
    return session.scalars(
        select(Segment)
        .join(CampaignSegment, CampaignSegment.segment_id == Segment.id)
        .where(CampaignSegment.campaign_id == campaign_id, CampaignSegment.mode == mode)
        .order_by(Segment.name)
    ).all()

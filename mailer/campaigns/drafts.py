"""Campaigns that have not started: which they are, and what a change does to them."""

from sqlalchemy.orm import Session

from mailer.campaigns import queries
from mailer.clock import utc_now
from mailer.errors import ConflictError
from mailer.schema.campaigns import Campaign
from mailer.statuses import SendingState

EDITABLE = (SendingState.DRAFT, SendingState.SCHEDULED, SendingState.MISSED)


def get_editable(session: Session, campaign_id: int) -> Campaign:
    """Return a campaign, locked; ConflictError where it has started."""
    queries.get_campaign(session, campaign_id)
    campaign = session.get_one(Campaign, campaign_id, with_for_update=True, populate_existing=True)
    if campaign.status not in EDITABLE:
        raise ConflictError(f"the campaign is {campaign.status}; only one that has not started can be changed")
    return campaign


def change_draft(session: Session, campaign_id: int) -> Campaign:
    """Return a campaign for changing: a scheduled one goes back to draft, and what was approved counts no longer."""
    campaign = get_editable(session, campaign_id)
    campaign.status, campaign.approved_count = SendingState.DRAFT.value, None
    campaign.updated_at, campaign.version = utc_now(), campaign.version + 1
    return campaign

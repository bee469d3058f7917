"""What a person does with a campaign that runs: pause, resume, end, let a mailbox provider's mails go again."""

from mailer.accounts.service import record_audit
from mailer.campaigns import queries
from mailer.campaigns.drafts import EDITABLE
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery.breakers import find_stopping
from mailer.delivery.holds import release_all_providers, release_provider
from mailer.errors import ConflictError
from mailer.schema.campaigns import Campaign
from mailer.statuses import SendingState


def pause_campaign(ctx: Context, campaign_id: int, *, by: int | None = None) -> None:
    """Hold a running campaign; when this returns, no later gate permits one of its messages.

    Raises:
        ConflictError: it is not running.
    """
    with ctx.write() as session:
        campaign = queries.get_campaign(session, campaign_id)
        sendings.pause_sending(session, _sending_id(campaign), by=by)
        record_audit(session, "campaign.pause", by=by, subject=("campaign", campaign_id))


def resume_campaign(ctx: Context, campaign_id: int, *, by: int | None = None) -> None:
    """Let a held campaign go on. ConflictError where it is not held by something a person may lift so easily."""
    with ctx.write() as session:
        campaign = queries.get_campaign(session, campaign_id)
        sending_id = _sending_id(campaign)
        if (breaker := find_stopping(session, sending_id)) is not None:
            raise ConflictError(
                f"the breaker holds it: {breaker.note}",
                mend=f"say why it is safe to go on, on its page, or: mailer reputation resume campaign {campaign_id}",
            )
        sendings.resume_sending(session, ctx, sending_id)
        release_all_providers(session, ctx, sending_id, by=by)
        record_audit(session, "campaign.resume", by=by, subject=("campaign", campaign_id))


def release_provider_hold(ctx: Context, campaign_id: int, provider: str, *, by: int | None = None) -> None:
    """Let a mailbox provider's mails of a campaign go again; ConflictError where they are not held."""
    with ctx.write() as session:
        campaign = queries.get_campaign(session, campaign_id)
        release_provider(session, ctx, _sending_id(campaign), provider, by=by)


def cancel_campaign(ctx: Context, campaign_id: int, *, by: int | None = None) -> int:
    """End a campaign for good and return how many mails will not go out."""
    with ctx.write() as session:
        campaign = session.get_one(Campaign, queries.get_campaign(session, campaign_id).id, with_for_update=True)
        cancelled = sendings.cancel_sending(session, campaign.sending_id) if campaign.sending_id else 0
        if (campaign.sending_id is None and campaign.status in EDITABLE) or campaign.status == SendingState.PREPARING:
            campaign.status = SendingState.CANCELLED.value
        detail = {"cancelled": cancelled}
        record_audit(session, "campaign.cancel", by=by, subject=("campaign", campaign_id), detail=detail)
    return cancelled


def _sending_id(campaign: Campaign) -> int:
    if campaign.sending_id is None:
        raise ConflictError(f"the campaign is {campaign.status}; it does not run yet")
    return campaign.sending_id

"""Use-cases of campaigns: review, launch, schedule. Drafts are made in composing.py, runs held in running.py."""

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.campaigns import audience, prepare, queries
from mailer.campaigns.gather import gather_facts
from mailer.campaigns.jobs import PREPARE
from mailer.campaigns.review import blockers, review
from mailer.clock import utc_now
from mailer.content.check import Finding
from mailer.context import Context
from mailer.delivery.policy import SEND_UNTIL
from mailer.errors import ConflictError, InputError, MailerError, Problem
from mailer.log import get_logger
from mailer.schema.campaigns import Campaign
from mailer.statuses import SendingClass, SendingState
from mailer.workspace.queries import get_limit, get_workspace

log = get_logger("campaigns")


def review_campaign(ctx: Context, campaign_id: int) -> tuple[list[Finding], dict[str, int]]:
    """Return every finding and the waterfall of the audience."""
    with ctx.read() as session:
        facts = gather_facts(session, ctx, queries.get_campaign(session, campaign_id))
    return review(facts), dict(facts.audience)


def count_audience(ctx: Context, campaign_id: int) -> dict[str, int]:
    """Return the waterfall of the audience as it is now."""
    with ctx.read() as session:
        campaign = queries.get_campaign(session, campaign_id)
        today = ctx.clock.today(get_workspace(session).timezone)
        return audience.count_audience(session, campaign, today, ctx.clock.now())


def list_sendable_emails(ctx: Context, campaign_id: int) -> list[str]:
    """Return the addresses of everyone who would get it now, by contact id."""
    with ctx.read() as session:
        campaign = queries.get_campaign(session, campaign_id)
        today = ctx.clock.today(get_workspace(session).timezone)
        return audience.list_emails(session, campaign, today, ctx.clock.now())


def launch_campaign(ctx: Context, campaign_id: int, *, by: int | None = None) -> SendingState:
    """Start a campaign now, or schedule it where its time is to come; return its new status.

    Safe to repeat: a campaign that has left draft keeps its status.

    Raises:
        NotFoundError: no such campaign.
        InputError: the review has red findings; lists them all.
    """
    with ctx.read() as session:
        campaign = queries.get_campaign(session, campaign_id)
        if campaign.status not in (SendingState.DRAFT, SendingState.MISSED):
            return SendingState(campaign.status)
        version = campaign.version
        facts = gather_facts(session, ctx, campaign)
        red = blockers(review(facts))
    if red:
        raise InputError([Problem(finding.where, finding.what, finding.mend) for finding in red])
    return _leave_draft(ctx, campaign_id, version, facts.audience["sendable"], by)


def _leave_draft(ctx: Context, campaign_id: int, version: int, approved: int, by: int | None) -> SendingState:
    with ctx.write() as session:
        campaign = session.get_one(Campaign, campaign_id, with_for_update=True)
        if campaign.version != version:
            raise ConflictError("the campaign was changed while it was reviewed", mend="look at it again")
        if campaign.status not in (SendingState.DRAFT, SendingState.MISSED):
            return SendingState(campaign.status)
        now = ctx.clock.now()
        is_later = campaign.send_at is not None and campaign.send_at > now
        status = SendingState.SCHEDULED if is_later else SendingState.PREPARING
        campaign.status, campaign.approved_count, campaign.launched_by = status.value, approved, by
        campaign.send_until = (campaign.send_at if is_later and campaign.send_at else now) + _send_span(
            session, campaign
        )
        campaign.updated_at = utc_now()
        record_audit(
            session, "campaign.launch", by=by, subject=("campaign", campaign.id), detail={"sendable": approved}
        )
        if not is_later:
            ctx.ring(session, PREPARE, campaign.id)
    return status


def _send_span(session: Session, campaign: Campaign) -> timedelta:
    if campaign.is_transactional:
        return SEND_UNTIL[SendingClass.TRANSACTIONAL]
    return timedelta(hours=get_limit(session, "send_until_hours"))


def unschedule_campaign(ctx: Context, campaign_id: int, *, by: int | None = None) -> None:
    """Take a scheduled campaign back to draft."""
    with ctx.write() as session:
        taken = session.execute(
            update(Campaign)
            .where(Campaign.id == campaign_id, Campaign.status == SendingState.SCHEDULED.value)
            .values(status=SendingState.DRAFT.value, approved_count=None, updated_at=utc_now())
        )
        if not taken.rowcount:  # type: ignore[attr-defined]
            raise ConflictError("the campaign is not scheduled any more")
        record_audit(session, "campaign.unschedule", by=by, subject=("campaign", campaign_id))


def start_due(ctx: Context) -> list[int]:
    """Start scheduled campaigns whose time has come, and take up those that are still being prepared.

    Any number of processes may do this: the start is a compare-and-set. One that is far too late becomes `missed`.
    """
    with ctx.write() as session:
        now = ctx.clock.now()
        too_late = now - timedelta(hours=get_limit(session, "missed_after_hours"))
        due = update(Campaign).where(Campaign.status == SendingState.SCHEDULED.value, Campaign.send_at <= now)
        missed = due.where(Campaign.send_at < too_late).values(status=SendingState.MISSED.value)
        for campaign_id in session.scalars(missed.returning(Campaign.id)).all():
            record_audit(session, "campaign.missed", actor="schedule", subject=("campaign", campaign_id))
        session.execute(due.values(status=SendingState.PREPARING.value))
        waiting = session.scalars(
            select(Campaign.id).where(Campaign.status == SendingState.PREPARING.value).order_by(Campaign.id)
        ).all()
    for campaign_id in waiting:
        prepare_campaign(ctx, campaign_id)
    return list(waiting)


def prepare_campaign(ctx: Context, campaign_id: int) -> None:
    """Freeze and fill a campaign; one that cannot be frozen goes back to draft, with the reason in the audit."""
    try:
        prepare.prepare(ctx, campaign_id)
    except MailerError as error:
        log.warning("campaign_not_prepared", campaign_id=campaign_id, error=type(error).__name__)
        with ctx.write() as session:
            campaign = session.get_one(Campaign, campaign_id, with_for_update=True)
            if campaign.status == SendingState.PREPARING and campaign.sending_id is None:
                campaign.status, campaign.approved_count = SendingState.DRAFT.value, None
            detail = {"error": error.message}
            record_audit(session, "campaign.not_prepared", by=None, subject=("campaign", campaign_id), detail=detail)

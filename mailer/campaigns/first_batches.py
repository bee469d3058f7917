"""Which batches of a campaign are its first: decide on a canary while the audience is staged, and lay its batches.

The plan is written down before the first message is, so that a prepare that died goes on with the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.addresses import domain_of
from mailer.campaigns.canary import (
    CANARY_ORDINALS,
    DOMAIN_IS_NEW_DAYS,
    IMPORT_IS_NEW_DAYS,
    SAMPLE,
    CanaryPlan,
    Facts,
    Rules,
    decide_canary,
    share_out,
)
from mailer.campaigns.staging import count_by_provider, put_first, sample_recipients
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import any_row
from mailer.delivery import sendings
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.imports import ImportRun
from mailer.schema.workspace import Sender
from mailer.statuses import SendingClass
from mailer.workspace.limits import limit_value
from mailer.workspace.queries import get_workspace


@dataclass(frozen=True)
class First:
    """The ordinal from which on the batches of everybody else are numbered, and whether some were made before."""

    ordinal: int
    is_resumed: bool


def choose(ctx: Context, campaign: Campaign, sending_id: int) -> First:
    """Return where the batches of a campaign begin; `ctx` has the staged audience. Its canary, if any, is laid."""
    with ctx.read() as session:
        last = session.scalar(select(func.max(SendBatch.ordinal)).where(SendBatch.sending_id == sending_id))
        plan = session.get_one(Sending, sending_id).canary
        waiting = count_by_provider(session)
        if last is None and plan is None and not campaign.is_transactional:
            plan = _plan(session, campaign, sum(waiting.values()))
        quotas = _quotas(session, sending_id, plan, waiting) if plan else {}
    if plan is None:
        return First(0 if last is None else last + 1, is_resumed=last is not None)
    with ctx.write() as session:
        sendings.plan_canary(session, sending_id, plan, CANARY_ORDINALS - 1)
    with ctx.read() as session:
        put_first(session, quotas)
    return First(max(CANARY_ORDINALS, 0 if last is None else last + 1), is_resumed=last is not None)


def _plan(session: Session, campaign: Campaign, sendable: int) -> dict[str, Any] | None:
    overrides = get_workspace(session).limits
    rules = _rules(overrides)
    if sendable <= rules.above or rules.watch_seconds <= 0:
        return None
    plan = decide_canary(_gather(session, campaign, sendable, limit_value(overrides, "canary_stale_days")), rules)
    return plan.as_json() if plan else None


def foresee_canary(session: Session, campaign: Campaign, sendable: int) -> CanaryPlan | None:
    """Return the canary that is certain before the audience is frozen: that of a new domain. For the review."""
    rules = _rules(get_workspace(session).limits)
    if campaign.is_transactional or sendable <= rules.above or not _is_new_domain(session, campaign):
        return None
    return decide_canary(Facts(sendable, 0, 0, 0, is_new_domain=True), rules)


def _rules(overrides: Mapping[str, Any]) -> Rules:
    return Rules(
        above=int(limit_value(overrides, "canary_above")),
        share=limit_value(overrides, "canary_share"),
        least=int(limit_value(overrides, "canary_least")),
        most=int(limit_value(overrides, "canary_most")),
        stale_share=limit_value(overrides, "canary_stale_share"),
        watch_seconds=60 * limit_value(overrides, "canary_watch_minutes"),
    )


def _gather(session: Session, campaign: Campaign, sendable: int, stale_days: float) -> Facts:
    """Look at a sample of the staged audience: to look at everybody would cost a giant minutes and say the same."""
    now = utc_now()
    drawn = sample_recipients(SAMPLE).subquery("drawn")
    mine = Message.contact_id == drawn.c.contact_id
    lately = any_row(Message, mine, Message.accepted_at > now - timedelta(days=stale_days))
    ever = any_row(Message, mine, Message.accepted_at.is_not(None))
    new_imports = select(ImportRun.id).where(ImportRun.created_at > now - timedelta(days=IMPORT_IS_NEW_DAYS))
    is_new = Contact.import_id.in_(new_imports) & ~ever
    sample, stale, imported = session.execute(
        select(func.count(), func.count().filter(~lately), func.count().filter(is_new))
        .select_from(drawn)
        .join(Contact, Contact.id == drawn.c.contact_id)
    ).one()
    return Facts(sendable, sample, stale, imported, _is_new_domain(session, campaign))


def _is_new_domain(session: Session, campaign: Campaign) -> bool:
    """Whether the sender's domain sent its first marketing mail less than 30 days ago, or none yet."""
    emails = {number: email for number, email in session.execute(select(Sender.id, Sender.from_email))}
    domain = domain_of(emails.get(campaign.sender_id or 0, ""))
    same = [number for number, email in emails.items() if domain_of(email) == domain]
    first = session.scalar(
        select(func.min(Sending.started_at)).where(
            Sending.sender_id.in_(same), Sending.sending_class == SendingClass.MARKETING.value
        )
    )
    return first is None or first > utc_now() - timedelta(days=DOMAIN_IS_NEW_DAYS)


def _quotas(session: Session, sending_id: int, plan: Mapping[str, Any], waiting: Mapping[str, int]) -> dict[str, int]:
    """Return how many of the staged people of each provider go first, less those who were laid before a restart."""
    laid = session.scalar(
        select(func.count())
        .select_from(SendBatch)
        .join(Message, Message.batch_id == SendBatch.id)
        .where(SendBatch.sending_id == sending_id, SendBatch.ordinal < CANARY_ORDINALS)
    )
    return share_out(max(0, int(plan["size"]) - (laid or 0)), waiting)

"""Overrides of a campaign: whom one would name, asking for it, agreeing, taking it back (FEATURES C3).

What an override may do is consent's (consent/overrides.py); here it meets the audience of a campaign.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from mailer.campaigns import queries
from mailer.campaigns.audience import audience_select
from mailer.campaigns.drafts import get_editable
from mailer.consent import overrides
from mailer.context import Context
from mailer.errors import InputError, NotFoundError
from mailer.schema.accounts import Staff
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import ConsentOverride
from mailer.statuses import SkipReason
from mailer.workspace.queries import get_workspace

_MISSING = (SkipReason.NO_PERMISSION.value, SkipReason.NOT_SUBSCRIBED.value)


@dataclass(frozen=True)
class OverrideLine:
    """An override with the names of who asked, agreed and took it back."""

    row: ConsentOverride
    requested_by: str
    approved_by: str
    ended_by: str


def count_missing(ctx: Context, campaign_id: int) -> tuple[int, int]:
    """Return how many of the audience lack permission or subscription, and how many of them may be named."""
    with ctx.read() as session:
        campaign = queries.get_campaign(session, campaign_id)
        people = _missing(session, ctx, campaign)
        named = overrides.can_be_named(people, campaign.topic_id or 0)
        counts = [
            session.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) for rows in (people, named)
        ]
    return counts[0] or 0, counts[1] or 0


def list_lines(session: Session, campaign_id: int) -> list[OverrideLine]:
    """Return the overrides of a campaign, newest first."""
    rows: Sequence[ConsentOverride] = overrides.list_overrides(session, campaign_id)
    ids = {number for row in rows for number in (row.requested_by, row.approved_by, row.ended_by) if number}
    names = {one.id: one.name or one.email for one in session.scalars(select(Staff).where(Staff.id.in_(ids)))}
    return [
        OverrideLine(
            row, names[row.requested_by], names.get(row.approved_by or 0, ""), names.get(row.ended_by or 0, "")
        )
        for row in rows
    ]


def request_override(ctx: Context, campaign_id: int, reason: str, *, by: int) -> ConsentOverride:
    """Name everybody in the audience of a draft who lacks permission or subscription and has not said no.

    Raises:
        ConflictError: the campaign has started, or has an override.
        InputError: no reason, nobody to name or too many, or a campaign without a topic.
    """
    with ctx.write() as session:
        campaign = get_editable(session, campaign_id)
        if campaign.topic_id is None or campaign.is_transactional:
            raise InputError("only a campaign about a topic needs an override", where="reason")
        people = _missing(session, ctx, campaign)
        return overrides.request_override(session, campaign.id, campaign.topic_id, people, reason=reason, by=by)


def approve_override(ctx: Context, campaign_id: int, override: uuid.UUID, *, by: int) -> None:
    """Agree as the second person. Raises as consent's `approve_override` does."""
    with ctx.write() as session:
        overrides.approve_override(session, _own(session, campaign_id, override), by=by)


def end_override(ctx: Context, campaign_id: int, override: uuid.UUID, *, by: int) -> None:
    """Take an override back, also while the campaign runs: no later gate goes by it."""
    with ctx.write() as session:
        overrides.end_override(session, _own(session, campaign_id, override), by=by)


def _own(session: Session, campaign_id: int, public_id: uuid.UUID) -> ConsentOverride:
    found = overrides.get_override(session, public_id)
    if found.campaign_id != campaign_id:
        raise NotFoundError("no such override")
    return found


def _missing(session: Session, ctx: Context, campaign: Campaign) -> Select[int, int]:
    """The contacts of the audience who lack permission or subscription: id and address id."""
    today = ctx.clock.today(get_workspace(session).timezone)
    rows = audience_select(session, campaign, today, ctx.clock.now()).order_by(None).subquery("audience")
    return select(rows.c.id, rows.c.address_id).where(rows.c.reason.in_(_MISSING))

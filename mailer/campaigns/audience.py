"""Who gets a campaign, and for each who does not, the first reason that applies (FEATURES M8).

One select that page, command and launch share.
"""

from datetime import date, datetime

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, false, func, literal, not_, or_, select
from sqlalchemy.orm import Session

from mailer.consent.conditions import (
    DEAD_REASONS,
    Facts,
    grants_subscription,
    has_said_no,
    is_do_not_mail,
    is_marketing_row,
    is_suppressed,
    pauses,
    permits,
    why_not_marketing,
)
from mailer.consent.overrides import find_active
from mailer.schema.campaigns import Campaign, CampaignSegment
from mailer.schema.consent import Consent, ConsentOverridePerson, Subscription
from mailer.schema.contacts import Address, Contact
from mailer.schema.segments import Segment
from mailer.segments.queries import member_condition
from mailer.statuses import SkipReason

COUNTED = (
    SkipReason.EXCLUDED,
    SkipReason.DUPLICATE,
    SkipReason.NO_ADDRESS,
    SkipReason.INVALID_ADDRESS,
    SkipReason.NO_PERMISSION,
    SkipReason.NOT_SUBSCRIBED,
    SkipReason.PAUSED,
    SkipReason.SUPPRESSED,
    SkipReason.DO_NOT_MAIL,
    SkipReason.CAPPED,
)
_FIGURES = {SkipReason.DUPLICATE: "duplicates"}


def audience_select(session: Session, campaign: Campaign, today: date, now: datetime) -> Select[int, int, str, str]:
    """Return the whole audience by contact id: id, address id, provider, reason or NULL.

    The rows that permission hangs on are joined: one pass for everybody instead of a look for each.
    """
    before = _before_duplicates(session, campaign, today)
    place = func.row_number().over(partition_by=[before.c.address_id, before.c.reason.is_(None)], order_by=before.c.id)
    ranked = select(before, place.label("place")).subquery("ranked")
    override_id = None if campaign.is_transactional else find_active(session, campaign.id, campaign.topic_id)
    reason = case(
        (ranked.c.reason.is_not(None), ranked.c.reason),
        (ranked.c.place > 1, SkipReason.DUPLICATE.value),
        *_consent_reasons(campaign, ranked, now, override_id),
        else_=None,
    )
    query = select(ranked.c.id, ranked.c.address_id, ranked.c.provider, reason.label("reason")).order_by(ranked.c.id)
    if campaign.is_transactional:
        return query
    topic_id = literal(campaign.topic_id or 0)
    query = (
        query.select_from(ranked)
        .outerjoin(Consent, is_marketing_row(ranked.c.id))
        .outerjoin(Subscription, grants_subscription(ranked.c.id, topic_id))
    )
    if override_id is None:
        return query
    person = and_(ConsentOverridePerson.override_id == override_id, ConsentOverridePerson.contact_id == ranked.c.id)
    return query.outerjoin(ConsentOverridePerson, person)


def _before_duplicates(session: Session, campaign: Campaign, today: date):  # type: ignore[no-untyped-def]
    """The matched contacts with the reasons that come before `duplicate`."""
    included, excluded = _conditions(session, campaign, today)
    reason = case(
        (excluded, SkipReason.EXCLUDED.value),
        (or_(Contact.address_id.is_(None), Address.email.is_(None)), SkipReason.NO_ADDRESS.value),
        (Address.is_valid.is_(False), SkipReason.INVALID_ADDRESS.value),
        (is_do_not_mail(), SkipReason.DO_NOT_MAIL.value),
        else_=None,
    )
    return (
        select(Contact.id, Contact.address_id, Address.provider, Address.email_hash, reason.label("reason"))
        .outerjoin(Address, Address.id == Contact.address_id)
        .where(Contact.archived_at.is_(None), included)
        .subquery("matched")
    )


def _conditions(session: Session, campaign: Campaign, today: date) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    rows = session.execute(
        select(CampaignSegment.mode, Segment)
        .join(Segment, Segment.id == CampaignSegment.segment_id)
        .where(CampaignSegment.campaign_id == campaign.id)
        .order_by(Segment.id)
    ).all()
    chosen: dict[str, list[ColumnElement[bool]]] = {"include": [], "exclude": []}
    for mode, segment in rows:
        chosen[mode].append(member_condition(session, segment, today))
    return or_(false(), *chosen["include"]), or_(false(), *chosen["exclude"])


def _consent_reasons(
    campaign: Campaign, ranked: FromClause, now: datetime, override_id: int | None
) -> list[tuple[ColumnElement[bool], str]]:
    if campaign.is_transactional:
        return [(is_suppressed(ranked.c.email_hash, None, reasons=DEAD_REASONS), SkipReason.SUPPRESSED.value)]
    topic_id = literal(campaign.topic_id or 0)
    named = and_(ConsentOverridePerson.contact_id.is_not(None), not_(has_said_no(ranked.c.address_id, topic_id)))
    facts = Facts(
        is_do_not_mail=false(),  # the reasons before `duplicate` have said so
        is_suppressed=is_suppressed(ranked.c.email_hash, topic_id),
        is_permitted=and_(Consent.contact_id.is_not(None), permits(topic_id, now)),
        is_subscribed=Subscription.contact_id.is_not(None),
        is_paused=and_(Consent.contact_id.is_not(None), pauses(now)),
        is_overridden=false() if override_id is None else named,
    )
    return [(forbids, reason.value) for forbids, reason in why_not_marketing(facts)]


def count_audience(session: Session, campaign: Campaign, today: date, now: datetime) -> dict[str, int]:
    """Return the waterfall of INTERFACES: matched, each reason (zeros too), sendable."""
    rows = audience_select(session, campaign, today, now).order_by(None).subquery("audience")
    counted: dict[str | None, int] = {
        reason: count for reason, count in session.execute(select(rows.c.reason, func.count()).group_by(rows.c.reason))
    }
    figures = {"matched": sum(counted.values())}
    figures |= {_FIGURES.get(reason, reason.value): counted.get(reason.value, 0) for reason in COUNTED}
    return figures | {"sendable": counted.get(None, 0)}


def sample_sendable(session: Session, campaign: Campaign, today: date, now: datetime, limit: int) -> list[int]:
    """Return the first contacts who would get the mail, by id."""
    rows = audience_select(session, campaign, today, now).order_by(None).subquery("audience")
    return list(session.scalars(select(rows.c.id).where(rows.c.reason.is_(None)).order_by(rows.c.id).limit(limit)))


def list_emails(session: Session, campaign: Campaign, today: date, now: datetime) -> list[str]:
    """Return the addresses of everyone who would get the mail, by contact id."""
    rows = audience_select(session, campaign, today, now).order_by(None).subquery("audience")
    query = select(Address.email).join(rows, rows.c.address_id == Address.id).where(rows.c.reason.is_(None))
    return [email for email in session.scalars(query.order_by(rows.c.id)) if email]

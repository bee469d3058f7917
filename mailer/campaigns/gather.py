"""Gather what the review, the test mail and the preview of a campaign are made of. Never commits."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.queries import find_staff, list_groups
from mailer.actions.queries import get_webhook_by_name
from mailer.addresses import domain_of
from mailer.campaigns import audience
from mailer.campaigns.attach import list_files
from mailer.campaigns.first_batches import foresee_canary
from mailer.campaigns.form_links import check_forms, find_form_id
from mailer.campaigns.review import Facts
from mailer.clock import utc_now
from mailer.consent.queries import get_topic
from mailer.content.check import Finding, Level
from mailer.content.service import ContentSpec, check_content, get_design_source
from mailer.context import Context
from mailer.delivery.domain_queries import find_standing
from mailer.delivery.domains import Standing
from mailer.delivery.recipients import load_values
from mailer.delivery.transports import describe_relays, list_relays
from mailer.delivery.warm_up import count_left
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Topic
from mailer.schema.reputation import Breaker
from mailer.schema.workspace import Sender
from mailer.segments.bulk.fields import find_field, read_value
from mailer.segments.queries import get_segment
from mailer.settings import is_loopback
from mailer.statuses import BREAKER_STOPS, ActionKind
from mailer.workspace.queries import find_quiet_end, get_workspace

SAMPLE_LIMIT = 5_000
_PAGE = 500
_LATELY = timedelta(days=7)


def build_content_spec(session: Session, campaign: Campaign) -> ContentSpec:
    """Return the content of a campaign: own MJML or a design, its data and links; names become ids.

    Raises:
        NotFoundError: the design does not exist, or what an action names.
        InputError: an action sets a field that there is not, or to what does not suit it.
    """
    design = None if campaign.mjml else get_design_source(session, campaign.design)
    defaults: Mapping[str, Any] = design.data if design else {}
    return ContentSpec(
        mjml=campaign.mjml or (design.mjml if design else ""),
        subject=campaign.subject,
        preheader=campaign.preheader,
        name=campaign.name,
        data=_merged(defaults, campaign.data),
        links=tuple(_with_ids(session, link) for link in campaign.links),
        is_marketing=not campaign.is_transactional,
        attachments=tuple(list_files(session, campaign.id)),
    )


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A design's sample values stand in only for whole keys that the campaign says nothing about."""
    return {**defaults, **own}


def _with_ids(session: Session, link: Mapping[str, Any]) -> dict[str, Any]:
    named = {"form": find_form_id(session, link["form"])} if "form" in link else {}
    return {**link, **named, "actions": [_with_id(session, action) for action in link.get("actions", ())]}


def _with_id(session: Session, action: object) -> object:
    if not isinstance(action, Mapping):
        return action
    return {kind: _id_of(session, kind, value) for kind, value in action.items()}


def _id_of(session: Session, kind: str, value: Any) -> Any:
    """Return the id of what an action names; a field and its value are looked at, so that the review says it."""
    if kind == ActionKind.SET_FIELD and isinstance(value, Mapping) and {"field", "value"} <= set(value):
        read_value(session, find_field(session, str(value["field"])), value["value"])
    if kind == ActionKind.FOLLOW_UP and isinstance(value, Mapping):
        _require_owner(session, str(value.get("owner", "")))
    if not isinstance(value, str):
        return value
    match kind:
        case ActionKind.ADD_TO_SEGMENT | ActionKind.REMOVE_FROM_SEGMENT:
            return get_segment(session, value).id
        case ActionKind.SUBSCRIBE:
            return get_topic(session, value).id
        case ActionKind.WEBHOOK:
            return get_webhook_by_name(session, value).id
        case _:
            return value


def _require_owner(session: Session, owner: str) -> None:
    """Raise NotFoundError where the person or the group that a task is for is none of the staff."""
    group = owner.removeprefix("group:")
    if group != owner and group not in list_groups(session):
        known = ", ".join(list_groups(session)) or "none yet"
        raise NotFoundError(f"nobody works in the group {group!r}", mend=f"groups: {known}")
    if "@" in owner and group == owner and find_staff(session, owner) is None:
        raise NotFoundError(f"nobody of the staff has the address {owner}", mend="choose a person of the list")


def gather_facts(session: Session, ctx: Context, campaign: Campaign) -> Facts:
    """Return what the review looks at; what is missing is a finding, never an error."""
    sender = session.get(Sender, campaign.sender_id) if campaign.sender_id else None
    topic = session.get(Topic, campaign.topic_id) if campaign.topic_id else None
    now = ctx.clock.now()
    today = ctx.clock.today(get_workspace(session).timezone)
    relay, is_permitted = describe_relays(session, ctx)
    starts_at = max(now, campaign.send_at) if campaign.send_at else now
    figures = audience.count_audience(session, campaign, today, now)
    return Facts(
        subject=campaign.subject,
        sender_email=sender.from_email if sender else "",
        sender_postal_address=sender.postal_address if sender else "",
        has_sender=sender is not None,
        topic=topic.name if topic else "",
        is_transactional=campaign.is_transactional,
        audience=figures,
        content=_check_content(session, ctx, campaign, sender),
        relay=relay,
        is_relay_permitted=is_permitted,
        quiet_until=find_quiet_end(session, starts_at),
        keeps_quiet_hours=campaign.keeps_quiet_hours,
        timezone=get_workspace(session).timezone,
        warm_up_left=_warm_up_left(session, ctx, campaign, sender),
        recent_names=_sent_lately(session, campaign),
        attached_bytes=sum(file.size for file in list_files(session, campaign.id)),
        canary=foresee_canary(session, campaign, figures["sendable"]),
        domain_stands=_why_domain_stands(session, campaign, sender),
        **_identity(session, ctx, sender),
    )


def _why_domain_stands(session: Session, campaign: Campaign, sender: Sender | None) -> str:
    """Return why the breaker holds every marketing campaign of the sender's domain; empty where it does not."""
    if sender is None or campaign.is_transactional:
        return ""
    note = session.scalar(
        select(Breaker.note).where(
            Breaker.scope == "domain",
            Breaker.scope_key == domain_of(sender.from_email),
            Breaker.state.in_([state.value for state in BREAKER_STOPS]),
        )
    )
    return note or ""


def _check_content(session: Session, ctx: Context, campaign: Campaign, sender: Sender | None) -> list[Finding]:
    try:
        spec = build_content_spec(session, campaign)
    except (ConflictError, NotFoundError, InputError) as error:
        return [Finding("missing", Level.RED, error.message, "content", error.mend)]
    now = ctx.clock.now()
    found = check_forms(session, spec.links, max(now, campaign.send_at) if campaign.send_at else now)
    return [*found, *check_content(spec, iter_samples(session, ctx, campaign, sender))]


def iter_samples(
    session: Session, ctx: Context, campaign: Campaign, sender: Sender | None
) -> Iterator[Mapping[str, Any]]:
    """Yield the template contexts of up to 5,000 people who would get the mail."""
    today = ctx.clock.today(get_workspace(session).timezone)
    ids = audience.sample_sendable(session, campaign, today, ctx.clock.now(), SAMPLE_LIMIT)
    shared = sample_shared(ctx, sender)
    for start in range(0, len(ids), _PAGE):
        for values in load_values(session, ids[start : start + _PAGE]).values():
            yield {**values, **shared}


def sample_shared(ctx: Context, sender: Sender | None) -> dict[str, Any]:
    """Return the part of a context that does not hang on the contact, with links that lead nowhere."""
    base = ctx.settings.public_url
    values = {
        "name": sender.from_name if sender else "",
        "email": sender.from_email if sender else "",
        "postal_address": sender.postal_address if sender else "",
        "organisation_number": sender.organisation_number if sender else "",
        "privacy_url": sender.privacy_url if sender else "",
        "footer": sender.footer if sender else "",
    }
    return {
        "sender": {key: value for key, value in values.items() if value},
        "view_url": f"{base}/v/preview",
        "unsubscribe_url": f"{base}/u/preview",
        "preferences_url": f"{base}/p/preview",
        "pixel_url": "",
    }


def _warm_up_left(session: Session, ctx: Context, campaign: Campaign, sender: Sender | None) -> int | None:
    """Return what the domain of the sender may still send today while it warms up; None where nothing limits it."""
    if sender is None or campaign.is_transactional or all(one.is_embedded for one in list_relays(session, ctx)):
        return None
    return count_left(session, ctx, sender.from_email)


def _identity(session: Session, ctx: Context, sender: Sender | None) -> dict[str, Any]:
    """Return the facts about the domain in From: whether mails leave this machine, and what its last checks said."""
    standing = find_standing(session, sender.from_email) if sender else Standing()
    return {
        "is_outside": any(not is_loopback(one.relay.host) for one in list_relays(session, ctx)),
        "standing": standing,
        "checked_ago": utc_now() - standing.checked_at if standing.checked_at else timedelta(),
    }


def _sent_lately(session: Session, campaign: Campaign) -> Sequence[str]:
    return session.scalars(
        select(Campaign.name)
        .where(
            Campaign.id != campaign.id,
            Campaign.subject == campaign.subject,
            Campaign.sending_id.is_not(None),
            Campaign.updated_at > utc_now() - _LATELY,
        )
        .limit(3)
    ).all()

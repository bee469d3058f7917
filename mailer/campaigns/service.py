"""Use-cases of campaigns: draft, review, launch, schedule, hold, end."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.addresses import AddressError, check_address
from mailer.campaigns import audience, prepare, queries
from mailer.campaigns.attach import add_files, forget_files, list_files
from mailer.campaigns.drafts import EDITABLE as EDITABLE
from mailer.campaigns.drafts import change_draft, get_editable
from mailer.campaigns.gather import build_content_spec, gather_facts
from mailer.campaigns.jobs import PREPARE
from mailer.campaigns.review import blockers, review
from mailer.campaigns.spec import Draft
from mailer.campaigns.windows import parse_local_time
from mailer.clock import utc_now
from mailer.consent.queries import get_topic
from mailer.content.attachments import store_file
from mailer.content.check import Finding
from mailer.content.service import freeze_content
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery import service as delivery
from mailer.delivery.breakers import find_stopping
from mailer.delivery.holds import release_all_providers, release_provider
from mailer.delivery.policy import SEND_UNTIL
from mailer.delivery.sendings import SendingSpec
from mailer.errors import ConflictError, InputError, MailerError, NotFoundError, Problem
from mailer.log import get_logger
from mailer.schema.campaigns import Campaign, CampaignSegment, TestSending
from mailer.segments import uses
from mailer.segments.queries import get_segment
from mailer.statuses import ActionKind, SendingClass, SendingState
from mailer.workspace.queries import find_sender, get_limit, get_workspace, list_senders

log = get_logger("campaigns")
_SEGMENT_ACTIONS = (ActionKind.ADD_TO_SEGMENT.value, ActionKind.REMOVE_FROM_SEGMENT.value)
PLAIN_KEYS = frozenset(
    {
        "name", "subject", "preheader", "sender_id", "topic_id", "is_transactional", "transactional_reason", "design",
        "mjml", "data", "links", "track_opens", "track_clicks", "rate_per_second", "keeps_quiet_hours", "send_at",
    }
)  # fmt: skip


# ------------------------------------------------------------------ drafts


def create_campaign(ctx: Context, draft: Draft, *, by: int | None = None) -> Campaign:
    """Create a draft from a campaign file; names become rows.

    Raises:
        InputError: a sender, topic or segment that does not exist; lists all of them.
    """
    file = draft.file
    with ctx.write() as session:
        problems: list[Problem] = []
        sender_id = _resolve(problems, "sender", lambda: _sender_id(session, file.sender))
        topic_id = _resolve(problems, "topic", lambda: get_topic(session, file.topic).id) if file.topic else None
        chosen = {
            mode: [_resolve(problems, mode, lambda name=name: get_segment(session, name).id) for name in names]
            for mode, names in (("include", file.include), ("exclude", file.exclude))
        }
        send_at = _resolve(problems, "send_at", lambda: _send_at(session, file.send_at)) if file.send_at else None
        if problems:
            raise InputError(problems)
        now = utc_now()
        campaign = Campaign(
            name=file.name, subject=file.subject, preheader=file.preheader, sender_id=sender_id, topic_id=topic_id,
            is_transactional=file.transactional, transactional_reason=file.transactional_reason,
            design=file.design, mjml=draft.mjml, data=file.data, links=file.links, track_opens=file.track_opens,
            track_clicks=file.track_clicks, rate_per_second=file.rate_per_second, keeps_quiet_hours=file.quiet_hours,
            send_at=send_at, created_by=by, created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(campaign)
        session.flush()
        _choose_segments(session, campaign.id, chosen)
        _record_link_actions(session, campaign)
        add_files(session, campaign.id, [store_file(session, *one) for one in draft.attachments])
        record_audit(session, "campaign.create", by=by, subject=("campaign", campaign.id))
    return campaign


def create_draft(ctx: Context, name: str, *, include: Sequence[int] = (), by: int | None = None) -> Campaign:
    """Create a draft that is empty but for its audience, to be filled in step by step."""
    if not name.strip():
        raise InputError("a campaign needs a name", where="name")
    now = utc_now()
    with ctx.write() as session:
        senders = list_senders(session)
        campaign = Campaign(
            name=name.strip(), sender_id=senders[0].id if len(senders) == 1 else None, created_by=by,
            created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(campaign)
        session.flush()
        _choose_segments(session, campaign.id, {"include": include})
        record_audit(session, "campaign.create", by=by, subject=("campaign", campaign.id))
    return campaign


def update_campaign(
    ctx: Context,
    campaign_id: int,
    values: Mapping[str, Any],
    *,
    include: Sequence[int] | None = None,
    exclude: Sequence[int] | None = None,
) -> Campaign:
    """Change what is given of a campaign that has not started; a scheduled one goes back to draft.

    Raises:
        ConflictError: it has started.
        InputError: a key that no campaign has.
    """
    unknown = values.keys() - PLAIN_KEYS
    if unknown:
        raise InputError([Problem(key, "a campaign has no such field") for key in sorted(unknown)])
    with ctx.write() as session:
        campaign = change_draft(session, campaign_id)
        for key, value in values.items():
            setattr(campaign, key, value)
        chosen = {mode: list(ids) for mode, ids in (("include", include), ("exclude", exclude)) if ids is not None}
        _choose_segments(session, campaign.id, chosen)
        if "links" in values:
            _record_link_actions(session, campaign)
    return campaign


def duplicate_campaign(ctx: Context, campaign_id: int, *, by: int | None = None) -> Campaign:
    """Return a new draft with the same content and audience."""
    with ctx.write() as session:
        old = queries.get_campaign(session, campaign_id)
        now = utc_now()
        kept = {key: getattr(old, key) for key in PLAIN_KEYS - {"name", "send_at"}}
        new = Campaign(**kept, name=f"{old.name} (copy)"[:200], created_by=by, created_at=now, updated_at=now)
        session.add(new)
        session.flush()
        chosen = {mode: [s.id for s in queries.list_segments(session, old.id, mode)] for mode in ("include", "exclude")}
        _choose_segments(session, new.id, chosen)
        _record_link_actions(session, new)
        add_files(session, new.id, list_files(session, old.id))
    return new


def delete_draft(ctx: Context, campaign_id: int, *, by: int | None = None) -> None:
    """Archive a campaign that never started; ConflictError where it did."""
    with ctx.write() as session:
        campaign = get_editable(session, campaign_id)
        forget_files(session, campaign_id)
        campaign.archived_at, campaign.status = utc_now(), SendingState.DRAFT.value
        for kind in ("campaign", "link_action"):
            uses.forget_uses(session, kind, campaign.id)
        record_audit(session, "campaign.delete", by=by, subject=("campaign", campaign.id))


def _resolve(problems: list[Problem], where: str, find: Any) -> Any:
    try:
        return find()
    except InputError as error:
        problems += error.problems
    except (NotFoundError, ConflictError) as error:
        problems.append(Problem(where, error.message, error.mend))
    return None


def _sender_id(session: Session, name: str) -> int:
    sender = find_sender(session, name)
    if sender is None:
        known = ", ".join(row.name for row in list_senders(session)) or "none yet"
        raise NotFoundError(f"no sender profile is called {name!r}", mend=f"sender profiles: {known}")
    return sender.id


def _send_at(session: Session, text: str) -> datetime:
    return parse_local_time(text, get_workspace(session).timezone).at


def _choose_segments(session: Session, campaign_id: int, chosen: Mapping[str, Sequence[int]]) -> None:
    for mode, ids in chosen.items():
        session.execute(
            delete(CampaignSegment).where(CampaignSegment.campaign_id == campaign_id, CampaignSegment.mode == mode)
        )
        rows = [{"campaign_id": campaign_id, "segment_id": number, "mode": mode} for number in dict.fromkeys(ids)]
        if rows:
            session.execute(insert(CampaignSegment), rows)
    if chosen:
        found = [queries.list_segments(session, campaign_id, mode) for mode in ("include", "exclude")]
        uses.record_uses(session, [segment.id for mode in found for segment in mode], "campaign", campaign_id)


def _record_link_actions(session: Session, campaign: Campaign) -> None:
    """Record the segments that links of a campaign put people into or take them out of; the review finds others."""
    actions = [action for link in campaign.links for action in link.get("actions", ()) if isinstance(action, Mapping)]
    named = {str(action[kind]) for action in actions for kind in _SEGMENT_ACTIONS if kind in action}
    found = []
    for name in sorted(named):
        with suppress(NotFoundError, ConflictError):
            found.append(get_segment(session, name).id)
    uses.record_uses(session, found, "link_action", campaign.id)


# ------------------------------------------------------------------ review and launch


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


# ------------------------------------------------------------------ while it runs


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


# ------------------------------------------------------------------ test mails


def send_test(
    ctx: Context, campaign_id: int, addresses: Sequence[str], *, contact_id: int | None, by: int | None
) -> int:
    """Send the campaign as it is to typed addresses with a contact's data; outside all figures. Return how many.

    Raises:
        InputError: an address is none, or the content does not compile.
    """
    checked = [_checked(number, text) for number, text in enumerate(addresses)]
    with ctx.write() as session:
        campaign = queries.get_campaign(session, campaign_id)
        if campaign.sender_id is None:
            raise InputError("no sender profile is chosen", where="sender")
        version = freeze_content(session, ctx, build_content_spec(session, campaign))
        spec = SendingSpec(
            sending_class=SendingClass.TEST,
            sender_id=campaign.sender_id,
            content_version_id=version.id,
            topic_id=campaign.topic_id,
            send_until=ctx.clock.now() + SEND_UNTIL[SendingClass.TEST],
        )
        sending = sendings.create_sending(session, ctx, spec)
        session.add(TestSending(sending_id=sending.id, campaign_id=campaign.id))
        delivery.add_direct_messages(session, ctx, sending.id, checked, contact_id=contact_id)
        sendings.start_sending(session, ctx, sending.id)
        detail = {"count": len(checked)}
        record_audit(session, "campaign.test", by=by, subject=("campaign", campaign_id), detail=detail)
    return len(checked)


def _checked(number: int, text: str) -> str:
    try:
        return check_address(text).email
    except AddressError as error:
        raise InputError(str(error), where=f"address {number + 1}") from error

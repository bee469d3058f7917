"""Make and change drafts: from a campaign file, step by step, as a copy; archive those that never started."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.campaigns import queries
from mailer.campaigns.attach import add_files, forget_files, list_files
from mailer.campaigns.drafts import change_draft, get_editable
from mailer.campaigns.spec import Draft
from mailer.campaigns.windows import parse_local_time
from mailer.clock import utc_now
from mailer.consent.queries import get_topic
from mailer.content.attachments import store_file
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError, Problem
from mailer.schema.campaigns import Campaign, CampaignSegment
from mailer.segments import uses
from mailer.segments.queries import get_segment
from mailer.statuses import ActionKind, SendingState
from mailer.workspace.queries import find_sender, get_workspace, list_senders

_SEGMENT_ACTIONS = (ActionKind.ADD_TO_SEGMENT.value, ActionKind.REMOVE_FROM_SEGMENT.value)
PLAIN_KEYS = frozenset(
    {
        "name", "subject", "preheader", "sender_id", "topic_id", "is_transactional", "transactional_reason", "design",
        "mjml", "data", "links", "track_opens", "track_clicks", "rate_per_second", "keeps_quiet_hours", "send_at",
    }
)  # fmt: skip


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

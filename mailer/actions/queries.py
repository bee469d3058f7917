"""Reads of actions: what they do, what came of them, the webhooks there are."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailer.errors import NotFoundError
from mailer.schema.actions import ActionRun, Webhook
from mailer.schema.consent import Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.segments import Segment

NOT_DONE = ("refused", "failed")
"""States that are shown until somebody has them tried again or lets them be."""


def list_webhooks(session: Session) -> Sequence[Webhook]:
    """Return the webhooks in use, by name."""
    return session.scalars(select(Webhook).where(Webhook.archived_at.is_(None)).order_by(Webhook.name)).all()


def get_webhook(session: Session, public_id: uuid.UUID) -> Webhook:
    """Return a webhook or raise NotFoundError."""
    row = session.scalar(select(Webhook).where(Webhook.public_id == public_id))
    if row is None:
        raise NotFoundError("no such webhook")
    return row


def get_webhook_by_name(session: Session, name: str) -> Webhook:
    """Return the webhook in use called `name`; NotFoundError says which there are."""
    found = {row.name: row for row in list_webhooks(session)}
    if name not in found:
        raise NotFoundError(f"there is no webhook {name!r}", mend="webhooks: " + (", ".join(found) or "none yet"))
    return found[name]


def count_outcomes(session: Session, version_id: int) -> dict[tuple[int, str], int]:
    """Return how many runs of the actions of a content version are in each state, by (action id, state)."""
    rows = session.execute(
        select(ActionRun.link_action_id, ActionRun.state, func.count())
        .join(LinkAction, LinkAction.id == ActionRun.link_action_id)
        .join(TrackedLink, TrackedLink.id == LinkAction.tracked_link_id)
        .where(TrackedLink.content_version_id == version_id)
        .group_by(ActionRun.link_action_id, ActionRun.state)
    )
    return {(action_id, state): count for action_id, state, count in rows}


def list_actions(session: Session, version_id: int) -> Sequence[LinkAction]:
    """Return the actions of a content version's links, in the order of links and actions."""
    query = (
        select(LinkAction)
        .join(TrackedLink, TrackedLink.id == LinkAction.tracked_link_id)
        .where(TrackedLink.content_version_id == version_id)
        .order_by(TrackedLink.ordinal, LinkAction.ordinal)
    )
    return session.scalars(query).all()


@dataclass(frozen=True)
class Names:
    """Names of what actions speak of, by id."""

    segments: Mapping[int, tuple[str, uuid.UUID]]
    topics: Mapping[int, str]
    webhooks: Mapping[int, str]

    def of(self, params: Mapping[str, Any]) -> str:
        """Return what the params of an action name, in words; empty for a follow-up."""
        if "segment_id" in params:
            return self.segments.get(int(params["segment_id"]), ("?",))[0]
        if "topic_id" in params:
            return self.topics.get(int(params["topic_id"]), "?")
        if "webhook_id" in params:
            return self.webhooks.get(int(params["webhook_id"]), "?")
        if "field" in params:
            return f"{params['field']} = {params.get('value', '')}"
        return str(params.get("tag") or params.get("title") or "")


def load_names(session: Session, actions: Sequence[LinkAction]) -> Names:
    """Return the names of what `actions` speak of."""

    def ids(key: str) -> set[int]:
        return {int(action.params[key]) for action in actions if key in action.params}

    segments = session.execute(
        select(Segment.id, Segment.name, Segment.public_id).where(Segment.id.in_(ids("segment_id")))
    )
    topics = session.execute(select(Topic.id, Topic.name).where(Topic.id.in_(ids("topic_id"))))
    webhooks = session.execute(select(Webhook.id, Webhook.name).where(Webhook.id.in_(ids("webhook_id"))))
    return Names(
        {row[0]: (row[1], row[2]) for row in segments},
        {row[0]: row[1] for row in topics},
        {row[0]: row[1] for row in webhooks},
    )


@dataclass(frozen=True)
class RunLine:
    """A run of an action as lists show it."""

    id: int
    kind: str
    params: Mapping[str, Any]
    url: str
    label: str
    contact: uuid.UUID
    email: str
    name: str
    state: str
    note: str
    attempts: int
    hit_at: datetime
    due_at: datetime
    done_at: datetime | None


def list_runs(
    session: Session, *, version_id: int, state: str = "", before_id: int | None = None, limit: int = 50
) -> list[RunLine]:
    """Return runs of the actions of a content version, newest first, in keyset pages."""
    of_state = [ActionRun.state == state] if state else []
    return _list_page(
        session, TrackedLink.content_version_id == version_id, *of_state, before_id=before_id, limit=limit
    )


def list_not_done(session: Session, *, before_id: int | None = None, limit: int = 50) -> list[RunLine]:
    """Return what was refused or failed, over all campaigns, newest first."""
    return _list_page(session, can_be_tried(), before_id=before_id, limit=limit)


def can_be_tried() -> ColumnElement[bool]:
    """Return the condition that a run was not done and may be tried again; what has ended may not."""
    return ActionRun.state.in_(NOT_DONE) & (ActionRun.note != "ended")


def _list_page(session: Session, *conditions: ColumnElement[bool], before_id: int | None, limit: int) -> list[RunLine]:
    query = (
        select(ActionRun, LinkAction, TrackedLink, Contact, Address.email)
        .join(LinkAction, LinkAction.id == ActionRun.link_action_id)
        .join(TrackedLink, TrackedLink.id == LinkAction.tracked_link_id)
        .join(Contact, Contact.id == ActionRun.contact_id)
        .outerjoin(Address, Address.id == Contact.address_id)
        .where(*conditions)
        .order_by(ActionRun.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(ActionRun.id < before_id)
    return [_line(*row) for row in session.execute(query)]


def _line(run: ActionRun, action: LinkAction, link: TrackedLink, contact: Contact, email: str | None) -> RunLine:
    return RunLine(
        id=run.id,
        kind=action.kind,
        params=action.params,
        url=link.url,
        label=link.label,
        contact=contact.public_id,
        email=email or "",
        name=f"{contact.first_name} {contact.last_name}".strip(),
        state=run.state,
        note=run.note,
        attempts=run.attempts,
        hit_at=run.hit_at,
        due_at=run.due_at,
        done_at=run.done_at,
    )

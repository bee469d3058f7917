"""The verbs: what may be done for one contact, inside the caller's transaction (docs/reference/link-actions.md).

Links, forms and flows share them. A webhook is none of them: it leaves the house, so no transaction may wait for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mailer.accounts import queries as accounts
from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.contacts import changes
from mailer.contacts.tagging import ensure_tags
from mailer.context import Context
from mailer.errors import ConflictError, NotFoundError
from mailer.followups import service as followups
from mailer.followups.rules import find_calendar
from mailer.followups.service import TaskSpec
from mailer.schema.consent import Topic
from mailer.segments import members
from mailer.segments.bulk.fields import find_field, read_value
from mailer.statuses import ActionKind
from mailer.workspace.queries import get_workspace

_GROUP = "group:"


@dataclass(frozen=True)
class Verb:
    """Something to do for a contact: `params` as docs/reference/link-actions.md has them.

    `cause` names what asked for it, in segments, tasks and the ledger; `dedupe_key` keeps a task from being made twice.
    """

    kind: ActionKind
    params: Mapping[str, Any]
    cause: str
    dedupe_key: str
    tracked_link_id: int | None = None
    message_id: int | None = None
    asked_at: datetime | None = None


def perform_verb(session: Session, ctx: Context, verb: Verb, contact_id: int) -> None:
    """Do one thing for one contact; a MailerError says why it cannot be done."""
    _VERBS[verb.kind](session, ctx, verb, contact_id)


def _add_to_segment(session: Session, _: Context, verb: Verb, contact_id: int) -> None:
    members.add_members(session, int(verb.params["segment_id"]), [contact_id], cause=verb.cause)


def _remove_from_segment(session: Session, _: Context, verb: Verb, contact_id: int) -> None:
    members.remove_members(session, int(verb.params["segment_id"]), [contact_id], cause=verb.cause)


def _set_field(session: Session, _: Context, verb: Verb, contact_id: int) -> None:
    found = find_field(session, str(verb.params["field"]))
    value = read_value(session, found, verb.params.get("value"))
    changes.set_field(session, [contact_id], found.key, value, utc_now())


def _add_tag(session: Session, _: Context, verb: Verb, contact_id: int) -> None:
    name = str(verb.params["tag"])
    changes.tag_contacts(session, [contact_id], ensure_tags(session, [name])[name])


def _remove_tag(session: Session, _: Context, verb: Verb, contact_id: int) -> None:
    name = str(verb.params["tag"])
    changes.untag_contacts(session, [contact_id], ensure_tags(session, [name])[name])


def _subscribe(session: Session, _: Context, verb: Verb, contact_id: int) -> None:
    """A press of a button, or a click where the link goes straight there, is the person's own act: consent."""
    topic = session.get(Topic, int(verb.params["topic_id"]))
    if topic is None:
        raise NotFoundError("no such topic")
    if topic.archived_at is not None:
        raise ConflictError(f"the topic {topic.name!r} is archived")
    asked_at = verb.asked_at or utc_now()
    evidence = {"link": verb.tracked_link_id, "at": asked_at.isoformat()}
    cause = Cause(source=verb.cause, channel="link", message_id=verb.message_id, evidence=evidence)
    consent.subscribe(session, consent.get_contact(session, contact_id), topic.id, cause)


def _follow_up(session: Session, ctx: Context, verb: Verb, contact_id: int) -> None:
    params = verb.params
    owner = str(params.get("owner", "contact_owner"))
    today = ctx.clock.today(get_workspace(session).timezone)
    task = TaskSpec(
        title=str(params["title"]),
        due_on=find_calendar(session).add_working_days(today, int(params.get("due_working_days", 1))),
        kind=str(params.get("kind", "to_do")),
        minutes=params.get("minutes"),
        note=str(params.get("note", "")),
        owner_id=_owner_id(session, owner),
        group=owner.removeprefix(_GROUP) if owner.startswith(_GROUP) else "",
        source=verb.cause,
        tracked_link_id=verb.tracked_link_id,
        now=ctx.clock.now(),
    )
    followups.create_for_contact(session, contact_id, task, dedupe_key=verb.dedupe_key)


def _owner_id(session: Session, owner: str) -> int | None:
    """Return a named owner; None for `contact_owner`, a group, or somebody who has left: the chain decides."""
    if "@" not in owner:
        return None
    staff = accounts.find_staff(session, owner)
    return staff.id if staff else None


def _webhook(_session: Session, _ctx: Context, _verb: Verb, _contact_id: int) -> None:
    raise ConflictError("a webhook is called by a link only")


_VERBS: dict[ActionKind, Callable[[Session, Context, Verb, int], None]] = {
    ActionKind.ADD_TO_SEGMENT: _add_to_segment,
    ActionKind.REMOVE_FROM_SEGMENT: _remove_from_segment,
    ActionKind.SET_FIELD: _set_field,
    ActionKind.ADD_TAG: _add_tag,
    ActionKind.REMOVE_TAG: _remove_tag,
    ActionKind.SUBSCRIBE: _subscribe,
    ActionKind.FOLLOW_UP: _follow_up,
    ActionKind.WEBHOOK: _webhook,
}

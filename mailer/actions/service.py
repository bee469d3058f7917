"""Link actions wait out a quarantine and then run once (FEATURES L3, L4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mailer.accounts import queries as accounts
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import MailerError
from mailer.followups import service as followups
from mailer.followups.service import TaskSpec
from mailer.log import get_logger
from mailer.schema.actions import ActionRun
from mailer.schema.content import LinkAction
from mailer.segments import members
from mailer.statuses import ActionKind
from mailer.workspace.queries import get_limit, get_workspace

log = get_logger("actions")
_PAGE = 200


def schedule_actions(
    session: Session, *, tracked_link_id: int, contact_id: int, message_id: int, hit_at: datetime, due_at: datetime
) -> int:
    """Put the actions of a link into quarantine for a contact; return how many are new. Safe to repeat.

    An action runs once for each contact and link; one that was void before is given another chance.
    """
    actions = session.scalars(select(LinkAction.id).where(LinkAction.tracked_link_id == tracked_link_id)).all()
    if not actions:
        return 0
    rows = [
        {"link_action_id": action_id, "contact_id": contact_id, "message_id": message_id, "occurrence": 0,
         "state": "pending", "note": "", "hit_at": hit_at, "due_at": due_at}
        for action_id in actions
    ]  # fmt: skip
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(ActionRun)
    again = {"state": "pending", "hit_at": statement.excluded.hit_at, "due_at": statement.excluded.due_at, "note": ""}
    statement = statement.on_conflict_do_update(
        index_elements=["link_action_id", "contact_id", "occurrence"], set_=again, where=ActionRun.state == "void"
    )
    return len(session.scalars(statement.returning(ActionRun.id), rows).all())


def void_actions(session: Session, *, message_id: int, tracked_link_id: int | None = None) -> int:
    """Void what still waits for a message (and one link of it): the hit was a machine's after all."""
    query = update(ActionRun).where(ActionRun.message_id == message_id, ActionRun.state == "pending")
    if tracked_link_id is not None:
        of_link = select(LinkAction.id).where(LinkAction.tracked_link_id == tracked_link_id)
        query = query.where(ActionRun.link_action_id.in_(of_link))
    voided = session.execute(query.values(state="void", note="machine"))
    return int(voided.rowcount)  # type: ignore[attr-defined]


def quarantine_seconds(session: Session) -> float:
    """Return how long an action waits after a click."""
    return get_limit(session, "quarantine_seconds")


def run_due(ctx: Context) -> int:
    """Run every action whose quarantine has ended; return how many ran. Each in a transaction of its own."""
    done = 0
    while due := _list_due(ctx):
        for run_id in due:
            done += _run(ctx, run_id)
    return done


def _list_due(ctx: Context) -> Sequence[int]:
    with ctx.read() as session:
        query = (
            select(ActionRun.id)
            .where(ActionRun.state == "pending", ActionRun.due_at <= utc_now())
            .order_by(ActionRun.due_at, ActionRun.id)
            .limit(_PAGE)
        )
        return session.scalars(query).all()


def _run(ctx: Context, run_id: int) -> int:
    """Run one action; what cannot be done is `refused` with the reason, never lost and never repeated."""
    try:
        with ctx.write() as session:
            run = session.get(ActionRun, run_id, with_for_update=True)
            if run is None or run.state != "pending":
                return 0
            action = session.get_one(LinkAction, run.link_action_id)
            if action.ends_at is not None and action.ends_at < run.hit_at:
                run.state, run.note = "refused", "ended"
            else:
                perform(session, ctx, action, run.contact_id)
                run.state = "done"
            run.done_at = utc_now()
    except MailerError as error:
        with ctx.write() as session:
            session.execute(
                update(ActionRun)
                .where(ActionRun.id == run_id, ActionRun.state == "pending")
                .values(state="refused", note=error.message[:_PAGE], done_at=utc_now())
            )
        log.warning("action_refused", action_run_id=run_id, error=type(error).__name__)
    return 1


def perform(session: Session, ctx: Context, action: LinkAction, contact_id: int) -> None:
    """Do what an action of a link says for one contact."""
    cause, key = f"link:{action.tracked_link_id}", f"link:{action.id}:{contact_id}"
    verb = Verb(ActionKind(action.kind), action.params, cause, key, action.tracked_link_id)
    perform_verb(session, ctx, verb, contact_id)


@dataclass(frozen=True)
class Verb:
    """Something to do for a contact: `params` as docs/reference/link-actions.md has them.

    `cause` names what asked for it, in segments and tasks; `dedupe_key` keeps a task from being made twice.
    """

    kind: ActionKind
    params: Mapping[str, Any]
    cause: str
    dedupe_key: str
    tracked_link_id: int | None = None


def perform_verb(session: Session, ctx: Context, verb: Verb, contact_id: int) -> None:
    """Do one thing for one contact; a MailerError says why it cannot be done."""
    if verb.kind is ActionKind.ADD_TO_SEGMENT:
        members.add_members(session, int(verb.params["segment_id"]), [contact_id], cause=verb.cause)
    elif verb.kind is ActionKind.REMOVE_FROM_SEGMENT:
        members.remove_members(session, int(verb.params["segment_id"]), [contact_id], cause=verb.cause)
    else:
        task = _task(session, ctx, verb)
        followups.create_for_contact(session, contact_id, task, dedupe_key=verb.dedupe_key)


def _task(session: Session, ctx: Context, verb: Verb) -> TaskSpec:
    params = verb.params
    today = ctx.clock.today(get_workspace(session).timezone)
    return TaskSpec(
        title=str(params["title"]),
        due_on=followups.add_working_days(today, int(params.get("due_working_days", 1))),
        kind=str(params.get("kind", "to_do")),
        note=str(params.get("note", "")),
        owner_id=_owner_id(session, str(params.get("owner", "contact_owner"))),
        source=verb.cause,
        tracked_link_id=verb.tracked_link_id,
    )


def _owner_id(session: Session, owner: str) -> int | None:
    """Return a named owner; None for `contact_owner`, or for somebody who has left: the chain decides."""
    if "@" not in owner:
        return None
    staff = accounts.find_staff(session, owner)
    return staff.id if staff else None

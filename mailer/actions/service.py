"""Link actions wait out a quarantine and then run once, each in a transaction of its own (FEATURES L3, L4).

Nothing is dropped: what cannot be done is `refused` with its reason; what went wrong is tried again with growing
pauses and then `failed`; both are shown until somebody has them tried again or lets them be.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.actions.jobs import CALL_WEBHOOKS, RUN_DUE
from mailer.actions.queries import NOT_DONE, can_be_tried
from mailer.actions.verbs import Verb, perform_verb
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import insert_into
from mailer.errors import MailerError
from mailer.log import get_logger
from mailer.schema.actions import ActionRun
from mailer.schema.content import LinkAction
from mailer.segments.chosen import is_among
from mailer.statuses import ActionKind
from mailer.workspace.queries import get_limit

log = get_logger("actions")
SLOW_KINDS = (ActionKind.WEBHOOK, ActionKind.SUBSCRIBE)
"""Kinds that wait longer: nobody could take them back."""
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
"""Between the tries of an action; after the last one it has failed."""
_PAGE = 200
_NOTE = 200


@dataclass(frozen=True)
class Click:
    """A person's click on a link that does something; `hit_id` names it."""

    tracked_link_id: int
    contact_id: int
    message_id: int
    hit_id: int
    hit_at: datetime


# ------------------------------------------------------------------ quarantine


def schedule_actions(session: Session, clicks: Sequence[Click]) -> int:
    """Put the actions of clicked links into quarantine; return how many are new. Safe to repeat.

    An action runs once for each contact and link, or once for each click where it is to be repeated; one that was void
    before is given another chance.
    """
    actions = _actions_of(session, {click.tracked_link_id for click in clicks})
    if not actions:
        return 0
    now = utc_now()
    waits = {is_slow: now + timedelta(seconds=seconds) for is_slow, seconds in _quarantines(session).items()}
    rows = {
        (action.id, click.contact_id, click.hit_id if action.is_repeated else 0): {
            "link_action_id": action.id, "contact_id": click.contact_id, "message_id": click.message_id,
            "occurrence": click.hit_id if action.is_repeated else 0, "state": "pending", "note": "", "attempts": 0,
            "hit_at": click.hit_at, "due_at": waits[action.kind in SLOW_KINDS],
        }
        for click in clicks
        for action in actions.get(click.tracked_link_id, ())
    }  # fmt: skip
    statement = insert_into(session, ActionRun)
    again = {name: statement.excluded[name] for name in ("message_id", "hit_at", "due_at", "note", "attempts", "state")}
    statement = statement.on_conflict_do_update(
        index_elements=["link_action_id", "contact_id", "occurrence"], set_=again, where=ActionRun.state == "void"
    )
    return len(session.scalars(statement.returning(ActionRun.id), list(rows.values())).all())


def _actions_of(session: Session, link_ids: set[int]) -> Mapping[int, Sequence[LinkAction]]:
    found: dict[int, list[LinkAction]] = defaultdict(list)
    if link_ids:
        query = select(LinkAction).where(is_among(session, LinkAction.tracked_link_id, sorted(link_ids)))
        for action in session.scalars(query.order_by(LinkAction.tracked_link_id, LinkAction.ordinal)):
            found[action.tracked_link_id].append(action)
    return found


def _quarantines(session: Session) -> dict[bool, float]:
    plain = get_limit(session, "quarantine_seconds")
    return {False: plain, True: max(plain, get_limit(session, "quarantine_slow_seconds"))}


def void_actions(session: Session, message_id: int, tracked_link_id: int, *, hit_id: int, once: bool = True) -> int:
    """Void what waits because of a click that was a machine's after all; return how much.

    `once`: also what runs once for contact and link; not where a person has clicked there, too.
    """
    of_link = select(LinkAction.id).where(LinkAction.tracked_link_id == tracked_link_id)
    occurrences = (0, hit_id) if once else (hit_id,)
    voided = session.execute(
        update(ActionRun)
        .where(
            ActionRun.message_id == message_id,
            ActionRun.state == "pending",
            ActionRun.link_action_id.in_(of_link),
            ActionRun.occurrence.in_(occurrences),
        )
        .values(state="void", note="machine")
        .execution_options(synchronize_session=False)
    )
    return int(voided.rowcount)  # type: ignore[attr-defined]


# ------------------------------------------------------------------ running


def run_due(ctx: Context) -> int:
    """Run every action whose quarantine has ended, webhooks apart; return how many ran."""
    done = 0
    while due := list_due(ctx, LinkAction.kind != ActionKind.WEBHOOK.value):
        for run_id in due:
            done += _run(ctx, run_id)
    return done


def list_due(ctx: Context, condition: ColumnElement[bool], *, limit: int = _PAGE) -> Sequence[int]:
    """Return the runs whose time has come and whose action meets `condition`, the longest waiting first."""
    with ctx.read() as session:
        query = (
            select(ActionRun.id)
            .join(LinkAction, LinkAction.id == ActionRun.link_action_id)
            .where(ActionRun.state == "pending", ActionRun.due_at <= utc_now(), condition)
            .order_by(ActionRun.due_at, ActionRun.id)
            .limit(limit)
        )
        return session.scalars(query).all()


def _run(ctx: Context, run_id: int) -> int:
    """Run one action and write its outcome in the same transaction; what went wrong is written in another."""
    try:
        with ctx.write() as session:
            found = claim_run(session, run_id)
            if found is None:
                return 0
            run, action = found
            if run.state == "pending":
                perform_verb(session, ctx, _verb(run, action), run.contact_id)
                run.state, run.note, run.done_at = "done", "", utc_now()
                run.attempts += 1
    except MailerError as error:
        settle(ctx, run_id, "refused", error.message)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is written down, tried again and shown
        log.warning("action_went_wrong", action_run_id=run_id, error=type(error).__name__)
        postpone(ctx, run_id, type(error).__name__)
    return 1


def claim_run(session: Session, run_id: int) -> tuple[ActionRun, LinkAction] | None:
    """Return a run that is due, locked, with its action; one whose action has ended is refused. None: no more due."""
    run = session.get(ActionRun, run_id, with_for_update=True)
    if run is None or run.state != "pending" or run.due_at > utc_now():
        return None
    action = session.get_one(LinkAction, run.link_action_id)
    if action.ends_at is not None and action.ends_at < run.hit_at:
        run.state, run.note, run.done_at = "refused", "ended", utc_now()
    return run, action


def _verb(run: ActionRun, action: LinkAction) -> Verb:
    key = f"link:{action.id}:{run.contact_id}" + (f":{run.occurrence}" if run.occurrence else "")
    return Verb(
        kind=ActionKind(action.kind),
        params=action.params,
        cause=f"link:{action.tracked_link_id}",
        dedupe_key=key,
        tracked_link_id=action.tracked_link_id,
        message_id=run.message_id,
        asked_at=run.hit_at,
    )


def settle(ctx: Context, run_id: int, state: str, note: str) -> None:
    """Write the outcome of a run that still waits."""
    with ctx.write() as session:
        session.execute(
            update(ActionRun)
            .where(ActionRun.id == run_id, ActionRun.state == "pending")
            .values(state=state, note=note[:_NOTE], done_at=utc_now(), attempts=ActionRun.attempts + 1)
        )
    if state in NOT_DONE:
        log.warning("action_not_done", action_run_id=run_id, state=state)


def postpone(ctx: Context, run_id: int, note: str) -> None:
    """Have a run tried again later, or give it up after the last of PAUSES."""
    with ctx.write() as session:
        run = session.get(ActionRun, run_id, with_for_update=True)
        if run is None or run.state != "pending":
            return
        run.attempts += 1
        run.note = note[:_NOTE]
        if run.attempts > len(PAUSES):
            run.state, run.done_at = "failed", utc_now()
            return
        run.due_at = utc_now() + PAUSES[run.attempts - 1]


def try_again(ctx: Context, run_ids: Sequence[int], *, by: int | None = None) -> int:
    """Have refused and failed runs tried again now; return how many. What was done stays done."""
    with ctx.write() as session:
        again = session.scalars(
            update(ActionRun)
            .where(ActionRun.id.in_(run_ids), can_be_tried())
            .values(state="pending", attempts=0, due_at=utc_now(), done_at=None)
            .returning(ActionRun.id)
            .execution_options(synchronize_session=False)
        ).all()
        if again:
            record_audit(session, "actions.try_again", by=by, detail={"runs": len(again)})
        ctx.ring(session, RUN_DUE)
        ctx.ring(session, CALL_WEBHOOKS)
    return len(again)

"""The engine of bulk tasks: gather the members once, then go through them in chunks by contact id.

Each chunk is one short transaction that does the work, notes what came of each contact and moves the cursor, so a task
that is killed goes on where it was and touches nobody twice. One process at a time works on a task: it has a lease, and
a token that grows with each claim. A long task gives way after a while and rings for itself again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, literal, or_, select, text, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import database_clock, database_clock_in
from mailer.errors import ConflictError, MailerError
from mailer.jobs import is_stopping
from mailer.log import get_logger
from mailer.schema.contacts import Contact
from mailer.schema.segments import BulkMember, BulkTask, Segment
from mailer.segments.bulk.operations import OPERATIONS
from mailer.segments.chosen import PAGE, count_written, insert_into, is_among, iter_member_pages
from mailer.segments.jobs import RUN_BULK
from mailer.statuses import BulkKind, BulkOutcome, BulkStatus

CHUNK = 500
"""Contacts in one transaction: 10 to 40 ms on SQLite, whatever is done to them."""
LEASE = timedelta(seconds=30)
KEPT_FOR = timedelta(days=30)
"""How long it is known what came of each contact, so that it can be undone."""
_TURN_SECONDS = 20
_KEEP = "UPDATE bulk_member SET before = :was WHERE bulk_task_id = :task AND contact_id = :whose"
_UNFINISHED = (BulkStatus.GATHERING.value, BulkStatus.RUNNING.value, BulkStatus.UNDOING.value)
log = get_logger("segments")


class SupersededError(Exception):
    """Somebody else works on the task, or it was cancelled."""


@dataclass(frozen=True)
class _Claim:
    task_id: int
    token: int


def run_due(ctx: Context) -> int:
    """Go on with every unfinished task, and forget what is old; return how many tasks were worked on."""
    with ctx.read() as session:
        ids = session.scalars(select(BulkTask.id).where(BulkTask.status.in_(_UNFINISHED)).order_by(BulkTask.id)).all()
    worked = sum(run(ctx, task_id) for task_id in ids)
    forget_old(ctx)
    return worked


def run(ctx: Context, task_id: int, *, seconds: float = _TURN_SECONDS) -> bool:
    """Go on with one task for about so many seconds; False where somebody else does or nothing is to be done."""
    claim = _claim(ctx, task_id)
    if claim is None:
        return False
    ends = time.monotonic() + seconds
    try:
        while _step(ctx, claim):
            if time.monotonic() > ends or is_stopping():
                ctx.bell.ring(RUN_BULK)
                break
    except SupersededError:
        return True
    except MailerError as error:
        log.warning("bulk_task_failed", bulk_task_id=task_id, error=type(error).__name__)
        _fail(ctx, claim, error.message)
    except (OperationalError, InterfaceError):
        raise  # the database is away or busy: the next tick goes on
    except Exception as error:  # noqa: BLE001 - one that can never be done must not keep all others waiting for ever
        log.error("bulk_task_failed", bulk_task_id=task_id, error=type(error).__name__)  # noqa: TRY400 - no contents
        _fail(ctx, claim, f"it could not be done ({type(error).__name__})")
    _release(ctx, claim)
    return True


def _claim(ctx: Context, task_id: int) -> _Claim | None:
    free = or_(BulkTask.leased_until.is_(None), BulkTask.leased_until < database_clock())
    claim = (
        update(BulkTask)
        .where(BulkTask.id == task_id, BulkTask.status.in_(_UNFINISHED), free)
        .values(token=BulkTask.token + 1, leased_until=database_clock_in(LEASE.total_seconds()))
        .returning(BulkTask.token)
        .execution_options(synchronize_session=False)
    )
    with ctx.write() as session:
        token = session.scalar(claim)
    return None if token is None else _Claim(task_id, token)


def _step(ctx: Context, claim: _Claim) -> bool:
    """Do the next piece; False at the end."""
    with ctx.read() as session:
        status = session.scalar(select(BulkTask.status).where(BulkTask.id == claim.task_id))
    match status:
        case BulkStatus.GATHERING:
            _gather(ctx, claim)
            return True
        case BulkStatus.RUNNING:
            return _apply(ctx, claim)
        case BulkStatus.UNDOING:
            return _undo(ctx, claim)
        case _:
            return False


def _hold(session: Session, claim: _Claim, status: BulkStatus) -> BulkTask:
    """Lock the task and renew its lease; SupersededError where it is not ours any more or its status has changed."""
    mine = (BulkTask.id == claim.task_id, BulkTask.token == claim.token, BulkTask.status == status.value)
    renewed = update(BulkTask).where(*mine).values(leased_until=database_clock_in(LEASE.total_seconds()))
    if not count_written(session, renewed):
        raise SupersededError
    return session.get_one(BulkTask, claim.task_id)


# ------------------------------------------------------------------ gather


def _gather(ctx: Context, claim: _Claim) -> None:
    """Fix the members of now, in pages from one snapshot; where a killed process has begun, go on after its last."""
    with ctx.read() as session:
        task = session.get_one(BulkTask, claim.task_id)
        segment = session.get(Segment, task.segment_id) if task.segment_id else None
        after_id = task.cursor
    if segment is None:
        raise ConflictError("the segment is gone")
    for page in iter_member_pages(ctx, segment, after_id=after_id, size=PAGE):
        with ctx.write() as session:
            task = _hold(session, claim, BulkStatus.GATHERING)
            rows = select(literal(task.id), Contact.id, literal(BulkOutcome.WAITING.value), literal(""))
            rows = rows.where(is_among(session, Contact.id, page))
            columns = ["bulk_task_id", "contact_id", "outcome", "reason"]
            task.total += count_written(session, insert_into(session, BulkMember).from_select(columns, rows))
            task.cursor = page[-1]
    with ctx.write() as session:
        task = _hold(session, claim, BulkStatus.GATHERING)
        task.status, task.cursor = BulkStatus.RUNNING.value, 0


# ------------------------------------------------------------------ apply and undo


def _next_ids(session: Session, task: BulkTask, outcome: BulkOutcome) -> Sequence[int]:
    query = select(BulkMember.contact_id).where(
        BulkMember.bulk_task_id == task.id, BulkMember.contact_id > task.cursor, BulkMember.outcome == outcome.value
    )
    return session.scalars(query.order_by(BulkMember.contact_id).limit(CHUNK)).all()


def _apply(ctx: Context, claim: _Claim) -> bool:
    with ctx.write() as session:
        task = _hold(session, claim, BulkStatus.RUNNING)
        ids = _next_ids(session, task, BulkOutcome.WAITING)
        if not ids:
            _finish(task, BulkStatus.FINISHED)
            return False
        archived = _list_archived(session, ids)
        outcome = OPERATIONS[BulkKind(task.kind)].apply(session, task, [one for one in ids if one not in archived])
        skipped = {**outcome.skipped, **dict.fromkeys(archived, "archived")}
        changed = set(outcome.changed)
        unchanged = [one for one in ids if one not in changed and one not in skipped]
        _mark(session, task, sorted(changed), BulkOutcome.CHANGED)
        _mark(session, task, unchanged, BulkOutcome.UNCHANGED)
        for reason in sorted(set(skipped.values())):
            whom = sorted(one for one, why in skipped.items() if why == reason)
            _mark(session, task, whom, BulkOutcome.SKIPPED, reason)
        _keep_before(session, task, outcome.before)
        task.changed_count += len(changed)
        task.unchanged_count += len(unchanged)
        task.skipped_count += len(skipped)
        task.cursor = ids[-1]
    return True


def _list_archived(session: Session, ids: Sequence[int]) -> set[int]:
    archived = select(Contact.id).where(is_among(session, Contact.id, ids), Contact.archived_at.is_not(None))
    return set(session.scalars(archived))


def _mark(session: Session, task: BulkTask, ids: Sequence[int], outcome: BulkOutcome, reason: str = "") -> None:
    if ids:
        whom = (BulkMember.bulk_task_id == task.id, is_among(session, BulkMember.contact_id, ids))
        marked = update(BulkMember).where(*whom).values(outcome=outcome.value, reason=reason)
        session.execute(marked.execution_options(synchronize_session=False))


def _keep_before(session: Session, task: BulkTask, before: Mapping[int, str | None]) -> None:
    """Note the old values, by primary key: joined to a list of values, SQLite would read the whole task for a chunk."""
    rows = [{"task": task.id, "whose": number, "was": value} for number, value in before.items() if value is not None]
    if rows:
        session.execute(text(_KEEP), rows)


def _undo(ctx: Context, claim: _Claim) -> bool:
    with ctx.write() as session:
        task = _hold(session, claim, BulkStatus.UNDOING)
        ids = _next_ids(session, task, BulkOutcome.CHANGED)
        if not ids:
            _finish(task, BulkStatus.UNDONE)
            return False
        undone = set(OPERATIONS[BulkKind(task.kind)].undo(session, task, ids))
        kept = [one for one in ids if one not in undone]
        _mark(session, task, sorted(undone), BulkOutcome.UNDONE)
        _mark(session, task, kept, BulkOutcome.KEPT)
        task.undone_count += len(undone)
        task.kept_count += len(kept)
        task.cursor = ids[-1]
    return True


def _finish(task: BulkTask, status: BulkStatus) -> None:
    task.status, task.leased_until = status.value, None
    if task.finished_at is None:
        task.finished_at = utc_now()


def _fail(ctx: Context, claim: _Claim, reason: str) -> None:
    with ctx.write() as session:
        task = session.get(BulkTask, claim.task_id, with_for_update=True)
        if task is not None and task.token == claim.token and task.status in _UNFINISHED:
            task.error = reason
            _finish(task, BulkStatus.FAILED)


def _release(ctx: Context, claim: _Claim) -> None:
    mine = (BulkTask.id == claim.task_id, BulkTask.token == claim.token)
    with ctx.write() as session:
        freed = update(BulkTask).where(*mine).values(leased_until=None)
        session.execute(freed.execution_options(synchronize_session=False))


# ------------------------------------------------------------------ forget


def forget_old(ctx: Context) -> int:
    """Forget what came of each contact in tasks that ended 30 days ago; return how many tasks. Their counts stay."""
    with ctx.read() as session:
        over = (BulkTask.finished_at < utc_now() - KEPT_FOR, BulkTask.forgotten_at.is_(None))
        old = session.scalars(select(BulkTask.id).where(*over, BulkTask.status.not_in(_UNFINISHED))).all()
    for task_id in old:
        _forget(ctx, task_id)
    return len(old)


def _forget(ctx: Context, task_id: int) -> None:
    of_task = BulkMember.bulk_task_id == task_id
    while True:
        with ctx.write() as session:
            piece = select(BulkMember.contact_id).where(of_task).limit(PAGE)
            gone = delete(BulkMember).where(of_task, BulkMember.contact_id.in_(piece))
            if count_written(session, gone) < PAGE:
                session.get_one(BulkTask, task_id).forgotten_at = utc_now()
                return

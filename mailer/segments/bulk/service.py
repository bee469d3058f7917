"""Start a bulk task on the members of a segment, stop it, take it back. The work itself is in run.py."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from mailer.schema.segments import BulkTask, Segment
from mailer.segments import queries
from mailer.segments.bulk.operations import OPERATIONS
from mailer.segments.bulk.queries import get_bulk_task
from mailer.segments.bulk.run import KEPT_FOR, run
from mailer.segments.chosen import business_day
from mailer.segments.jobs import RUN_BULK
from mailer.statuses import BulkKind, BulkStatus, Role

_MARKETING = frozenset({Role.MARKETER, Role.APPROVER, Role.ADMIN})
_MAY: Mapping[BulkKind, frozenset[Role]] = {
    BulkKind.FOLLOW_UPS: _MARKETING | {Role.SALES},
    BulkKind.ARCHIVE: frozenset({Role.ADMIN}),
}
_STOPPABLE = (BulkStatus.GATHERING, BulkStatus.RUNNING)
_OVER = (BulkStatus.FINISHED, BulkStatus.CANCELLED, BulkStatus.FAILED)


def may_do(kind: BulkKind, role: Role) -> bool:
    """Return whether a role may start a kind of bulk task, and take it back: archiving is for admins."""
    return role in _MAY.get(kind, _MARKETING)


def start_bulk_task(
    ctx: Context,
    segment_id: int,
    kind: BulkKind,
    params: Mapping[str, Any],
    *,
    by: int | None = None,
    role: Role = Role.ADMIN,
) -> BulkTask:
    """Do something to every member of a segment; a background process gathers them now and goes through them.

    `params` by kind: docs/reference/bulk-tasks.md. Archiving asks for `confirmed`, the number of members as typed.

    Raises:
        InputError: lists everything that is wrong.
        NotAllowedError: the role may not.
        NotFoundError: no such segment.
    """
    if not may_do(kind, role):
        raise NotAllowedError("your role may not do this to all members", mend="ask an admin")
    if kind is BulkKind.ARCHIVE:
        _require_confirmed(ctx, segment_id, str(params.get("confirmed", "")).strip())
    with ctx.write() as session:
        segment = _get_segment(session, segment_id)
        kept = OPERATIONS[kind].check(session, params, by)
        task = BulkTask(
            segment_id=segment.id, segment_name=segment.name, kind=kind.value, params=kept,
            status=BulkStatus.GATHERING.value, created_by=by, created_at=utc_now(),
        )  # fmt: skip
        session.add(task)
        session.flush()
        detail = {"bulk_task": task.id, "kind": kind.value, **_audited(kept)}
        record_audit(session, "segments.bulk_task", by=by, subject=("segment", segment.id), detail=detail)
        ctx.ring(session, RUN_BULK)
    return task


def _require_confirmed(ctx: Context, segment_id: int, typed: str) -> None:
    """Count without holding up writers: a dear rule may take long."""
    with ctx.read() as session:
        segment = _get_segment(session, segment_id)
        count = queries.count_members(session, segment, business_day(ctx, session), seconds=None)
    if typed != str(count):
        raise InputError("this is not the number of members", where="confirmed", mend=f"type {count} to archive them")


def _get_segment(session: Session, segment_id: int) -> Segment:
    segment = session.get(Segment, segment_id)
    if segment is None:
        raise NotFoundError("no such segment")
    return segment


def _audited(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if key in {"title", "field", "tag", "segment", "segment_id"}}


def run_bulk_task(ctx: Context, task_id: int) -> BulkTask:
    """Go through a task in this process until it has ended, for commands; return it as it is then."""
    while True:
        was_free = run(ctx, task_id)
        with ctx.read() as session:
            task = session.get_one(BulkTask, task_id)
        if task.status in _OVER or task.status == BulkStatus.UNDONE:
            return task
        if not was_free:
            time.sleep(0.2)  # a worker has it; where that one dies, its lease ends


def cancel_bulk_task(ctx: Context, public_id: uuid.UUID, *, by: int | None = None, role: Role = Role.ADMIN) -> BulkTask:
    """Stop a task; what it did stays and can be undone.

    Raises:
        ConflictError: it has ended already.
    """
    with ctx.write() as session:
        task = get_bulk_task(session, public_id, is_locked=True)
        _require_right(task, role)
        if task.status not in _STOPPABLE:
            raise ConflictError("it has ended already")
        task.status, task.finished_at, task.leased_until = BulkStatus.CANCELLED.value, utc_now(), None
        _audit(session, "segments.cancel_bulk_task", task, by)
    return task


def undo_bulk_task(ctx: Context, public_id: uuid.UUID, *, by: int | None = None, role: Role = Role.ADMIN) -> BulkTask:
    """Take back what a task did, in the background; contacts that were changed again since keep what they have.

    Raises:
        ConflictError: it is still at work, changed nobody, or is too old; says which.
    """
    with ctx.write() as session:
        task = get_bulk_task(session, public_id, is_locked=True)
        _require_right(task, role)
        reason = why_not_undo(task)
        if reason:
            raise ConflictError(reason)
        task.status, task.cursor, task.undone_by = BulkStatus.UNDOING.value, 0, by
        _audit(session, "segments.undo_bulk_task", task, by)
        ctx.ring(session, RUN_BULK)
    return task


def why_not_undo(task: BulkTask) -> str | None:
    """Return why a task cannot be undone; None where it can."""
    if task.status not in _OVER:
        return "it is still at work, or undone already"
    if not task.changed_count:
        return "it has changed nobody"
    if task.forgotten_at is not None or (task.finished_at or utc_now()) < utc_now() - KEPT_FOR:
        return f"what was there before is kept for {KEPT_FOR.days} days"
    return None


def _require_right(task: BulkTask, role: Role) -> None:
    if not may_do(BulkKind(task.kind), role):
        raise NotAllowedError("your role may not do this", mend="ask an admin")


def _audit(session: Session, action: str, task: BulkTask, by: int | None) -> None:
    detail = {"bulk_task": task.id, "kind": task.kind}
    record_audit(session, action, by=by, subject=("segment", task.segment_id), detail=detail)

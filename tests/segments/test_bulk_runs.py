"""Runs of bulk tasks: once for each contact, whatever dies, is cancelled or goes meanwhile."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.schema.accounts import AuditEvent
from mailer.schema.contacts import Contact
from mailer.schema.followups import FollowUp
from mailer.schema.segments import BulkMember, BulkTask, Segment
from mailer.segments import removal, service
from mailer.segments.bulk import run as engine
from mailer.segments.bulk.queries import count_skipped, list_bulk_members
from mailer.segments.bulk.run import forget_old, run, run_due
from mailer.segments.bulk.service import cancel_bulk_task, start_bulk_task, undo_bulk_task, why_not_undo
from mailer.statuses import BulkKind, BulkStatus
from tests.segments.tasks import cities, counts, do, fresh, tagged, undo


def test_members_are_fixed_at_the_start(ctx: Context, people: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the field that the rule asks about does not cut the task short, and who joins later is left alone."""
    monkeypatch.setattr(engine, "CHUNK", 2)
    rule = {"version": 1, "all": [{"field": "city", "op": "equals", "value": "Oslo"}]}
    segment = service.create_dynamic(ctx, "Oslo", rule)
    task = start_bulk_task(ctx, segment.id, BulkKind.SET_FIELD, {"field": "city", "value": "Bergen"})
    run(ctx, task.id, seconds=-1)
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == people[8]).values(city="Oslo"))

    run_due(ctx)

    assert fresh(ctx, task).changed_count == 4
    assert cities(ctx) == ["", "Bergen", "", "Bergen", "", "Bergen", "", "Bergen", "Oslo"]


def test_contact_archived_meanwhile_is_skipped(ctx: Context, people: list[int], everybody: Segment) -> None:
    task = start_bulk_task(ctx, everybody.id, BulkKind.ADD_TAG, {"tag": "fair"})
    run(ctx, task.id, seconds=-1)
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == people[4]).values(archived_at=utc_now()))

    run_due(ctx)

    assert counts(fresh(ctx, task)) == ("finished", 9, 8, 0, 1)
    assert people[4] not in tagged(ctx, "fair")
    with ctx.read() as session:
        assert count_skipped(session, task.id) == [("archived", 1)]
        assert [line.contact_id for line in list_bulk_members(session, task.id, outcome="skipped")] == [people[4]]


@pytest.mark.parametrize(("dies_at", "before_commit"), [(0, False), (1, True), (3, True)])
def test_task_that_dies_between_chunks_goes_on_once_for_each(
    ctx: Context, people: list[int], everybody: Segment, monkeypatch: pytest.MonkeyPatch, dies_at: int,
    before_commit: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(engine, "CHUNK", 2)
    task = start_bulk_task(ctx, everybody.id, BulkKind.FOLLOW_UPS, {"title": "Call", "due_on": "2026-12-01"})
    name = "_mark" if before_commit else "_list_archived"
    monkeypatch.setattr(engine, name, _dying(getattr(engine, name), dies_at))
    with pytest.raises(KeyboardInterrupt):
        run(ctx, task.id)
    monkeypatch.undo()
    assert run(ctx, task.id) is False  # its lease is still running
    with ctx.write() as session:
        session.execute(update(BulkTask).values(leased_until=utc_now() - timedelta(seconds=1)))

    assert run_due(ctx) == 1

    assert counts(fresh(ctx, task)) == ("finished", 9, 9, 0, 0)
    with ctx.read() as session:
        assert list(session.scalars(select(FollowUp.contact_id).order_by(FollowUp.contact_id))) == people


def _dying(function: Callable[..., Any], after: int) -> Callable[..., Any]:
    calls = []

    def call(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return function(*args)

    return call


def test_gathering_that_dies_goes_on_after_its_last_page(
    ctx: Context, people: list[int], everybody: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = start_bulk_task(ctx, everybody.id, BulkKind.ADD_TAG, {"tag": "fair"})

    def pages(*_args: Any, **_more: Any) -> Any:
        yield people[:3]
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "iter_member_pages", pages)
    with pytest.raises(KeyboardInterrupt):
        run(ctx, task.id)
    monkeypatch.undo()
    with ctx.write() as session:
        session.execute(update(BulkTask).values(leased_until=None))

    run_due(ctx)

    assert counts(fresh(ctx, task)) == ("finished", 9, 9, 0, 0)


def test_two_workers_do_everything_once(
    ctx: Context, make_ctx: Callable[..., Context], people: list[int], everybody: Segment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(engine, "CHUNK", 1)
    task = start_bulk_task(ctx, everybody.id, BulkKind.FOLLOW_UPS, {"title": "Call", "due_on": "2026-12-01"})
    workers = [make_ctx() for _ in range(3)]
    threads = [threading.Thread(target=run_due, args=(mine,)) for mine in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_due(ctx)

    assert counts(fresh(ctx, task)) == ("finished", 9, 9, 0, 0)
    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(FollowUp)) == 9


def test_cancelled_task_stops_and_what_it_did_can_be_undone(
    ctx: Context, people: list[int], everybody: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHUNK", 2)
    task = start_bulk_task(ctx, everybody.id, BulkKind.ADD_TAG, {"tag": "fair"})
    run(ctx, task.id, seconds=-1)
    run(ctx, task.id, seconds=-1)
    cancel_bulk_task(ctx, task.public_id)

    assert run_due(ctx) == 0
    assert fresh(ctx, task).changed_count == len(tagged(ctx, "fair")) == 2
    with pytest.raises(ConflictError, match="ended"):
        cancel_bulk_task(ctx, task.public_id)
    assert undo(ctx, task).undone_count == 2


def test_task_whose_list_is_gone_fails_and_says_why(ctx: Context, people: list[int], everybody: Segment) -> None:
    board = service.create_static(ctx, "Board")
    task = start_bulk_task(ctx, everybody.id, BulkKind.ADD_TO_SEGMENT, {"segment_id": str(board.id)})
    removal.delete_segment(ctx, board.id)

    run_due(ctx)

    assert fresh(ctx, task).status == BulkStatus.FAILED
    assert "segment" in fresh(ctx, task).error
    assert run_due(ctx) == 0


def test_deleted_segment_leaves_its_tasks(ctx: Context, people: list[int], everybody: Segment) -> None:
    task = do(ctx, everybody, BulkKind.FOLLOW_UPS, title="Call", due_on="2026-12-01")

    removal.delete_segment(ctx, everybody.id)

    assert (fresh(ctx, task).segment_id, fresh(ctx, task).segment_name) == (None, "Everybody")
    assert undo(ctx, task).undone_count == 9


def test_nothing_to_undo_is_said(ctx: Context, people: list[int], everybody: Segment) -> None:
    running = start_bulk_task(ctx, everybody.id, BulkKind.REMOVE_TAG, {"tag": "nobody has it"})
    with pytest.raises(ConflictError, match="at work"):
        undo_bulk_task(ctx, running.public_id)
    run_due(ctx)

    assert why_not_undo(fresh(ctx, running)) == "it has changed nobody"


def test_old_values_are_forgotten_after_a_month(ctx: Context, people: list[int], everybody: Segment) -> None:
    task = do(ctx, everybody, BulkKind.ADD_TAG, tag="fair")
    assert forget_old(ctx) == 0
    with ctx.write() as session:
        session.execute(update(BulkTask).values(finished_at=utc_now() - timedelta(days=31)))

    assert forget_old(ctx) == 1
    assert forget_old(ctx) == 0

    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(BulkMember)) == 0
    with pytest.raises(ConflictError, match="30 days"):
        undo_bulk_task(ctx, task.public_id)


def test_every_bulk_task_is_in_the_audit(ctx: Context, people: list[int], everybody: Segment) -> None:
    undo(ctx, do(ctx, everybody, BulkKind.ADD_TAG, tag="fair"))

    with ctx.read() as session:
        actions = list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))
    assert actions[-2:] == ["segments.bulk_task", "segments.undo_bulk_task"]

"""A watched segment with a past, and bulk tasks: one done, one under way, one undone."""

import random
from datetime import timedelta

from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.contacts import Contact
from mailer.schema.segments import BulkTask, SegmentEvent, SegmentSize
from mailer.segments.bulk.run import run, run_due
from mailer.segments.bulk.service import start_bulk_task, undo_bulk_task
from mailer.segments.history.look import look
from mailer.segments.history.watch import watch
from mailer.statuses import BulkKind
from tests.support.story import Story


def make_watched(ctx: Context, story: Story) -> BulkTask:
    """Write it for the story's segment and return the task that is done, with people who were skipped."""
    chance = random.Random(3)
    with ctx.read() as session:
        ids = session.scalars(select(Contact.id).where(Contact.category == "Decision maker").order_by(Contact.id)).all()
    watch(ctx, story.segment.id, by=story.admin_id)
    look(ctx, story.segment.id)
    undone = start_bulk_task(ctx, story.segment.id, BulkKind.ADD_TAG, {"tag": "spring fair"}, by=story.admin_id)
    run_due(ctx)
    undo_bulk_task(ctx, undone.public_id, by=story.admin_id)
    run_due(ctx)
    spec = {"title": "Ask about the seminar", "due_on": "2026-12-01", "per": "company", "kind": "call"}
    done = start_bulk_task(ctx, story.segment.id, BulkKind.FOLLOW_UPS, spec, by=story.admin_id)
    run(ctx, done.id)
    half = start_bulk_task(ctx, story.segment.id, BulkKind.SET_FIELD, {"field": "city", "value": "Oslo"})
    now = utc_now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    with ctx.write() as session:
        session.execute(
            update(BulkTask).where(BulkTask.id == half.id).values(status="running", total=80, changed_count=31)
        )
        size = len(ids) - 22
        for day in range(35, 0, -1):
            size += chance.randint(-1, 2)
            session.add(SegmentSize(segment_id=story.segment.id, at=hour - timedelta(days=day), members=size))
        for at, contact_id in enumerate(ids[:30]):
            session.add(
                SegmentEvent(
                    segment_id=story.segment.id, contact_id=contact_id, kind=("entered", "entered", "left")[at % 3],
                    at=now - timedelta(days=30 - at), cause=("data", "rule", "link:4", f"bulk:{done.id}")[at % 4],
                )
            )  # fmt: skip
    return done

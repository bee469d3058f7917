"""Bulk tasks in tests: do one, look at what it did, take it back."""

from typing import Any

from sqlalchemy import select

from mailer.context import Context
from mailer.schema.contacts import Contact, ContactTag, Tag
from mailer.schema.segments import BulkTask, Segment
from mailer.segments.bulk.run import run_due
from mailer.segments.bulk.service import start_bulk_task, undo_bulk_task
from mailer.statuses import BulkKind


def do(ctx: Context, segment: Segment, kind: BulkKind, **params: Any) -> BulkTask:
    task = start_bulk_task(ctx, segment.id, kind, params)
    run_due(ctx)
    return fresh(ctx, task)


def fresh(ctx: Context, task: BulkTask) -> BulkTask:
    with ctx.read() as session:
        return session.get_one(BulkTask, task.id)


def counts(task: BulkTask) -> tuple[str, int, int, int, int]:
    return task.status, task.total, task.changed_count, task.unchanged_count, task.skipped_count


def tagged(ctx: Context, name: str) -> set[int]:
    with ctx.read() as session:
        query = select(ContactTag.contact_id).join(Tag, Tag.id == ContactTag.tag_id).where(Tag.name == name)
        return set(session.scalars(query))


def cities(ctx: Context) -> list[str]:
    with ctx.read() as session:
        return list(session.scalars(select(Contact.city).order_by(Contact.id)))


def undo(ctx: Context, task: BulkTask) -> BulkTask:
    undo_bulk_task(ctx, task.public_id)
    run_due(ctx)
    return fresh(ctx, task)

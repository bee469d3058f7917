"""Audited changes of the workspace: settings, sender profiles, stop everything. One transaction each."""

import uuid
from collections.abc import Mapping
from typing import Any

from mailer.accounts.service import record_audit
from mailer.context import Context
from mailer.schema.workspace import Sender, Workspace
from mailer.workspace import queries, service
from mailer.workspace.service import SenderValues


def change_settings(
    ctx: Context,
    *,
    by: int | None,
    name: str | None = None,
    timezone: str | None = None,
    limits: Mapping[str, Any] | None = None,
    brand_color: str | None = None,
) -> Workspace:
    """Change the settings that are given; InputError lists every value that cannot be."""
    with ctx.write() as session:
        row = service.update_settings(session, name=name, timezone=timezone, limits=limits, brand_color=brand_color)
        detail = {"name": row.name, "timezone": row.timezone, "limits": row.limits}
        record_audit(session, "workspace.change_settings", by=by, detail=detail)
    return row


def add_sender(ctx: Context, values: SenderValues, *, by: int | None = None) -> Sender:
    """Create a sender profile; raises as workspace.service.create_sender does."""
    with ctx.write() as session:
        sender = service.create_sender(session, values)
        record_audit(session, "workspace.add_sender", by=by, subject=("sender", sender.id))
    return sender


def change_sender(ctx: Context, public_id: uuid.UUID, values: SenderValues, *, by: int | None = None) -> Sender:
    """Change a sender profile; what is frozen in a content version stays as it was."""
    with ctx.write() as session:
        sender = service.update_sender(session, queries.get_sender(session, public_id), values)
        record_audit(session, "workspace.change_sender", by=by, subject=("sender", sender.id))
    return sender


def stop_everything(ctx: Context, *, note: str = "", by: int | None = None) -> bool:
    """Hold all marketing at the next gate; False where it was held already."""
    with ctx.write() as session:
        stopped = service.stop_all(session, note.strip())
        if stopped:
            record_audit(session, "workspace.stop_all", by=by, detail={"note": note})
    return stopped


def release_everything(ctx: Context, *, note: str, by: int | None = None) -> bool:
    """Let marketing go on; InputError without a note, False where nothing was held."""
    with ctx.write() as session:
        released = service.release_all(session, note)
        if released:
            record_audit(session, "workspace.release_all", by=by, detail={"note": note})
    return released

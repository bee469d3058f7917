"""Reads of the workspace: its settings and sender profiles."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.errors import NotFoundError
from mailer.schema.workspace import Sender, Workspace
from mailer.workspace.hours import quiet_until
from mailer.workspace.limits import limit_value


def get_workspace(session: Session) -> Workspace:
    """Return the settings row; one of defaults, not yet stored, where there is none."""
    row = session.get(Workspace, 1)
    if row is not None:
        return row
    now = utc_now()
    return Workspace(
        id=1,
        name="Mailer",
        brand_color="",
        timezone="UTC",
        clock_offset_seconds=0,
        limits={},
        stop_note="",
        created_at=now,
        updated_at=now,
    )


def get_clock_offset(session: Session) -> timedelta:
    """Return what is added to real time to give business time."""
    seconds = session.scalar(select(Workspace.clock_offset_seconds))
    return timedelta(seconds=seconds or 0)


def get_limit(session: Session, name: str) -> float:
    """Return the value of a limit (workspace/limits.py)."""
    return limit_value(session.scalar(select(Workspace.limits)) or {}, name)


def find_quiet_end(session: Session, now: datetime) -> datetime | None:
    """Return when the workspace's quiet hours end, where `now` (business time) lies in them."""
    row = get_workspace(session)
    start, end = (int(limit_value(row.limits, name)) for name in ("quiet_from", "quiet_until"))
    return quiet_until(now, row.timezone, start, end)


def is_stopped(session: Session) -> bool:
    """Return whether somebody pressed stop everything."""
    return session.scalar(select(Workspace.stopped_at)) is not None


def list_senders(session: Session) -> Sequence[Sender]:
    """Return the sender profiles in use, by name."""
    return session.scalars(select(Sender).where(Sender.archived_at.is_(None)).order_by(Sender.name)).all()


def find_sender(session: Session, name: str) -> Sender | None:
    """Return the sender profile called `name`."""
    return session.scalar(select(Sender).where(Sender.name == name, Sender.archived_at.is_(None)))


def get_sender(session: Session, public_id: uuid.UUID) -> Sender:
    """Return a sender profile or raise NotFoundError."""
    sender = session.scalar(select(Sender).where(Sender.public_id == public_id))
    if sender is None:
        raise NotFoundError("no such sender profile")
    return sender

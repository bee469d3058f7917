"""What endpoints and mailboxes have in common as ways in: listed, switched on and off, ended for good; audited."""

import uuid
from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import NotFoundError
from mailer.schema.bounces import BounceMailbox, WebhookEndpoint

Way = TypeVar("Way", WebhookEndpoint, BounceMailbox)
_SHORT = {WebhookEndpoint: "endpoint", BounceMailbox: "mailbox"}


def list_ways(session: Session, kind: type[Way]) -> Sequence[Way]:
    """Return the endpoints or mailboxes that are not ended, oldest first."""
    return session.scalars(select(kind).where(kind.archived_at.is_(None)).order_by(kind.id)).all()


def get_way(session: Session, kind: type[Way], public_id: uuid.UUID) -> Way:
    """Return one that is not ended; NotFoundError if there is none."""
    row = session.scalar(select(kind).where(kind.public_id == public_id, kind.archived_at.is_(None)))
    if row is None:
        raise NotFoundError(f"no such {_SHORT[kind]}")
    return row


def enable_way(ctx: Context, kind: type[Way], public_id: uuid.UUID, *, is_enabled: bool, by: int | None = None) -> None:
    """Take calls, or answer 404 as if there were no such address; fetch from a mailbox, or leave it alone."""
    with ctx.write() as session:
        row = get_way(session, kind, public_id)
        row.is_enabled = is_enabled
        audit_way(session, "enable" if is_enabled else "disable", row, by)


def end_way(ctx: Context, kind: type[Way], public_id: uuid.UUID, *, by: int | None = None) -> None:
    """End an address, or leave a mailbox, for good; its secrets go with it."""
    with ctx.write() as session:
        row = get_way(session, kind, public_id)
        row.archived_at, row.is_enabled, row.secret = utc_now(), False, b""
        audit_way(session, "archive", row, by)


def audit_way(session: Session, what: str, row: WebhookEndpoint | BounceMailbox, by: int | None) -> None:
    """Write down that somebody did something with a way in."""
    if isinstance(row, WebhookEndpoint):
        detail = {"provider": row.provider, "name": row.name}
    else:
        detail = {"name": row.name, "host": row.host}
    action = f"bounces.{what}_{_SHORT[type(row)]}"
    record_audit(session, action, by=by, subject=(row.__tablename__, row.id), detail=detail)

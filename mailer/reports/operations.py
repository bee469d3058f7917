"""What an operator looks at: whether due mail moves, what runs and what it waits for, which workers live."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.backlog import Backlog, get_backlog
from mailer.delivery.queries import Progress, get_progress
from mailer.delivery.why import Cause, why_not_moving
from mailer.delivery.workers import Worker, list_workers
from mailer.schema.campaigns import Campaign
from mailer.schema.delivery import Sending
from mailer.statuses import SendingState

_LIVE = (SendingState.PREPARING.value, SendingState.SENDING.value)
_SHOWN = 50


@dataclass(frozen=True)
class SendingLine:
    """A sending on its way; `name` is its campaign's, empty for tests, confirmations and notices."""

    public_id: uuid.UUID | None
    name: str
    sending_class: str
    progress: Progress
    causes: Sequence[Cause]


@dataclass(frozen=True)
class Operations:
    """`workers` is None where Redis does not answer."""

    backlog: Backlog
    sendings: Sequence[SendingLine]
    workers: Sequence[Worker] | None
    at: datetime


def get_operations(session: Session, ctx: Context) -> Operations:
    """Return where everything stands."""
    return Operations(get_backlog(session, ctx), list_sendings(session, ctx), find_workers(ctx), utc_now())


def list_sendings(session: Session, ctx: Context) -> list[SendingLine]:
    """Return what is preparing, running or held, newest first, each with what it waits for."""
    rows = session.execute(
        select(Sending, Campaign)
        .outerjoin(Campaign, Campaign.sending_id == Sending.id)
        .where(Sending.state.in_(_LIVE))
        .order_by(Sending.id.desc())
        .limit(_SHOWN)
    ).all()
    return [
        SendingLine(
            campaign.public_id if campaign else None,
            campaign.name if campaign else "",
            sending.sending_class,
            get_progress(session, ctx, sending),
            why_not_moving(session, ctx, sending.id),
        )
        for sending, campaign in rows
    ]


def find_workers(ctx: Context) -> list[Worker] | None:
    """Return the send workers that live; None where nobody can say."""
    try:
        return list_workers(ctx.redis)
    except (RedisError, OSError):
        return None

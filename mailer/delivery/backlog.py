"""How long due mail has waited, and whether anybody is at it: the alarm of operations page and `mailer doctor`."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.context import Context
from mailer.database import database_clock
from mailer.delivery.claim import is_due, is_running
from mailer.schema.delivery import SendBatch, Sending
from mailer.statuses import BatchState
from mailer.workspace.queries import find_quiet_end

STALLED_SECONDS = 120.0


@dataclass(frozen=True)
class Backlog:
    """What may go now. `age_seconds`: since when the oldest of it is due, None where nothing is.

    `in_hand`: batches that a worker holds at the moment.
    """

    due: int
    age_seconds: float | None
    in_hand: int

    @property
    def is_stalled(self) -> bool:
        """Mail is due for two minutes and no worker holds any: a limit would have put it off, so something broke."""
        return self.age_seconds is not None and self.age_seconds >= STALLED_SECONDS and not self.in_hand


def get_backlog(session: Session, ctx: Context) -> Backlog:
    """Return what is due at the business time of now, over all sendings that run."""
    now = ctx.clock.now()
    is_quiet = find_quiet_end(session, now) is not None
    running = select(SendBatch.id).join(Sending, Sending.id == SendBatch.sending_id).where(is_running())
    oldest, due = session.execute(
        running.with_only_columns(func.min(SendBatch.not_before), func.count()).where(*is_due(is_quiet=is_quiet)),
        {"now": now},
    ).one()
    in_hand = session.scalar(
        running.with_only_columns(func.count()).where(
            SendBatch.state == BatchState.LEASED.value, SendBatch.lease_until > database_clock()
        )
    )
    return Backlog(due, _age(oldest, now), in_hand or 0)


def _age(oldest: datetime | None, now: datetime) -> float | None:
    return None if oldest is None else max(0.0, (now - oldest).total_seconds())

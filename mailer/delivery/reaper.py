"""Set right what a dead worker left behind. Any process may do it, any number of times; marketing is never resent."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from mailer.database import any_row, database_clock
from mailer.delivery.policy import TRANSMITTING_LIMIT
from mailer.delivery.repeats import repeat_unknown
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.statuses import LIVE_MESSAGE_STATES, BatchState, MessageState, SendingState

LIVE = [state.value for state in LIVE_MESSAGE_STATES]


@dataclass(frozen=True)
class Reaped:
    """How many rows of each kind were set right."""

    batches: int
    unknown: int
    expired: int
    repeated: int
    finished: list[int]


def reap(session: Session, now: datetime) -> Reaped:
    """Free expired batches, name lost messages `unknown`, expire late ones, finish sendings. `now`: business time."""
    batches, unknown = _free_batches(session), _name_unknown(session)
    expired = _expire(session, now)
    return Reaped(batches, unknown, expired, repeat_unknown(session, now), _finish(session))


def _free_batches(session: Session) -> int:
    """Make expired leases claimable again; the raised token shuts out the old holder."""
    freed = session.execute(
        update(SendBatch)
        .where(SendBatch.state == BatchState.LEASED.value, SendBatch.lease_until < database_clock())
        .values(state=BatchState.READY.value, token=SendBatch.token + 1, lease_until=None)
        .execution_options(synchronize_session=False)
    )
    return int(freed.rowcount)  # type: ignore[attr-defined]


def _name_unknown(session: Session) -> int:
    """`transmitting` too long, or gated under a token that is no longer its batch's: the dot may have left.

    Such rows lie in batches that were claimed and are not done: those are few, and no index on the state is needed.
    """
    open_batches = select(SendBatch.id).where(
        SendBatch.state.in_([BatchState.READY.value, BatchState.LEASED.value]), SendBatch.token > 0
    )
    batch_token = select(SendBatch.token).where(SendBatch.id == Message.batch_id).scalar_subquery()
    too_old: datetime = session.execute(select(database_clock())).scalar_one() - TRANSMITTING_LIMIT
    named = session.execute(
        update(Message)
        .where(
            Message.batch_id.in_(open_batches),
            Message.state == MessageState.TRANSMITTING.value,
            or_(Message.gate_at < too_old, Message.gate_token != batch_token),
        )
        .values(state=MessageState.UNKNOWN.value, reason="worker_lost")
        .execution_options(synchronize_session=False)
    )
    return int(named.rowcount)  # type: ignore[attr-defined]


def _expire(session: Session, now: datetime) -> int:
    """Queued rows of a sending whose time has passed."""
    late = select(Sending.id).where(Sending.send_until < now, _is_open())
    expired = session.execute(
        update(Message)
        .where(Message.sending_id.in_(late), Message.state == MessageState.QUEUED.value)
        .values(state=MessageState.EXPIRED.value, reason="send_until")
        .execution_options(synchronize_session=False)
    )
    return int(expired.rowcount)  # type: ignore[attr-defined]


def _is_open() -> ColumnElement[bool]:
    return Sending.state == SendingState.SENDING.value


def _finish(session: Session) -> list[int]:
    """Finished is a query: no row is queued or on its way. Such rows lie in batches that are not done."""
    here = any_row(Message, Message.batch_id == SendBatch.id, Message.state.in_(LIVE))
    live = any_row(SendBatch, SendBatch.sending_id == Sending.id, SendBatch.state != BatchState.DONE.value, here)
    finished = session.scalars(
        update(Sending)
        .where(and_(_is_open(), ~live))
        .values(state=SendingState.FINISHED.value, finished_at=func.coalesce(Sending.finished_at, database_clock()))
        .returning(Sending.id)
        .execution_options(synchronize_session=False)
    )
    return list(finished)

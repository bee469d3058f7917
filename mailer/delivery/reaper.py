"""Set right what a dead worker left behind. Any process may do it, any number of times; marketing is never resent."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Select, Update, and_, func, literal, or_, select, update
from sqlalchemy.orm import Session

from mailer.database import any_row, database_clock
from mailer.delivery.policy import TRANSMITTING_LIMIT
from mailer.delivery.repeats import find_unknown, repeat_unknown
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.statuses import LIVE_MESSAGE_STATES, BatchState, MessageState, SendingState

LIVE = [state.value for state in LIVE_MESSAGE_STATES]


@dataclass(frozen=True)
class Reaped:
    """How many rows of each kind were set right."""

    batches: int = 0
    unknown: int = 0
    expired: int = 0
    repeated: int = 0
    finished: list[int] = field(default_factory=list)


def has_work(session: Session, now: datetime) -> bool:
    """Whether there is anything to set right. To read it first keeps others from waiting for a writer of nothing."""
    statements: tuple[Update, ...] = (_free_batches(), _name_unknown(session), _expire(now), _finish())
    return any(session.scalar(_find_one(statement)) for statement in statements) or bool(find_unknown(session, now))


def reap(session: Session, now: datetime) -> Reaped:
    """Free expired batches, name lost messages `unknown`, expire late ones, finish sendings. `now`: business time."""
    batches, unknown = _count(session, _free_batches()), _count(session, _name_unknown(session))
    expired, repeated = _count(session, _expire(now)), repeat_unknown(session, now)
    finished = session.scalars(_finish().returning(Sending.id), execution_options=_UNSYNCHRONIZED)
    return Reaped(batches, unknown, expired, repeated, list(finished))


_UNSYNCHRONIZED = {"synchronize_session": False}


def _count(session: Session, statement: Update) -> int:
    return int(session.execute(statement, execution_options=_UNSYNCHRONIZED).rowcount)  # type: ignore[attr-defined]


def _find_one(statement: Update) -> Select[int]:
    """Return the question whether `statement` would change a row."""
    conditions = () if statement.whereclause is None else (statement.whereclause,)
    return select(literal(1)).select_from(statement.table).where(*conditions).limit(1)


def _free_batches() -> Update:
    """Make expired leases claimable again; the raised token shuts out the old holder."""
    return (
        update(SendBatch)
        .where(SendBatch.state == BatchState.LEASED.value, SendBatch.lease_until < database_clock())
        .values(state=BatchState.READY.value, token=SendBatch.token + 1, lease_until=None)
    )


def _name_unknown(session: Session) -> Update:
    """`transmitting` too long, or gated under a token that is no longer its batch's: the dot may have left.

    Such rows lie in batches that were claimed and are not done: those are few, and no index on the state is needed.
    """
    open_batches = select(SendBatch.id).where(
        SendBatch.state.in_([BatchState.READY.value, BatchState.LEASED.value]), SendBatch.token > 0
    )
    batch_token = select(SendBatch.token).where(SendBatch.id == Message.batch_id).scalar_subquery()
    too_old: datetime = session.execute(select(database_clock())).scalar_one() - TRANSMITTING_LIMIT
    return (
        update(Message)
        .where(
            Message.batch_id.in_(open_batches),
            Message.state == MessageState.TRANSMITTING.value,
            or_(Message.gate_at < too_old, Message.gate_token != batch_token),
        )
        .values(state=MessageState.UNKNOWN.value, reason="worker_lost")
    )


def _expire(now: datetime) -> Update:
    """Queued rows of a sending whose time has passed."""
    late = select(Sending.id).where(Sending.send_until < now, _is_open())
    return (
        update(Message)
        .where(Message.sending_id.in_(late), Message.state == MessageState.QUEUED.value)
        .values(state=MessageState.EXPIRED.value, reason="send_until")
    )


def _is_open() -> ColumnElement[bool]:
    return Sending.state == SendingState.SENDING.value


def _finish() -> Update:
    """Finished is a query: no row is queued or on its way. Such rows lie in batches that are not done."""
    here = any_row(Message, Message.batch_id == SendBatch.id, Message.state.in_(LIVE))
    live = any_row(SendBatch, SendBatch.sending_id == Sending.id, SendBatch.state != BatchState.DONE.value, here)
    return (
        update(Sending)
        .where(and_(_is_open(), ~live))
        .values(state=SendingState.FINISHED.value, finished_at=func.coalesce(Sending.finished_at, database_clock()))
    )

"""At least once: a service mail whose answer never came is sent again, and may arrive twice.

Transactional mails and confirmations only; marketing is at most once. The copy carries the same Message-ID, passes the
same gate, and is flagged (`message.repeats`); two repeats at most. RFC 1047 says why nobody can know.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.orm import Session

from mailer.database import database_clock_in
from mailer.delivery.claim import build_batch_row
from mailer.delivery.policy import MAX_REPEATS, REPEAT_AFTER, REPEAT_WITHIN
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.statuses import MessageState, SendingClass, SendingState

_AT_LEAST_ONCE = (SendingClass.TRANSACTIONAL.value, SendingClass.CONFIRMATION.value)
_OPEN = (SendingState.SENDING.value, SendingState.FINISHED.value)
_PAGE = 1_000


def repeat_unknown(session: Session, now: datetime) -> int:
    """Queue again, in batches of their own, service mails unknown for a quarter of an hour; return how many.

    `now`: business time, at which they are due. A sending that had finished goes on.
    """
    rows = find_unknown(session, now)
    groups: dict[tuple[int, str, int], list[int]] = {}
    for message_id, sending_id, provider, ordinal in rows:
        groups.setdefault((sending_id, provider, ordinal), []).append(message_id)
    for (sending_id, provider, ordinal), ids in groups.items():
        _queue_again(session, build_batch_row(sending_id, provider, ordinal, not_before=now), ids)
    _reopen(session, {sending_id for sending_id, _, _ in groups})
    return len(rows)


def find_unknown(session: Session, now: datetime) -> Sequence[Row[int, int, str, int]]:
    """Return what is to be repeated: message, sending, provider and ordinal, a thousand at most; rows are locked."""
    return session.execute(
        select(Message.id, Message.sending_id, SendBatch.provider, SendBatch.ordinal)
        .join(Sending, Sending.id == Message.sending_id)
        .join(SendBatch, SendBatch.id == Message.batch_id)
        .where(
            Sending.sending_class.in_(_AT_LEAST_ONCE),
            Sending.state.in_(_OPEN),
            Sending.created_at > database_clock_in(-REPEAT_WITHIN.total_seconds()),
            or_(Sending.send_until.is_(None), Sending.send_until > now),
            Message.state == MessageState.UNKNOWN.value,
            Message.repeats < MAX_REPEATS,
            Message.gate_at < database_clock_in(-REPEAT_AFTER.total_seconds()),
        )
        .order_by(Message.id)
        .limit(_PAGE)
        .with_for_update(skip_locked=True, of=Message)
    ).all()


def _queue_again(session: Session, batch: dict[str, object], ids: Sequence[int]) -> None:
    batch_id = session.scalars(insert(SendBatch).returning(SendBatch.id), [batch]).one()
    session.execute(
        update(Message)
        .where(Message.id.in_(ids), Message.state == MessageState.UNKNOWN.value)
        .values(
            state=MessageState.QUEUED.value,
            reason="repeat",
            repeats=Message.repeats + 1,
            batch_id=batch_id,
            gate_token=None,
        )
        .execution_options(synchronize_session=False)
    )


def _reopen(session: Session, sending_ids: Collection[int]) -> None:
    session.execute(
        update(Sending)
        .where(Sending.id.in_(sending_ids), Sending.state == SendingState.FINISHED.value)
        .values(state=SendingState.SENDING.value, finished_at=None)
        .execution_options(synchronize_session=False)
    )

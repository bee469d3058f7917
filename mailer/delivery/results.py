"""Write down what became of gated messages, in bulk, only where the token is still mine. Safe to repeat."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from mailer.database import any_row
from mailer.delivery.claim import Claim, build_batch_row, is_mine
from mailer.delivery.states import Fact, states_before
from mailer.schema.base import BigInt
from mailer.schema.delivery import Message, SendBatch
from mailer.statuses import MessageState


@dataclass(frozen=True)
class Result:
    """What one message came to. `fact` decides the state; `reason`, `reply` and `relay_message_id` say more."""

    message_id: int
    claim: Claim
    fact: Fact
    at: datetime
    reason: str = ""
    reply: str = ""
    relay_message_id: str | None = None
    retry_at: datetime | None = None


_REPLY_LIMIT = 500
_AFTER_GATE = (Fact.ACCEPTED, Fact.NOT_SENT, Fact.NO_ANSWER)


def record_results(session: Session, results: Sequence[Result]) -> None:
    """Apply each result where the row still carries my token, or is still queued in a batch of mine."""
    for fact in Fact:
        group = [result for result in results if result.fact is fact]
        if not group:
            continue
        if fact is Fact.DEFERRED:
            _record_deferred(session, group)
        else:
            _record(session, fact, group)


def _record(session: Session, fact: Fact, results: Sequence[Result]) -> None:
    """Rows beyond the gate are mine by `gate_token`; rows before it by the batch's token."""
    target = _target_state(fact)
    before = [state.value for state in states_before(fact)]
    values: dict[str, object] = {"state": target.value, "reason": bindparam("b_reason"), "reply": bindparam("b_reply")}
    if fact is Fact.ACCEPTED:
        values |= {"accepted_at": bindparam("b_at"), "relay_message_id": bindparam("b_relay")}
    if target is MessageState.QUEUED:
        values["gate_token"] = None
    statement = (
        update(Message)
        .where(
            Message.id == bindparam("b_id"),
            or_(*(Message.state == state for state in before)),
            _is_mine(beyond=fact in _AFTER_GATE),
        )
        .values(values)
    )
    session.connection().execute(statement, [_parameters(result) for result in results])


def _is_mine(*, beyond: bool) -> ColumnElement[bool]:
    token: ColumnElement[int] = bindparam("b_token", type_=BigInt)
    batch: ColumnElement[int] = bindparam("b_batch", type_=BigInt)  # tokens count from 1 in every batch
    if beyond:
        return and_(Message.gate_token == token, Message.batch_id == batch)
    leased = any_row(SendBatch, SendBatch.id == Message.batch_id, SendBatch.token == token)
    return func.coalesce(and_(Message.gate_token == token, Message.batch_id == batch), False) | (
        (Message.state == MessageState.QUEUED.value) & leased
    )


def _target_state(fact: Fact) -> MessageState:
    targets = {
        Fact.ACCEPTED: MessageState.ACCEPTED,
        Fact.REFUSED: MessageState.FAILED,
        Fact.NO_ANSWER: MessageState.UNKNOWN,
        Fact.NOT_SENT: MessageState.QUEUED,
        Fact.SKIPPED: MessageState.SKIPPED,
    }
    return targets[fact]


def _parameters(result: Result) -> dict[str, object]:
    return {
        "b_id": result.message_id,
        "b_token": result.claim.token,
        "b_batch": result.claim.batch_id,
        "b_reason": result.reason,
        "b_reply": result.reply[:_REPLY_LIMIT],
        "b_at": result.at,
        "b_relay": result.relay_message_id or None,
    }


def _record_deferred(session: Session, results: Sequence[Result]) -> None:
    """Move messages to a later batch of their own; it keeps provider and ordinal. An attempt is counted once."""
    groups: dict[tuple[Claim, datetime], list[Result]] = {}
    for result in results:
        if result.retry_at is None:
            raise ValueError("a deferred message needs a time")
        groups.setdefault((result.claim, result.retry_at), []).append(result)
    for (claim, retry_at), group in groups.items():
        if session.scalar(select(SendBatch.id).where(*is_mine(claim))) is None:
            continue
        again = build_batch_row(claim.sending_id, claim.provider, claim.ordinal, not_before=retry_at)
        batch_id = session.scalars(insert(SendBatch).returning(SendBatch.id), [again]).one()
        statement = (
            update(Message)
            .where(
                Message.id == bindparam("b_id"),
                Message.batch_id == claim.batch_id,
                or_(Message.state == MessageState.QUEUED.value, Message.state == MessageState.TRANSMITTING.value),
                _is_mine(beyond=False),
            )
            .values(
                state=MessageState.QUEUED.value,
                batch_id=batch_id,
                gate_token=None,
                attempts=Message.attempts + 1,
                reason=bindparam("b_reason"),
                reply=bindparam("b_reply"),
            )
        )
        session.connection().execute(statement, [_parameters(result) for result in group])

"""Write down what became of gated messages, in bulk, only where the token is still mine. Safe to repeat."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import ColumnElement, FromClause, Text, Update, and_, func, insert, or_, select, update
from sqlalchemy.orm import Session

from mailer.database import UtcDateTime, any_row, stored_instant
from mailer.delivery.claim import Claim, build_batch_row, is_mine
from mailer.delivery.states import Fact, states_before
from mailer.rowsets import bind_rows, rowset, run_kept
from mailer.schema.base import BigInt
from mailer.schema.delivery import Message, SendBatch
from mailer.statuses import MessageState


class Result(NamedTuple):
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
_TARGETS = {
    Fact.ACCEPTED: MessageState.ACCEPTED,
    Fact.REFUSED: MessageState.FAILED,
    Fact.NO_ANSWER: MessageState.UNKNOWN,
    Fact.NOT_SENT: MessageState.QUEUED,
    Fact.SKIPPED: MessageState.SKIPPED,
    Fact.DEFERRED: MessageState.QUEUED,
}
_GIVEN = "results"
_COLUMNS = {
    "id": BigInt, "token": BigInt, "batch": BigInt, "reason": Text(), "reply": Text(), "at": UtcDateTime(),
    "relay": Text(), "again": BigInt,
}  # fmt: skip


def record_results(session: Session, results: Sequence[Result]) -> None:
    """Apply each result where the row still carries my token, or is still queued in a batch of mine."""
    for fact in Fact:
        group = [result for result in results if result.fact is fact]
        if not group:
            continue
        if fact is Fact.DEFERRED:
            _record_deferred(session, group)
        else:
            _record(session, fact, group, None)


def _record(session: Session, fact: Fact, results: Sequence[Result], batch_id: int | None) -> None:
    dialect = session.get_bind().dialect.name
    rows = [
        (
            result.message_id, result.claim.token, result.claim.batch_id, result.reason, result.reply[:_REPLY_LIMIT],
            stored_instant(session, result.at), result.relay_message_id or None, batch_id,
        )
        for result in results
    ]  # fmt: skip
    run_kept(session.connection(), _statement(dialect, fact), bind_rows(dialect, _GIVEN, _COLUMNS, rows))


@cache
def _statement(dialect: str, fact: Fact) -> Update:
    """Rows beyond the gate are mine by `gate_token`; rows before it by the batch's token."""
    given = rowset(dialect, _GIVEN, _COLUMNS)
    target = _TARGETS[fact]
    values: dict[str, object] = {"state": target.value, "reason": given.c.reason, "reply": given.c.reply}
    if fact is Fact.ACCEPTED:
        values |= {"accepted_at": given.c.at, "relay_message_id": given.c.relay}
    if target is MessageState.QUEUED:
        values["gate_token"] = None
    if fact is Fact.DEFERRED:
        values |= {"batch_id": given.c.again, "attempts": Message.attempts + 1}
        before: tuple[MessageState, ...] = (MessageState.QUEUED, MessageState.TRANSMITTING)  # before its dot, or at it
    else:
        before = states_before(fact)
    return (
        update(Message)
        .where(
            Message.id == given.c.id,
            Message.batch_id == given.c.batch,  # tokens count from 1 in every batch
            or_(*(Message.state == state.value for state in before)),
            _is_mine(given, beyond=fact in _AFTER_GATE),
        )
        .values(values)
    )


def _is_mine(given: FromClause, *, beyond: bool) -> ColumnElement[bool]:
    gated = func.coalesce(Message.gate_token == given.c.token, False)
    if beyond:
        return gated
    leased = any_row(SendBatch, SendBatch.id == given.c.batch, SendBatch.token == given.c.token)
    return or_(gated, and_(Message.state == MessageState.QUEUED.value, leased))


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
        _record(session, Fact.DEFERRED, group, batch_id)

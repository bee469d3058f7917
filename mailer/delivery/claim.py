"""Take a batch, keep it, give it back. The lease stands on the batch; every later write asks for its token."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, Float, Select, Update, and_, bindparam, case, insert, or_, select, update
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.dml import ReturningUpdate

from mailer.database import UtcDateTime, any_row, database_clock_in
from mailer.delivery.policy import LEASE, MAX_CLAIMS
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.transports import ProviderHold
from mailer.schema.workspace import Workspace
from mailer.statuses import BatchState, MessageState, SendingClass, SendingState
from mailer.workspace.queries import find_quiet_end


@dataclass(frozen=True)
class Claim:
    """A batch that this worker holds until its lease ends."""

    batch_id: int
    sending_id: int
    token: int
    provider: str
    ordinal: int
    claims: int


def build_batch_row(
    sending_id: int, provider: str, ordinal: int, *, not_before: datetime, claims: int = 0
) -> dict[str, object]:
    """Return the columns of a batch that is ready at the business time `not_before`."""
    return {
        "sending_id": sending_id,
        "provider": provider,
        "ordinal": ordinal,
        "state": BatchState.READY.value,
        "not_before": not_before,
        "token": 0,
        "claims": claims,
    }


def is_running() -> ColumnElement[bool]:
    """The sending may send now: running, not held, and marketing is not stopped for the whole workspace."""
    stopped = any_row(Workspace, Workspace.stopped_at.is_not(None))
    return and_(
        Sending.state == SendingState.SENDING.value,
        Sending.hold_reason.is_(None),
        or_(Sending.sending_class != SendingClass.MARKETING.value, ~stopped),
    )


def list_due_sendings(session: Session, now: datetime) -> list[int]:
    """Return the sendings that have a batch due at the business time `now`, oldest first."""
    is_quiet = find_quiet_end(session, now) is not None
    return list(session.connection().execute(_due_sendings(is_quiet=is_quiet), {"now": now}).scalars())


@cache
def _due_sendings(*, is_quiet: bool) -> Select[int]:
    due = any_row(SendBatch, SendBatch.sending_id == Sending.id, *is_due(is_quiet=is_quiet))
    return select(Sending.id).where(is_running(), due).order_by(Sending.id)


def is_due(*, is_quiet: bool) -> list[ColumnElement[bool]]:
    """Conditions on batch and sending; `now` is to be bound. `is_quiet`: quiet hours run."""
    due = [
        SendBatch.state == BatchState.READY.value,
        SendBatch.not_before <= bindparam("now", type_=UtcDateTime()),
        or_(Sending.release_limit.is_(None), SendBatch.ordinal <= Sending.release_limit),
        ~is_provider_held(),
    ]
    return [*due, Sending.keeps_quiet_hours.is_(False)] if is_quiet else due


def is_provider_held() -> ColumnElement[bool]:
    """The batch is one of a mailbox provider that is held in its sending (holds.py)."""
    return any_row(
        ProviderHold,
        ProviderHold.sending_id == SendBatch.sending_id,
        ProviderHold.provider == SendBatch.provider,
        ProviderHold.released_at.is_(None),
    )


def claim_batch(session: Session, sending_id: int, now: datetime) -> Claim | None:
    """Lease the next due batch of a sending; None where there is none, or another worker was quicker."""
    is_quiet = find_quiet_end(session, now) is not None
    values = {"sending": sending_id, "now": now, "lease": LEASE.total_seconds()}
    row = session.connection().execute(_lease_next(is_quiet=is_quiet), values).one_or_none()
    return None if row is None else Claim(*row)


@cache
def _lease_next(*, is_quiet: bool) -> ReturningUpdate[int, int, int, str, int, int]:
    """One statement: a batch that somebody else has just locked is passed over (PostgreSQL)."""
    batch = aliased(SendBatch, name="lease")
    chosen = (
        select(SendBatch.id)
        .join(Sending, Sending.id == SendBatch.sending_id)
        .where(SendBatch.sending_id == bindparam("sending"), is_running(), *is_due(is_quiet=is_quiet))
        .order_by(SendBatch.ordinal, SendBatch.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=SendBatch)
    )
    return (
        update(batch)
        .where(batch.id == chosen.scalar_subquery())
        .values(
            state=BatchState.LEASED.value,
            token=batch.token + 1,
            claims=batch.claims + 1,
            lease_until=database_clock_in(bindparam("lease", type_=Float)),
        )
        .returning(batch.id, batch.sending_id, batch.token, batch.provider, batch.ordinal, batch.claims)
    )


def renew_leases(session: Session, claims: Sequence[Claim]) -> None:
    """Prolong leases that are still mine; a worker does so while it makes progress."""
    for claim in claims:
        end = database_clock_in(LEASE.total_seconds())
        session.execute(update(SendBatch).where(*is_mine(claim)).values(lease_until=end))


def is_mine(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """The batch is still leased to the holder of this claim."""
    return SendBatch.id == claim.batch_id, SendBatch.token == claim.token, SendBatch.state == BatchState.LEASED.value


def note_progress(session: Session, claims: Collection[Claim]) -> None:
    """Results came of these claims: no message in their batches has stopped a worker so far, whatever happens next.

    A worker that is killed cannot say so when it gives a batch back.
    """
    for claim in sorted(claims, key=lambda one: one.batch_id):
        session.execute(update(SendBatch).where(*is_mine(claim), SendBatch.claims > 0).values(claims=0))


def release_batch(session: Session, claim: Claim, *, not_before: datetime, has_progress: bool) -> None:
    """Give a batch back: `done` where nothing in it is queued or on its way, else ready again at `not_before`."""
    values = {
        "batch": claim.batch_id, "mine": claim.token, "at": not_before, "kept": 0 if has_progress else claim.claims,
    }  # fmt: skip
    session.connection().execute(_release(), values)


@cache
def _release() -> Update:
    live = any_row(
        Message,
        Message.batch_id == SendBatch.id,
        Message.state.in_([MessageState.QUEUED.value, MessageState.TRANSMITTING.value]),
    )
    return (
        update(SendBatch)
        .where(
            SendBatch.id == bindparam("batch"),
            SendBatch.token == bindparam("mine"),
            SendBatch.state == BatchState.LEASED.value,
        )
        .values(
            state=case((live, BatchState.READY.value), else_=BatchState.DONE.value),
            not_before=case((live, bindparam("at", type_=UtcDateTime())), else_=SendBatch.not_before),
            claims=bindparam("kept"),
            lease_until=None,
        )
    )


def isolate_poison(session: Session, claim: Claim) -> bool:
    """Deal with a batch that was claimed too often without progress; True where it must not be sent now.

    A batch of several messages is split into batches of one; a batch of one has found the poison: it is quarantined.
    """
    if claim.claims <= MAX_CLAIMS:
        return False
    old = session.get_one(SendBatch, claim.batch_id)
    ids = list(
        session.scalars(
            select(Message.id)
            .where(Message.batch_id == claim.batch_id, Message.state == MessageState.QUEUED.value)
            .order_by(Message.id)
        )
    )
    if len(ids) <= 1:
        session.execute(
            update(Message)
            .where(Message.id.in_(ids), Message.state == MessageState.QUEUED.value)
            .values(state=MessageState.QUARANTINED.value, reason="stopped_worker")
        )
    else:
        _split(session, claim, old, ids)
    release_batch(session, claim, not_before=old.not_before, has_progress=False)
    return True


def _split(session: Session, claim: Claim, old: SendBatch, ids: Sequence[int]) -> None:
    row = build_batch_row(
        claim.sending_id, claim.provider, claim.ordinal, not_before=old.not_before, claims=MAX_CLAIMS - 1
    )
    rows = [row for _ in ids]
    made = session.scalars(insert(SendBatch).returning(SendBatch.id, sort_by_parameter_order=True), rows).all()
    for message_id, batch_id in zip(ids, made, strict=True):
        session.execute(update(Message).where(Message.id == message_id).values(batch_id=batch_id))

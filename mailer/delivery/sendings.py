"""Use-cases of sendings: create, run, slow down, hold, end. Takes the caller's session; never commits.

Pause, hold and cancel take the sending row, which every gate locks first: when they have answered, no later gate
permits a message of that sending.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.breakers import find_stopping
from mailer.delivery.jobs import SEND_DUE
from mailer.delivery.queries import get_sending
from mailer.delivery.states import Fact, states_before
from mailer.errors import ConflictError
from mailer.schema.consent import Topic
from mailer.schema.delivery import Message, Sending
from mailer.statuses import HoldReason, MessageState, SendingClass, SendingState


@dataclass(frozen=True, kw_only=True)
class SendingSpec:
    """What a sending is made of; everything else is decided while it runs."""

    sending_class: SendingClass
    sender_id: int
    content_version_id: int
    topic_id: int | None = None
    rate_per_second: int | None = None
    keeps_quiet_hours: bool = False
    send_until: datetime | None = None
    track_opens: bool = True
    track_clicks: bool = True


def create_sending(session: Session, ctx: Context, spec: SendingSpec) -> Sending:
    """Create a sending that is being prepared; nothing goes out before `start_sending`.

    Opens and clicks are kept where both the sending and its topic want them.
    """
    topic = session.get(Topic, spec.topic_id) if spec.topic_id is not None else None
    is_tracked = topic is None or topic.is_tracked
    sending = Sending(
        sending_class=spec.sending_class.value,
        topic_id=spec.topic_id,
        sender_id=spec.sender_id,
        content_version_id=spec.content_version_id,
        rate_per_second=spec.rate_per_second,
        keeps_quiet_hours=spec.keeps_quiet_hours,
        send_until=spec.send_until,
        track_opens=spec.track_opens and is_tracked,
        track_clicks=spec.track_clicks and is_tracked,
        state=SendingState.PREPARING.value,
        key_id=ctx.keys.current,
        created_at=utc_now(),
    )
    session.add(sending)
    session.flush()
    return sending


def start_sending(session: Session, ctx: Context, sending_id: int) -> None:
    """Let a prepared sending run; rings for the workers. Safe to repeat."""
    started = session.execute(
        update(Sending)
        .where(Sending.id == sending_id, Sending.state == SendingState.PREPARING.value)
        .values(state=SendingState.SENDING.value, started_at=utc_now())
    )
    if not started.rowcount:  # type: ignore[attr-defined]
        return
    breaker = find_stopping(session, sending_id)
    if breaker is not None:
        hold_sending(session, sending_id, HoldReason.BREAKER, breaker.note)
    ctx.ring(session, SEND_DUE)


def plan_canary(session: Session, sending_id: int, plan: Mapping[str, Any], release_limit: int) -> None:
    """Let the batches up to `release_limit` go first; the rest waits for `release_rest`. `plan` says why."""
    sending = lock_sending(session, sending_id)
    sending.canary, sending.release_limit = dict(plan), release_limit


def release_rest(session: Session, ctx: Context, sending_id: int) -> bool:
    """Let every batch go; False where none was kept back. Rings for the workers."""
    sending = lock_sending(session, sending_id)
    if sending.release_limit is None:
        return False
    sending.release_limit = None
    ctx.ring(session, SEND_DUE)
    return True


def slow_sending(session: Session, sending_id: int, rate_per_second: int | None) -> None:
    """Let a sending go at `rate_per_second` at most, as the breaker asks; None: as fast as its own limits allow."""
    lock_sending(session, sending_id).slowed_to = rate_per_second


def hold_sending(session: Session, sending_id: int, reason: HoldReason, note: str = "") -> bool:
    """Hold a running sending at its next gate; False where it is not running or held already for another reason."""
    sending = lock_sending(session, sending_id)
    if sending.state not in (SendingState.PREPARING, SendingState.SENDING) or sending.hold_reason:
        return False
    sending.hold_reason, sending.hold_note, sending.held_at, sending.held_by = reason.value, note, utc_now(), None
    return True


def pause_sending(session: Session, sending_id: int, *, by: int | None = None) -> None:
    """Hold for a person, `by` where it is known. ConflictError where the sending has ended."""
    sending = lock_sending(session, sending_id)
    if sending.state not in (SendingState.PREPARING, SendingState.SENDING):
        raise ConflictError(f"the sending is {sending.state}; only a running one can be paused")
    if not sending.hold_reason:
        sending.hold_reason, sending.held_at, sending.held_by = HoldReason.USER.value, utc_now(), by


def resume_sending(session: Session, ctx: Context, sending_id: int) -> None:
    """Let a held sending go on. ConflictError where it has ended; safe to repeat."""
    sending = lock_sending(session, sending_id)
    if sending.state not in (SendingState.PREPARING, SendingState.SENDING):
        raise ConflictError(f"the sending is {sending.state}; it cannot be resumed")
    sending.hold_reason, sending.hold_note, sending.held_at, sending.held_by = None, "", None, None
    ctx.ring(session, SEND_DUE)


def cancel_sending(session: Session, sending_id: int) -> int:
    """End a sending; its queued messages become `cancelled`. Return how many. Safe to repeat."""
    sending = lock_sending(session, sending_id)
    if sending.state in (SendingState.FINISHED, SendingState.CANCELLED):
        return 0
    sending.state, sending.hold_reason, sending.finished_at = SendingState.CANCELLED.value, None, utc_now()
    session.flush()
    before = [state.value for state in states_before(Fact.CANCELLED)]
    cancelled = session.execute(
        update(Message)
        .where(Message.sending_id == sending_id, Message.state.in_(before))
        .values(state=MessageState.CANCELLED.value)
        .execution_options(synchronize_session=False)
    )
    return int(cancelled.rowcount)  # type: ignore[attr-defined]


def lock_sending(session: Session, sending_id: int) -> Sending:
    """Return a sending, locked as a gate locks it, or raise NotFoundError."""
    get_sending(session, sending_id)
    return session.get_one(Sending, sending_id, with_for_update=True, populate_existing=True)

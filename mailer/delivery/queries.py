"""Reads of sendings, messages and their events: every figure is computed from rows. Never commits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import NotFoundError
from mailer.schema.contacts import Address
from mailer.schema.delivery import Event, Message, SendBatch, Sending
from mailer.schema.privacy import KeptFigure
from mailer.schema.workspace import Workspace
from mailer.statuses import BatchState, HoldReason, MessageState, SendingClass, SendingState

RATE_WINDOW = timedelta(seconds=20)


def get_sending(session: Session, sending_id: int) -> Sending:
    """Return a sending or raise NotFoundError."""
    sending = session.get(Sending, sending_id)
    if sending is None:
        raise NotFoundError("no such sending")
    return sending


@dataclass(frozen=True)
class Progress:
    """Where a sending stands. `reason` is why it is held; `eta_seconds` is None where nothing moves."""

    status: SendingState
    reason: str
    states: dict[str, int]
    skipped: dict[str, int]
    rate_per_second: float
    eta_seconds: int | None


def count_states(session: Session, sending_id: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return messages by state (every state, zeros too) and skipped ones by reason.

    Rows that retention took away are counted by what was written down before (privacy/retention.py).
    """
    kept = select(KeptFigure.name, KeptFigure.word, KeptFigure.count).where(
        KeptFigure.sending_id == sending_id, KeptFigure.name.in_(("state", "skipped"))
    )
    states = {state.value: 0 for state in MessageState}
    skipped: dict[str, int] = {}
    if gone := session.execute(kept).all():
        states |= {word: count for name, word, count in gone if name == "state"}
        return states, {word: count for name, word, count in gone if name == "skipped"}
    rows = session.execute(
        select(Message.state, Message.reason, func.count())
        .where(Message.sending_id == sending_id)
        .group_by(Message.state, Message.reason)
    )
    for state, reason, count in rows:
        states[state] += count
        if state == MessageState.SKIPPED:
            skipped[reason] = skipped.get(reason, 0) + count
    return states, skipped


def get_progress(session: Session, ctx: Context, sending: Sending) -> Progress:
    """Return where a sending stands now; the rate is that of the last 20 seconds."""
    states, skipped = count_states(session, sending.id)
    now = utc_now()
    since = max(now - RATE_WINDOW, sending.started_at or now - RATE_WINDOW)
    recent = session.scalar(
        select(func.count())
        .select_from(Message)
        .where(
            Message.sending_id == sending.id,
            Message.state == MessageState.ACCEPTED.value,
            Message.accepted_at > since,
        )
    )
    rate = round((recent or 0) / max(1.0, (now - since).total_seconds()), 1)
    left = states[MessageState.QUEUED] + states[MessageState.TRANSMITTING]
    status, reason = display_state(session, sending)
    eta = _time_left(session, ctx, sending, left, rate) if status is SendingState.SENDING else None
    return Progress(status, reason, states, skipped, rate, 0 if not left else eta)


def _time_left(session: Session, ctx: Context, sending: Sending, left: int, rate: float) -> int | None:
    """Return seconds until the last mail at today's pace; not before those that wait for another try are due."""
    now = ctx.clock.now()
    later = (SendBatch.sending_id == sending.id, SendBatch.state == BatchState.READY.value, SendBatch.not_before > now)
    last = session.scalar(select(func.max(SendBatch.not_before)).where(*later))
    if last is None:
        return round(left / rate) if rate else None
    waiting = session.scalar(
        select(func.count())
        .select_from(Message)
        .join(SendBatch, SendBatch.id == Message.batch_id)
        .where(*later, Message.state == MessageState.QUEUED.value)
    )
    at_once = left - (waiting or 0)
    if at_once > 0 and not rate:
        return None
    return max(round(at_once / rate) if at_once > 0 else 0, round((last - now).total_seconds()))


def display_state(session: Session, sending: Sending) -> tuple[SendingState, str]:
    """Return the status that is shown and why: a held sending shows `paused` and its hold reason."""
    state = SendingState(sending.state)
    if state is not SendingState.SENDING:
        return state, sending.hold_reason or ""
    if sending.hold_reason:
        return SendingState.PAUSED, sending.hold_reason
    stopped = session.scalar(select(Workspace.stopped_at)) is not None
    if stopped and sending.sending_class == SendingClass.MARKETING:
        return SendingState.PAUSED, HoldReason.STOP_ALL.value
    return state, ""


@dataclass(frozen=True)
class MessageLine:
    """A message as lists show it; `events` are its events in the order they came."""

    id: int
    contact_id: int | None
    email: str | None
    state: str
    reason: str
    accepted_at: datetime | None
    key_id: int
    events: list[dict[str, Any]] = field(default_factory=list)


def iter_messages(
    session: Session, sending_id: int | None, *, state: str = "", page: int = 1000
) -> Iterator[MessageLine]:
    """Yield every message of a sending, of all sendings for None, with its events, by id, in keyset pages."""
    after = 0
    while lines := list_messages(session, sending_id, after_id=after, limit=page, state=state):
        yield from lines
        after = lines[-1].id


def list_messages(
    session: Session, sending_id: int | None, *, after_id: int = 0, limit: int = 100, state: str = ""
) -> list[MessageLine]:
    """Return one page of messages by id, their events with them; of all sendings for None."""
    query = (
        select(Message, func.coalesce(Message.to_address, Address.email), Sending.key_id)
        .join(Sending, Sending.id == Message.sending_id)
        .outerjoin(Address, Address.id == Message.address_id)
        .where(Message.id > after_id)
        .order_by(Message.id)
        .limit(limit)
    )
    if sending_id is not None:
        query = query.where(Message.sending_id == sending_id)
    if state:
        query = query.where(Message.state == state)
    rows = session.execute(query).all()
    events = _events_of(session, [message.id for message, _, _ in rows])
    return [
        MessageLine(
            message.id,
            message.contact_id,
            email,
            message.state,
            message.reason,
            message.accepted_at,
            key_id,
            events.get(message.id, []),
        )
        for message, email, key_id in rows
    ]


def _events_of(session: Session, message_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    if not message_ids:
        return {}
    rows = session.scalars(select(Event).where(Event.message_id.in_(message_ids)).order_by(Event.message_id, Event.id))
    found: dict[int, list[dict[str, Any]]] = {}
    for event in rows:
        found.setdefault(event.message_id, []).append(
            {"kind": event.kind, "class": event.hit_class, "at": event.at.isoformat(), "reason": event.reason}
        )
    return found


def find_by_relay_id(session: Session, relay_message_id: str) -> Message | None:
    """Return the message that a relay knows by its own id, read from its 250 reply."""
    return session.scalars(
        select(Message).where(Message.relay_message_id == relay_message_id).order_by(Message.id.desc()).limit(1)
    ).one_or_none()

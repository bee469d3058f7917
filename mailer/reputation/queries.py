"""Rates computed from rows. Never commits."""

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from mailer.database import any_row
from mailer.reputation.policy import Rates
from mailer.schema.delivery import Event, Message
from mailer.schema.reputation import Breaker
from mailer.statuses import BreakerState, EventKind, MessageState

_BOUNCES = (EventKind.HARD_BOUNCE.value, EventKind.SOFT_BOUNCE.value)


def was_transmitted() -> ColumnElement[bool]:
    """Accepted, or failed for a reason that blames the address or the mailbox (FEATURES M15)."""
    blamed = any_row(Event, Event.message_id == Message.id, Event.kind.in_(_BOUNCES))
    failed = (Message.state == MessageState.FAILED.value) & blamed
    return or_(Message.state == MessageState.ACCEPTED.value, failed)


def get_rates(session: Session, sending_id: int) -> Rates:
    """Return what a sending came to so far."""
    mine = Message.sending_id == sending_id
    transmitted = select(func.count()).select_from(Message).where(mine, was_transmitted())
    bounced = any_row(Event, Event.message_id == Message.id, Event.kind.in_(_BOUNCES))
    delivered = transmitted.where(Message.state == MessageState.ACCEPTED.value, ~bounced)
    return Rates(
        transmitted=session.scalar(transmitted) or 0,
        delivered=session.scalar(delivered) or 0,
        hard_bounces=_count(session, sending_id, EventKind.HARD_BOUNCE),
        complaints=_count(session, sending_id, EventKind.COMPLAINT),
    )


def _count(session: Session, sending_id: int, kind: EventKind) -> int:
    query = select(func.count(Event.message_id.distinct())).where(
        Event.sending_id == sending_id, Event.kind == kind.value
    )
    return session.scalar(query) or 0


def find_breaker(session: Session, scope: str, key: str = "") -> Breaker | None:
    """Return the breaker of a scope, None where it never tripped."""
    return session.scalars(select(Breaker).where(Breaker.scope == scope, Breaker.scope_key == key)).one_or_none()


def worst_state(session: Session) -> BreakerState:
    """Return the gravest state of all breakers."""
    states = [BreakerState(state) for state in session.scalars(select(Breaker.state).distinct())]
    return max(states, key=tuple(BreakerState).index, default=BreakerState.OK)

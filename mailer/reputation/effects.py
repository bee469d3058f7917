"""What a state of the breaker does to sendings: slower, held, on again. Takes the caller's session; never commits."""

from collections.abc import Sequence

from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from mailer.addresses import domain_of
from mailer.context import Context
from mailer.database import after_commit, any_row
from mailer.delivery import sendings
from mailer.delivery.breakers import find_slowing, find_stopping
from mailer.delivery.buckets import provider_bucket
from mailer.delivery.holds import hold_provider, release_provider
from mailer.delivery.throttle import Throttle
from mailer.delivery.transports import half_rate, load_plan
from mailer.errors import SetupError
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker
from mailer.schema.transports import ProviderHold
from mailer.schema.workspace import Sender
from mailer.statuses import BREAKER_STOPS, BreakerState, HoldReason, SendingClass, SendingState

_SLOWED_KEY, _SLOWED_SECONDS = "mailer:reputation:slowed:", 420
"""The limiter lets a slowed bucket grow by 10 % a minute: in seven minutes it is where it was."""


def take_effect(session: Session, ctx: Context, scope: str, key: str, state: BreakerState, why: str) -> None:
    """Let a new state take effect on every sending of the scope that runs."""
    if scope == "provider":
        _on_provider(session, ctx, key, state, why)
        return
    for sending_id in _list_running(session, scope, key):
        if state in BREAKER_STOPS:
            sendings.hold_sending(session, sending_id, HoldReason.BREAKER, why)
        elif state is BreakerState.THROTTLED:
            sendings.slow_sending(session, sending_id, half_rate(session, ctx, sending_id))
        else:
            _hasten(session, sending_id)


def end_effect(session: Session, ctx: Context, scope: str, key: str, *, by: int | None) -> None:
    """Let every sending of the scope go on that the breaker had slowed down or stopped, but for other breakers."""
    if scope == "provider":
        for sending_id in _held_for(session, key):
            release_provider(session, ctx, sending_id, key, by=by)
        return
    for sending_id in _list_running(session, scope, key):
        _hasten(session, sending_id)
        held = session.get_one(Sending, sending_id).hold_reason
        if held == HoldReason.BREAKER and find_stopping(session, sending_id) is None:
            sendings.resume_sending(session, ctx, sending_id)


def _hasten(session: Session, sending_id: int) -> None:
    """Take a sending's slower rate from it, unless its own breaker or its domain's still asks for one."""
    if find_slowing(session, sending_id) is None:
        sendings.slow_sending(session, sending_id, None)


def keep_up(session: Session, ctx: Context) -> None:
    """Let the states of domains and providers take effect on sendings that began since. Safe to repeat."""
    tripped = select(Breaker).where(Breaker.scope != "sending", Breaker.state != BreakerState.OK.value)
    for row in session.scalars(tripped.order_by(Breaker.id)).all():
        state = BreakerState(row.state)
        if row.scope == "provider" and state is BreakerState.THROTTLED:
            _slow_provider(session, ctx, row.scope_key)
        elif row.scope == "provider" and state in BREAKER_STOPS:
            for sending_id in _never_held(session, row):
                hold_provider(session, sending_id, row.scope_key, HoldReason.BREAKER, row.note, actor="reputation")
        elif row.scope == "domain" and state is BreakerState.THROTTLED:
            for sending_id in _list_running(session, "domain", row.scope_key, Sending.slowed_to.is_(None)):
                sendings.slow_sending(session, sending_id, half_rate(session, ctx, sending_id))


def needs_keeping(session: Session) -> bool:
    """Whether a domain or provider is slowed down or stopped."""
    tripped = select(Breaker.id).where(
        Breaker.scope != "sending", Breaker.state.not_in([BreakerState.OK.value, BreakerState.REVIEW.value])
    )
    return session.scalar(tripped.limit(1)) is not None


# ------------------------------------------------------------------ which sendings


def _running() -> Select[int]:
    live = (SendingState.PREPARING.value, SendingState.SENDING.value)
    return (
        select(Sending.id)
        .where(Sending.state.in_(live), Sending.sending_class == SendingClass.MARKETING.value)
        .order_by(Sending.id)
    )


def _list_running(session: Session, scope: str, key: str, *conditions: ColumnElement[bool]) -> Sequence[int]:
    running = _running().where(*conditions)
    if scope == "sending":
        return session.scalars(running.where(Sending.id == int(key))).all()
    rows = session.execute(running.add_columns(Sender.from_email).join(Sender, Sender.id == Sending.sender_id))
    return [sending_id for sending_id, email in rows if domain_of(email) == key]


def _held_for(session: Session, provider: str) -> Sequence[int]:
    return session.scalars(
        select(ProviderHold.sending_id)
        .where(
            ProviderHold.provider == provider,
            ProviderHold.reason == HoldReason.BREAKER.value,
            ProviderHold.released_at.is_(None),
        )
        .order_by(ProviderHold.sending_id)
    ).all()


def _never_held(session: Session, row: Breaker) -> Sequence[int]:
    """Sendings whose mails to a stopped provider nobody has held or let go yet."""
    held = any_row(
        ProviderHold,
        ProviderHold.sending_id == Sending.id,
        ProviderHold.provider == row.scope_key,
        ProviderHold.held_at >= row.changed_at,
    )
    return session.scalars(_running().where(~held)).all()


# ------------------------------------------------------------------ mailbox providers


def _on_provider(session: Session, ctx: Context, provider: str, state: BreakerState, why: str) -> None:
    if state in BREAKER_STOPS:
        for sending_id in session.scalars(_running()).all():
            hold_provider(session, sending_id, provider, HoldReason.BREAKER, why, actor="reputation")
    elif state is BreakerState.THROTTLED:
        _slow_provider(session, ctx, provider)


def _slow_provider(session: Session, ctx: Context, provider: str) -> None:
    """Halve the rate towards a mailbox provider through every relay, after the commit; again when it has recovered."""
    try:
        plan = load_plan(session, ctx)
    except (SetupError, RedisError, OSError):
        return
    buckets = [provider_bucket(relay, provider, plan.provider_rates) for relay in plan.relays if relay.adapts]

    def slow() -> None:
        try:
            if not ctx.redis.set(_SLOWED_KEY + provider, 1, nx=True, ex=_SLOWED_SECONDS):
                return
        except (RedisError, OSError):
            return  # without the limiter every worker sends one mail a second anyway
        throttle = Throttle(ctx.redis)
        for bucket in buckets:
            throttle.back_off(bucket)

    after_commit(session, slow)

"""Why a sending is not moving, or no faster: every cause that applies, the first to be mended first. Never commits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, case, false, func, select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.buckets import SendingLimits
from mailer.delivery.claim import is_provider_held
from mailer.delivery.holds import list_provider_holds
from mailer.delivery.queries import get_sending
from mailer.delivery.relay_health import Health, list_health
from mailer.delivery.relays import PlannedRelay
from mailer.delivery.throttle import Bucket, Level, Throttle
from mailer.delivery.transports import TransportPlan, load_plan, load_sending_limits
from mailer.delivery.workers import list_workers
from mailer.errors import SetupError
from mailer.schema.accounts import AuditEvent, Staff
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.reputation import CanaryWatch
from mailer.statuses import BatchState, MessageState, SendingClass, SendingState
from mailer.workspace.queries import find_quiet_end, get_workspace

SOON = timedelta(seconds=10)
"""A batch that comes again so soon waits for tokens, not for another try."""


class CauseCode(StrEnum):
    """Closed list (docs/reference/waiting.md), in the order in which causes are named."""

    PREPARING = "preparing"
    STOP_ALL = "stop_all"
    HELD = "held"
    PROVIDER_HELD = "provider_held"
    CANARY = "canary"
    QUIET_HOURS = "quiet_hours"
    RETRY = "retry"
    RATE = "rate"
    WARM_UP = "warm_up"
    NO_RELAY = "no_relay"
    RELAY_RESTS = "relay_rests"
    LIMITER_AWAY = "limiter_away"
    NO_WORKER = "no_worker"
    LEASED = "leased"
    UNANSWERED = "unanswered"
    NOTHING_DUE = "nothing_due"


@dataclass(frozen=True)
class Cause:
    """One reason. `what` says it in a sentence; `detail` holds its numbers and names, times aware."""

    code: CauseCode
    what: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    until: datetime | None = None


def why_not_moving(session: Session, ctx: Context, sending_id: int) -> list[Cause]:
    """Return what a sending waits for now, most important first; nothing for one that has ended or moves freely.

    Raises:
        NotFoundError: no such sending.
    """
    sending = get_sending(session, sending_id)
    if sending.state == SendingState.PREPARING:
        return [Cause(CauseCode.PREPARING, "the content is being frozen and the audience written down")]
    if sending.state != SendingState.SENDING:
        return []
    piles = _count_piles(session, ctx, sending)
    return [
        *_stopped(session, sending),
        *_held(session, sending),
        *_provider_held(session, sending),
        *_canary(session, sending, piles),
        *_quiet(session, ctx, sending),
        *_later(session, ctx, sending, piles),
        *_relays(session, ctx, sending, piles),
        *_workers(ctx, piles),
        *_rest(session, sending, piles),
    ]


# ------------------------------------------------------------------ batches by what they wait for


@dataclass
class _Pile:
    """Batches that wait for the same: how many, of which providers, and until when."""

    batches: int = 0
    providers: tuple[str, ...] = ()
    first: datetime | None = None
    last_lease: datetime | None = None


def _count_piles(session: Session, ctx: Context, sending: Sending) -> dict[str, _Pile]:
    kind = case(
        (SendBatch.state == BatchState.LEASED.value, "leased"),
        (is_provider_held(), "held"),
        (_is_beyond(sending), "canary"),
        (SendBatch.not_before > ctx.clock.now() + SOON, "later"),
        else_="due",
    )
    rows = session.execute(
        select(kind, SendBatch.provider, func.count(), func.min(SendBatch.not_before), func.max(SendBatch.lease_until))
        .where(SendBatch.sending_id == sending.id, SendBatch.state != BatchState.DONE.value)
        .group_by(kind, SendBatch.provider)
    )
    piles: dict[str, _Pile] = {}
    for name, provider, count, first, lease in rows:
        pile = piles.setdefault(name, _Pile())
        pile.batches += count
        pile.providers += (provider,)
        pile.first = first if pile.first is None else min(first, pile.first)
        pile.last_lease = lease if pile.last_lease is None else max(lease or pile.last_lease, pile.last_lease)
    return piles


def _is_beyond(sending: Sending) -> ColumnElement[bool]:
    return false() if sending.release_limit is None else SendBatch.ordinal > sending.release_limit


# ------------------------------------------------------------------ held


def _stopped(session: Session, sending: Sending) -> Iterator[Cause]:
    row = get_workspace(session)
    if row.stopped_at is None or sending.sending_class != SendingClass.MARKETING:
        return
    last = session.scalars(
        select(AuditEvent).where(AuditEvent.action == "workspace.stop_all").order_by(AuditEvent.id.desc()).limit(1)
    ).one_or_none()
    by = _name(session, last.staff_id if last else None)
    detail = {"since": row.stopped_at, "by": by, "note": row.stop_note}
    yield Cause(CauseCode.STOP_ALL, f"everything is stopped{_by(by)}{_because(row.stop_note)}", detail)


def _held(session: Session, sending: Sending) -> Iterator[Cause]:
    if not sending.hold_reason:
        return
    by = _name(session, sending.held_by)
    detail = {"reason": sending.hold_reason, "since": sending.held_at, "by": by, "note": sending.hold_note}
    yield Cause(CauseCode.HELD, f"held: {sending.hold_reason}{_by(by)}{_because(sending.hold_note)}", detail)


def _provider_held(session: Session, sending: Sending) -> Iterator[Cause]:
    for hold in list_provider_holds(session, sending.id):
        detail = {"provider": hold.provider, "since": hold.held_at, "note": hold.note, "reason": hold.reason}
        what = f"mails to {hold.provider} are held: {hold.reason}{_because(hold.note)}"
        yield Cause(CauseCode.PROVIDER_HELD, what, detail)


def _canary(session: Session, sending: Sending, piles: Mapping[str, _Pile]) -> Iterator[Cause]:
    if "canary" not in piles:
        return
    plan = sending.canary or {}
    until = session.scalar(select(CanaryWatch.watch_until).where(CanaryWatch.sending_id == sending.id))
    first = f"the first {plan['size']} of {plan['of']}" if plan else "the first share"
    what = f"{first} are watched until {_clock(until)}, then all go" if until else f"{first} go alone and are watched"
    detail = {"batches": piles["canary"].batches, "size": plan.get("size"), "of": plan.get("of")}
    yield Cause(CauseCode.CANARY, what, detail, until)


def _name(session: Session, staff_id: int | None) -> str:
    staff = session.get(Staff, staff_id) if staff_id else None
    return (staff.name or staff.email) if staff else ""


def _by(name: str) -> str:
    return f" by {name}" if name else ""


def _because(note: str) -> str:
    return f" ({note})" if note else ""


# ------------------------------------------------------------------ times


def _quiet(session: Session, ctx: Context, sending: Sending) -> Iterator[Cause]:
    if not sending.keeps_quiet_hours:
        return
    until = find_quiet_end(session, ctx.clock.now())
    if until is not None:
        yield Cause(CauseCode.QUIET_HOURS, f"quiet hours until {_clock(until)}", until=until)


def _later(session: Session, ctx: Context, sending: Sending, piles: Mapping[str, _Pile]) -> Iterator[Cause]:
    """Messages that wait for another try, after a temporary refusal or for tokens."""
    pile = piles.get("later")
    if pile is None:
        return
    count = session.scalar(
        select(func.count())
        .select_from(Message)
        .join(SendBatch, SendBatch.id == Message.batch_id)
        .where(
            SendBatch.sending_id == sending.id,
            SendBatch.state == BatchState.READY.value,
            SendBatch.not_before > ctx.clock.now() + SOON,
            Message.state == MessageState.QUEUED.value,
        )
    )
    if count:
        what = f"{count} wait for another try, the first at {_clock(pile.first)}"
        yield Cause(CauseCode.RETRY, what, {"count": count}, until=pile.first)


def _clock(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "once it is due"


# ------------------------------------------------------------------ relays and limits


def _relays(session: Session, ctx: Context, sending: Sending, piles: Mapping[str, _Pile]) -> Iterator[Cause]:
    try:
        plan = load_plan(session, ctx)
    except SetupError as error:
        yield Cause(CauseCode.NO_RELAY, error.message, {"mend": error.mend})
        return
    awake = [relay for relay in plan.relays if relay.key not in plan.resting]
    providers = [*piles.get("due", _Pile()).providers, *piles.get("leased", _Pile()).providers]
    if awake and piles.keys() & {"due", "leased", "later"}:
        yield from _limits(session, ctx, sending, plan, awake, providers)
    yield from _resting(session, plan, is_all=not awake)


def _limits(
    session: Session, ctx: Context, sending: Sending, plan: TransportPlan, relays: list[PlannedRelay], to: list[str]
) -> Iterator[Cause]:
    """Name the limit that allows least, if something waits for it, and how long the rest takes at that pace."""
    throttle, limits = Throttle(ctx.redis), load_sending_limits(session, ctx, sending.id)
    try:
        slowest = [_slowest(throttle, plan, relay, limits, to) for relay in relays]
        budget = throttle.look([limits.warm_up])[0] if limits.warm_up and relays[0].adapts else None
    except (RedisError, OSError):
        what = "the shared limiter does not answer: each worker sends one mail a second"
        yield Cause(CauseCode.LIMITER_AWAY, what)
        return
    found = [level for level in slowest if level is not None]
    if to and len(found) == len(relays):  # else one of the relays takes all it is given
        yield from _rate(session, sending, found)
    if budget is not None and budget.tokens < 1 and limits.warm_up is not None:
        until = ctx.clock.now() + timedelta(seconds=limits.warm_up.renews_in)
        what = f"the domain is warming up: its {limits.warm_up.limit} mails of today are used up"
        yield Cause(CauseCode.WARM_UP, what, {"limit": limits.warm_up.limit}, until=until)


def _slowest(
    throttle: Throttle, plan: TransportPlan, relay: PlannedRelay, limits: SendingLimits, providers: list[str]
) -> Level | None:
    buckets = {
        limit.name: limit
        for provider in providers
        for limit in plan.limits_of(relay, limits, provider)
        if isinstance(limit, Bucket)
    }
    levels = [level for level in throttle.look(list(buckets.values())) if level.rate is not None]
    return min(levels, key=lambda level: level.rate or 0, default=None)


def _rate(session: Session, sending: Sending, slowest: list[Level]) -> Iterator[Cause]:
    names = {level.name for level in slowest}
    own = {level.name: level.rate or 0 for level in slowest}  # a sending's own rate is one, whatever the relay
    rate = sum(own.values())
    left = session.scalar(
        select(func.count())
        .select_from(Message)
        .where(Message.sending_id == sending.id, Message.state == MessageState.QUEUED.value)
    )
    if not left or not rate or left / rate < 1:
        return
    slowed = any(level.is_slowed for level in slowest)
    detail = {
        "rate_per_second": round(rate, 2),
        "limits": sorted(names),
        "is_slowed": slowed,
        "count": left,
        "eta_seconds": round(left / rate),
    }
    why = "slowed down after the relay asked for it, " if slowed else ""
    what = f"{why}at most {rate:.4g} mails a second ({', '.join(sorted(names))}): about {left / rate:.0f} s for {left}"
    yield Cause(CauseCode.RATE, what, detail)


def _resting(session: Session, plan: TransportPlan, *, is_all: bool) -> Iterator[Cause]:
    health = list_health(session)
    for relay in plan.relays:
        state = health.get(relay.key, Health(relay.key))
        if not state.failures:
            continue
        detail = {
            "relay": relay.name,
            "is_all": is_all,
            "down_since": state.down_since,
            "failures": state.failures,
            "error": state.last_error,
        }
        rests = state.is_resting(utc_now())
        what = f"relay {relay.name} does not work: {state.last_error}"
        if rests:
            what += f"; tried again at {_clock(state.resting_until)}"
        yield Cause(CauseCode.RELAY_RESTS, what, detail, until=state.resting_until if rests else None)


# ------------------------------------------------------------------ workers, and what is left


def _workers(ctx: Context, piles: Mapping[str, _Pile]) -> Iterator[Cause]:
    try:
        if list_workers(ctx.redis):
            return
    except (RedisError, OSError):
        yield Cause(CauseCode.LIMITER_AWAY, "Redis does not answer: nobody can say which workers live")
        return
    yield Cause(CauseCode.NO_WORKER, "no send worker has reported in the last 20 seconds")
    leased = piles.get("leased")
    if leased is not None:
        until = leased.last_lease
        what = f"{leased.batches} batches are leased by workers that are gone, until {_clock(until)}"
        yield Cause(CauseCode.LEASED, what, {"batches": leased.batches}, until=until)


def _rest(session: Session, sending: Sending, piles: Mapping[str, _Pile]) -> Iterator[Cause]:
    waiting = session.scalar(
        select(func.count())
        .select_from(Message)
        .where(Message.sending_id == sending.id, Message.state == MessageState.TRANSMITTING.value)
    )
    if piles.keys() & {"due", "later", "held", "canary"}:
        return
    if waiting:
        what = f"{waiting} have left and wait for the relay's answer; without one in 700 s they become unknown"
        yield Cause(CauseCode.UNANSWERED, what, {"count": waiting})
    elif "leased" not in piles and not _has_queued(session, sending):
        yield Cause(CauseCode.NOTHING_DUE, "nothing is left to send; it finishes within seconds")


def _has_queued(session: Session, sending: Sending) -> bool:
    queued = select(Message.id).where(Message.sending_id == sending.id, Message.state == MessageState.QUEUED.value)
    return session.scalar(queued.limit(1)) is not None

"""Warm-up of a sending domain: so many marketing mails a day, more each day (docs/reference/defaults.md).

Reputation belongs to the domain, also behind a relay. A day counts, and the next one may be larger, where at least half
of it was used and at most 5 % of its mails were put off. What a day has used is counted in Redis and, where Redis does
not know it, from the ledger.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import any_row
from mailer.delivery.jobs import SEND_DUE
from mailer.delivery.throttle import Budget, Throttle
from mailer.errors import NotFoundError
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.transports import SendingDomain
from mailer.schema.workspace import Sender
from mailer.statuses import BatchState, MessageState, SendingClass
from mailer.workspace.queries import get_workspace

FIRST_DAY, GROWTH, LAST_DAY = 500, 1.5, 50_000
MOST_DEFERRED = 0.05
LEAST_USED = 0.5


def daily_budget(step: int) -> int:
    """Return how many marketing mails a domain may send on a day, after `step` days that went well."""
    return min(LAST_DAY, int(FIRST_DAY * GROWTH ** min(step, 50)))


@dataclass(frozen=True)
class Day:
    """A day of a domain: marketing mails that went out, and those that were put off at least once."""

    sent: int
    deferred: int


def may_grow(day: Day, budget: int) -> bool:
    """Return whether the next day may be larger than this one."""
    return day.sent >= LEAST_USED * budget and day.deferred <= MOST_DEFERRED * (day.sent + day.deferred)


def start_warm_up(session: Session, ctx: Context, domain: SendingDomain, *, by: int | None = None) -> None:
    """Begin at 500 a day; audited."""
    domain.warm_up_from, domain.warm_up_step = ctx.clock.now(), 0
    domain.warm_up_day = ctx.clock.today(get_workspace(session).timezone)
    record_audit(session, "delivery.start_warm_up", by=by, subject=("sending_domain", domain.id))


def end_warm_up(session: Session, domain: SendingDomain, *, by: int | None = None, actor: str = "") -> None:
    """Take the limit away: the domain is warm; audited."""
    domain.warm_up_from = domain.warm_up_day = None
    record_audit(session, "delivery.end_warm_up", by=by, actor=actor, subject=("sending_domain", domain.id))


def set_warm_up(ctx: Context, public_id: uuid.UUID, *, begins: bool, by: int | None = None) -> None:
    """Begin or end the warm-up of a sending domain; NotFoundError where there is none."""
    with ctx.write() as session:
        row = session.scalar(select(SendingDomain).where(SendingDomain.public_id == public_id))
        if row is None:
            raise NotFoundError("no such sending domain")
        if begins:
            start_warm_up(session, ctx, row, by=by)
        else:
            end_warm_up(session, row, by=by)
            _wake(session, ctx, row.domain)


def _wake(session: Session, ctx: Context, domain: str) -> None:
    """Let batches go at once that waited for the next day; those with mails that were put off keep their time."""
    now = ctx.clock.now()
    put_off = any_row(Message, Message.batch_id == SendBatch.id, Message.attempts > 0)
    session.execute(
        update(SendBatch)
        .where(
            SendBatch.sending_id.in_(_sendings_of(session, domain, utc_now())),
            SendBatch.state == BatchState.READY.value,
            SendBatch.not_before > now,
            ~put_off,
        )
        .values(not_before=now)
        .execution_options(synchronize_session=False)
    )
    ctx.ring(session, SEND_DUE)


@dataclass(frozen=True)
class WarmUp:
    """A sending domain as pages show it; `limit` and `left` are None where it is warm."""

    public_id: uuid.UUID
    domain: str
    since: datetime | None
    limit: int | None
    left: int | None


def list_warm_ups(session: Session, ctx: Context) -> list[WarmUp]:
    """Return the sending domains by name, each with what it may send today."""
    rows = session.scalars(select(SendingDomain).order_by(SendingDomain.domain)).all()
    return [_show(session, ctx, row) for row in rows]


def _show(session: Session, ctx: Context, row: SendingDomain) -> WarmUp:
    if row.warm_up_from is None:
        return WarmUp(row.public_id, row.domain, None, None, None)
    left = count_left(session, ctx, f"@{row.domain}")
    return WarmUp(row.public_id, row.domain, row.warm_up_from, daily_budget(row.warm_up_step), left)


def load_budget(session: Session, ctx: Context, email: str) -> Budget | None:
    """Return what the domain of a sender's address may send today; None where it is warm.

    The shared count is told what the ledger knows, where it knows nothing.
    """
    domain = email.rpartition("@")[2].lower()
    row = session.scalar(
        select(SendingDomain).where(SendingDomain.domain == domain, SendingDomain.warm_up_from.is_not(None))
    )
    if row is None:
        return None
    zone = get_workspace(session).timezone
    today = ctx.clock.today(zone)
    start, end = day_bounds(today, zone)
    left = (end - ctx.clock.now()).total_seconds()
    budget = Budget(f"warm_up:{domain}:{today}", daily_budget(row.warm_up_step), max(1.0, left))
    try:
        throttle = Throttle(ctx.redis)
        if not throttle.is_seeded(budget):
            throttle.seed(budget, count_day(session, ctx, domain, start, end).sent)
    except (RedisError, OSError):
        return budget  # an unknown budget gives nothing
    return budget


def count_left(session: Session, ctx: Context, email: str) -> int | None:
    """Return how many mails the domain of a sender's address may still send today; None where it is warm."""
    budget = load_budget(session, ctx, email)
    if budget is None:
        return None
    try:
        return max(0, int(Throttle(ctx.redis).look([budget])[0].tokens))
    except (RedisError, OSError):
        return budget.limit


def day_bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """Return the instants at which a day of a zone begins and ends; it may have 23 or 25 hours."""
    info = ZoneInfo(zone)
    start = datetime(day.year, day.month, day.day, tzinfo=info)
    after = day + timedelta(days=1)
    return start.astimezone(UTC), datetime(after.year, after.month, after.day, tzinfo=info).astimezone(UTC)


def count_day(session: Session, ctx: Context, domain: str, start: datetime, end: datetime) -> Day:
    """Return what a domain sent between two business times, from the ledger."""
    start, end = start - ctx.clock.offset, end - ctx.clock.offset  # gates are written down in real time
    sendings = _sendings_of(session, domain, start)
    if not sendings:
        return Day(0, 0)
    gated = and_(Message.gate_at >= start, Message.gate_at < end)
    put_off = and_(Message.attempts > 0, or_(gated, Message.state == MessageState.QUEUED.value))

    def count(condition: ColumnElement[bool]) -> int:
        found = select(func.count()).select_from(Message).where(Message.sending_id.in_(sendings), condition)
        return session.scalar(found) or 0

    return Day(count(and_(gated, Message.state != MessageState.QUEUED.value)), count(put_off))


def _sendings_of(session: Session, domain: str, start: datetime) -> Sequence[int]:
    """The marketing sendings of a domain that ran at or after `start`."""
    senders = [
        sender_id
        for sender_id, email in session.execute(select(Sender.id, Sender.from_email))
        if email.rpartition("@")[2].lower() == domain
    ]
    return session.scalars(
        select(Sending.id).where(
            Sending.sender_id.in_(senders),
            Sending.sending_class == SendingClass.MARKETING.value,
            Sending.started_at.is_not(None),
            or_(Sending.finished_at.is_(None), Sending.finished_at >= start),
        )
    ).all()


def advance(session: Session, ctx: Context) -> None:
    """On a new day, judge the last one: go a step up, stand still, or call the domain warm. Safe to repeat."""
    zone = get_workspace(session).timezone
    today = ctx.clock.today(zone)
    warming = session.scalars(
        select(SendingDomain).where(SendingDomain.warm_up_from.is_not(None)).order_by(SendingDomain.id)
    ).all()
    for domain in warming:
        if domain.warm_up_day is None:
            domain.warm_up_day = today
        elif domain.warm_up_day < today:
            _judge(session, ctx, domain, zone)
            if domain.warm_up_from is not None:
                domain.warm_up_day = today


def _judge(session: Session, ctx: Context, domain: SendingDomain, zone: str) -> None:
    if domain.warm_up_day is None:
        return
    day = count_day(session, ctx, domain.domain, *day_bounds(domain.warm_up_day, zone))
    budget = daily_budget(domain.warm_up_step)
    if not may_grow(day, budget):
        return
    if budget >= LAST_DAY:
        end_warm_up(session, domain, actor="warm-up")
    else:
        domain.warm_up_step += 1

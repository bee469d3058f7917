"""Keep the counts of sendings fresh: which to count now, and when again. Any number of processes may do it.

A running sending is counted every few seconds, seldomer where a count costs more; one that ended every minute while the
breaker is armed, then every hour for 30 days.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from mailer.addresses import domain_of
from mailer.clock import utc_now
from mailer.context import Context
from mailer.reputation.counting import COLUMNS, COUNTED_CLASSES, count_sending
from mailer.schema.delivery import Sending
from mailer.schema.reputation import RateLook, RateSlot
from mailer.schema.workspace import Sender
from mailer.statuses import SendingState

ARMED_FOR = timedelta(hours=72)
COUNTED_FOR = timedelta(days=30)
KEPT_FOR = timedelta(days=31)
"""Slots are forgotten then: no window reaches so far back."""
RUNNING_EVERY, ARMED_EVERY, LATE_EVERY = timedelta(seconds=3), timedelta(minutes=1), timedelta(hours=1)
SHARE_OF_TIME = 20
"""A count that took a second is made every 20 seconds at most."""
_AT_ONCE = 200
_LIVE = (SendingState.SENDING.value,)
_Slots = Mapping[tuple[str, datetime], Mapping[str, int]]


def count_due(ctx: Context, *, is_paced: bool = True, only: int | None = None) -> None:
    """Count every sending whose time has come, all of them where `is_paced` is off, or `only` one."""
    query = _due(utc_now(), is_paced=is_paced)
    with ctx.read() as session:
        due = session.execute(query if only is None else query.where(Sending.id == only)).all()
    for sending_id, sending, email in due:
        _count(ctx, sending_id, sending, email)


def list_news(ctx: Context) -> dict[int, datetime]:
    """Return the sendings whose figures changed since they were judged, with when."""
    query = select(RateLook.sending_id, RateLook.news_at).where(RateLook.news_at.is_not(None))
    with ctx.read() as session:
        return {sending_id: at for sending_id, at in session.execute(query) if at is not None}


def end_news(ctx: Context, judged: Mapping[int, datetime]) -> None:
    """Note that these news were judged; what changed again meanwhile stays news."""
    with ctx.write() as session:
        for sending_id, at in judged.items():
            mine = (RateLook.sending_id == sending_id, RateLook.news_at == at)
            session.execute(update(RateLook).where(*mine).values(news_at=None))


def _due(now: datetime, *, is_paced: bool) -> Select[int, Sending, str]:
    query = (
        select(Sending.id, Sending, Sender.from_email)
        .join(Sender, Sender.id == Sending.sender_id)
        .outerjoin(RateLook, RateLook.sending_id == Sending.id)
        .where(
            Sending.sending_class.in_(COUNTED_CLASSES),
            Sending.started_at.is_not(None),
            or_(Sending.state.in_(_LIVE), Sending.finished_at > now - COUNTED_FOR),
        )
        .order_by(RateLook.next_at.is_not(None), RateLook.next_at, Sending.id)
    )
    if is_paced:
        query = query.where(or_(RateLook.sending_id.is_(None), RateLook.next_at <= now)).limit(_AT_ONCE)
    return query


def _count(ctx: Context, sending_id: int, sending: Sending, from_email: str) -> None:
    began = time.monotonic()
    now = utc_now()
    with ctx.read() as session:
        counted = count_sending(session, sending_id, sending.started_at, now)
        slots = {key: row for key, row in counted.slots.items() if key[1] >= now - KEPT_FOR}
        is_news = slots != _read_slots(session, sending_id, now)
    took = timedelta(seconds=time.monotonic() - began)
    domain = domain_of(from_email)
    with ctx.write() as session:
        if is_news:
            _write_slots(session, sending_id, slots)
        look = session.get(RateLook, sending_id, with_for_update=True)
        if look is None:
            look = RateLook(sending_id=sending_id, domain=domain)
            session.add(look)
        look.looked_at, look.took_ms, look.next_at = now, round(took.total_seconds() * 1000), _next(sending, now, took)
        look.waiting, look.unknown = counted.waiting, counted.unknown
        if is_news:
            look.news_at = now


def _next(sending: Sending, now: datetime, took: timedelta) -> datetime | None:
    """Return when a sending is counted again; None where nothing is to come any more."""
    pause = max(RUNNING_EVERY, SHARE_OF_TIME * took)
    if sending.finished_at is None or sending.state in _LIVE:
        return now + pause
    age = now - sending.finished_at
    if age < timedelta(minutes=10):
        return now + pause
    if age < ARMED_FOR:
        return now + max(ARMED_EVERY, pause)
    return now + LATE_EVERY if age < COUNTED_FOR else None


def forget_old_slots(ctx: Context) -> int:
    """Delete slots that no window reaches any more; return how many."""
    old = RateSlot.slot < utc_now() - KEPT_FOR
    with ctx.read() as session:
        if session.scalar(select(RateSlot.sending_id).where(old).limit(1)) is None:
            return 0
    with ctx.write() as session:
        return int(session.execute(delete(RateSlot).where(old)).rowcount)  # type: ignore[attr-defined]


def _read_slots(session: Session, sending_id: int, now: datetime) -> _Slots:
    mine = (RateSlot.sending_id == sending_id, RateSlot.slot >= now - KEPT_FOR)
    rows = session.scalars(select(RateSlot).where(*mine))
    return {(row.provider, row.slot): {name: getattr(row, name) for name in COLUMNS} for row in rows}


def _write_slots(session: Session, sending_id: int, slots: _Slots) -> None:
    """Two at once write the same; the row of the sending makes them take turns."""
    session.get(Sending, sending_id, with_for_update={"read": False, "key_share": True}, populate_existing=True)
    session.execute(delete(RateSlot).where(RateSlot.sending_id == sending_id))
    rows: Sequence[dict[str, object]] = [
        {"sending_id": sending_id, "provider": provider, "slot": slot, **figures}
        for (provider, slot), figures in slots.items()
    ]
    if rows:
        session.execute(insert(RateSlot), rows)

"""A new domain begins with 500 marketing mails a day, and grows only after days that went well."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
import redis
from sqlalchemy import insert, select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.loop import send_due
from mailer.delivery.throttle import Throttle
from mailer.delivery.transports import load_sending_limits
from mailer.delivery.warm_up import (
    Day,
    advance,
    count_day,
    daily_budget,
    day_bounds,
    load_budget,
    may_grow,
    set_warm_up,
    start_warm_up,
)
from mailer.ids import new_public_id
from mailer.schema.delivery import Message, Sending
from mailer.schema.transports import SendingDomain
from mailer.statuses import MessageState, SendingClass
from tests.support.make import make_reader, make_sending, make_topic, make_workspace
from tests.support.sink import Sink


@pytest.fixture
def warm_ctx(make_ctx: Callable[..., Context], redis_url: str, sink: Sink) -> Context:
    """A context with Redis, a relay, and a domain that warms up."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    ctx = make_ctx(redis_url=redis_url, smtp_url=f"smtp://127.0.0.1:{sink.port}")
    with ctx.write() as session:
        make_workspace(session, timezone="Europe/Oslo", limits={"rate_per_second": 0})
        row = SendingDomain(public_id=new_public_id(), domain="example.com", checks={}, created_at=utc_now())
        session.add(row)
        session.flush()
        start_warm_up(session, ctx, row)
    return ctx


ZONE = "Europe/Oslo"


def _sent(ctx: Context, count: int, *, deferred: int = 0, days_ago: int = 0) -> Sending:
    """A sending of the domain with so many messages past the gate, and so many that were put off and wait."""
    day = ctx.clock.today(ZONE) - timedelta(days=days_ago)
    at = day_bounds(day, ZONE)[0] + timedelta(hours=12) if days_ago else utc_now()
    with ctx.write() as session:
        sending = make_sending(session, ctx, [], make_topic(session))
        row = {"sending_id": sending.id, "reason": "", "reply": ""}
        gated = {**row, "state": "accepted", "gate_at": at, "attempts": 0}
        waiting = {**row, "state": "queued", "gate_at": None, "attempts": 1}
        rows = [{**gated, "recipient_key": -number} for number in range(1, count + 1)]
        rows += [{**waiting, "recipient_key": -number} for number in range(count + 1, count + deferred + 1)]
        session.execute(insert(Message), rows)
    return sending


def _new_day(ctx: Context, **values: object) -> None:
    """Yesterday is the day that was judged last."""
    yesterday = ctx.clock.today(ZONE) - timedelta(days=1)
    with ctx.write() as session:
        session.execute(update(SendingDomain).values(warm_up_day=yesterday, **values))
        advance(session, ctx)


def _step(ctx: Context) -> tuple[int, date | None]:
    with ctx.read() as session:
        row = session.scalars(select(SendingDomain)).one()
        return row.warm_up_step, row.warm_up_day


def test_plan_of_days() -> None:
    assert [daily_budget(step) for step in (0, 1, 2, 3, 11, 12, 10_000)] == [500, 750, 1125, 1687, 43248, 50000, 50000]


@pytest.mark.parametrize(
    ("sent", "deferred", "grows"),
    [(500, 0, True), (250, 0, True), (249, 0, False), (0, 0, False), (475, 25, True), (475, 26, False)],
)
def test_next_day_grows_after_a_used_day_with_few_deferrals(sent: int, deferred: int, *, grows: bool) -> None:
    assert may_grow(Day(sent, deferred), 500) is grows


def test_day_of_a_clock_change_has_its_own_length() -> None:
    lengths = [
        (end - start).total_seconds() / 3600
        for start, end in (
            day_bounds(date(2026, month, day), "Europe/Oslo") for month, day in ((3, 29), (10, 25), (6, 1))
        )
    ]

    assert lengths == [23, 25, 24]


def test_ledger_says_what_a_day_used_where_redis_has_forgotten(warm_ctx: Context) -> None:
    _sent(warm_ctx, 30)
    with warm_ctx.read() as session:
        budget = load_budget(session, warm_ctx, "news@Example.com")
    assert budget is not None
    throttle = Throttle(warm_ctx.redis)
    first = throttle.take([budget], 1000).count
    warm_ctx.redis.flushall()
    forgotten = throttle.take([budget], 1000).count
    with warm_ctx.read() as session:
        load_budget(session, warm_ctx, "news@example.com")

    assert (first, forgotten) == (470, 0)
    assert throttle.take([budget], 1000).count == 470


def test_other_domains_and_other_classes_are_not_limited(warm_ctx: Context) -> None:
    with warm_ctx.write() as session:
        topic = make_topic(session)
        service_mail = make_sending(session, warm_ctx, [], topic, sending_class=SendingClass.TRANSACTIONAL)
        marketing = make_sending(session, warm_ctx, [], topic)

    with warm_ctx.read() as session:
        assert load_budget(session, warm_ctx, "news@other.example.com") is None
        assert load_sending_limits(session, warm_ctx, service_mail.id).warm_up is None
        assert load_sending_limits(session, warm_ctx, marketing.id).warm_up is not None


def test_good_day_makes_the_next_one_larger_once(warm_ctx: Context) -> None:
    _sent(warm_ctx, 300, days_ago=1)

    _new_day(warm_ctx)
    for _ in range(3):
        with warm_ctx.write() as session:
            advance(session, warm_ctx)

    assert _step(warm_ctx) == (1, warm_ctx.clock.today(ZONE))
    with warm_ctx.read() as session:
        budget = load_budget(session, warm_ctx, "news@example.com")
    assert budget is not None
    assert budget.limit == 750


def test_day_with_many_deferrals_stands_still(warm_ctx: Context) -> None:
    _sent(warm_ctx, 300, deferred=20, days_ago=1)

    _new_day(warm_ctx)

    assert _step(warm_ctx)[0] == 0


def test_domain_is_warm_after_a_full_last_day_and_not_before(warm_ctx: Context) -> None:
    _sent(warm_ctx, 3, days_ago=1)
    _new_day(warm_ctx, warm_up_step=12)
    with warm_ctx.read() as session:
        assert session.scalar(select(SendingDomain.warm_up_from)) is not None

    _sent(warm_ctx, 25_000, days_ago=1)
    _new_day(warm_ctx)

    with warm_ctx.read() as session:
        assert session.scalar(select(SendingDomain.warm_up_from)) is None


def test_moved_clock_does_not_lose_the_ledgers_gates(warm_ctx: Context) -> None:
    _sent(warm_ctx, 5)
    warm_ctx.clock.offset = timedelta(days=40)  # moved by a demonstration: gates are in real time
    with warm_ctx.read() as session:
        day = day_bounds(warm_ctx.clock.today(ZONE), ZONE)

        assert count_day(session, warm_ctx, "example.com", *day) == Day(5, 0)


def test_worker_stops_at_the_days_budget_and_the_rest_waits_for_midnight(warm_ctx: Context, sink: Sink) -> None:
    with warm_ctx.read() as session:
        budget = load_budget(session, warm_ctx, "news@example.com")
    assert budget is not None
    Throttle(warm_ctx.redis).take([budget], 497)
    with warm_ctx.write() as session:
        topic = make_topic(session)
        readers = [make_reader(session, topic, key=warm_ctx.keys.suppression) for _ in range(8)]
        make_sending(session, warm_ctx, readers, topic)

    send_due(warm_ctx, seconds=20)

    assert len(sink.mails) == 3
    with warm_ctx.read() as session:
        states = session.scalars(select(Message.state).order_by(Message.state)).all()
    assert states == [MessageState.ACCEPTED.value] * 3 + [MessageState.QUEUED.value] * 5


def test_end_of_the_warm_up_lets_what_waited_go(warm_ctx: Context, sink: Sink) -> None:
    test_worker_stops_at_the_days_budget_and_the_rest_waits_for_midnight(warm_ctx, sink)
    with warm_ctx.read() as session:
        public_id = session.scalars(select(SendingDomain.public_id)).one()

    set_warm_up(warm_ctx, public_id, begins=False)
    send_due(warm_ctx, seconds=20)

    assert len(sink.mails) == 8

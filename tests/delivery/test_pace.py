"""A send worker keeps to the limits, shares them fairly, and goes on through another relay when one is gone."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
import redis
from sqlalchemy import select, update

from mailer.context import Context
from mailer.delivery import queries, transport_service
from mailer.delivery.gate import Candidate, GateResult
from mailer.delivery.loop import send_due
from mailer.delivery.outcome import Outcome
from mailer.delivery.relay_health import list_health
from mailer.delivery.store import Store
from mailer.delivery.throttle import Bucket, Throttle
from mailer.delivery.transport_service import TransportValues
from mailer.schema.delivery import Message, SendBatch, Sending
from tests.support.make import make_reader, make_sending, make_topic, make_workspace
from tests.support.sink import Sink, run_sink


@pytest.fixture
def other_sink() -> Iterator[Sink]:
    with run_sink(Sink()) as running:
        yield running


@pytest.fixture
def pace_ctx(make_ctx: Callable[..., Context], redis_url: str, sink: Sink) -> Context:
    """A context with an empty Redis and the sink as relay, without a limit."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    ctx = make_ctx(redis_url=redis_url, smtp_url=f"smtp://127.0.0.1:{sink.port}")
    _limit(ctx, rate_per_second=0, relay_connections=8)
    return ctx


def _limit(ctx: Context, **limits: float) -> None:
    with ctx.write() as session:
        make_workspace(session, limits=limits)


def _start(ctx: Context, people: int, name: str, **more: object) -> int:
    with ctx.write() as session:
        topic = make_topic(session)
        key = ctx.keys.suppression
        readers = [make_reader(session, topic, f"{name}{number}@example.com", key=key) for number in range(people)]
        return make_sending(session, ctx, readers, topic, **more).id


def _split(ctx: Context, sending_id: int, size: int) -> None:
    """Give a sending several batches, as a giant has."""
    with ctx.write() as session:
        ids = session.scalars(select(Message.id).where(Message.sending_id == sending_id).order_by(Message.id)).all()
        old = session.scalars(select(SendBatch).where(SendBatch.sending_id == sending_id)).one()
        for start in range(0, len(ids), size):
            batch = SendBatch(
                sending_id=sending_id, provider="other", ordinal=start, state="ready", not_before=old.not_before,
                token=0, claims=0,
            )  # fmt: skip
            session.add(batch)
            session.flush()
            session.execute(update(Message).where(Message.id.in_(ids[start : start + size])).values(batch_id=batch.id))
        session.delete(old)


def _left(ctx: Context, sending_id: int) -> int:
    with ctx.read() as session:
        states, _ = queries.count_states(session, sending_id)
    return states["queued"]


def test_small_sending_finishes_beside_a_giant_on_a_slow_relay(pace_ctx: Context, sink: Sink) -> None:
    row = transport_service.add_transport(
        pace_ctx, TransportValues(name="slow", url=f"smtp://127.0.0.1:{sink.port}", rate_per_second="15")
    )
    giant = _start(pace_ctx, 150, "giant")
    _split(pace_ctx, giant, 30)
    small = _start(pace_ctx, 12, "small")

    send_due(pace_ctx, seconds=4)

    assert row.rate_per_second == 15
    assert _left(pace_ctx, small) == 0
    assert 20 < len(sink.mails) <= 15 * 4 + 15 + 15
    assert _left(pace_ctx, giant) > 80


def test_the_next_batches_are_claimed_while_mails_of_the_first_are_on_their_way(
    pace_ctx: Context, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with one batch in hand stands still at its end; lanes are to find the next mails waiting."""
    giant = _start(pace_ctx, 90, "giant")
    _split(pace_ctx, giant, 30)
    steps: list[str] = []
    claim, release = Store.claim, Store.release
    monkeypatch.setattr(Store, "claim", lambda *args: steps.append("claim") or claim(*args))
    monkeypatch.setattr(Store, "release", lambda *args, **more: steps.append("release") or release(*args, **more))

    send_due(pace_ctx, seconds=20)

    assert len(sink.mails) == 90
    assert steps[:3] == ["claim"] * 3


def test_what_was_accepted_is_written_with_the_next_gate(
    pace_ctx: Context, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    giant = _start(pace_ctx, 60, "giant")
    rode: list[int] = []
    judge = Store.judge

    def noted(self: Store, candidates: Sequence[Candidate], accepted: Sequence[Outcome]) -> GateResult:
        rode.extend(outcome.result.message_id for outcome in accepted)
        return judge(self, candidates, accepted)

    monkeypatch.setattr(Store, "judge", noted)
    send_due(pace_ctx, seconds=20)

    with pace_ctx.read() as session:
        states, _ = queries.count_states(session, giant)
    assert states["accepted"] == len(sink.mails) == 60
    assert len(rode) == len(set(rode)) > 10


def test_own_rate_of_a_sending_that_starts_in_the_middle_of_a_run_is_kept(pace_ctx: Context, sink: Sink) -> None:
    _start(pace_ctx, 30, "first", rate_per_second=10)
    late = threading.Timer(1.0, lambda: _start(pace_ctx, 40, "late", rate_per_second=3))
    late.start()

    send_due(pace_ctx, seconds=4)
    late.join()

    assert sum(address.startswith("late") for address in sink.recipients) <= 3 * 3 + 3


def test_batches_go_through_both_relays(pace_ctx: Context, sink: Sink, other_sink: Sink) -> None:
    for name, one in (("a", sink), ("b", other_sink)):
        url = f"smtp://127.0.0.1:{one.port}"
        transport_service.add_transport(pace_ctx, TransportValues(name=name, url=url, rate_per_second=""))
    for number in range(12):
        _start(pace_ctx, 2, f"p{number}x")

    send_due(pace_ctx, seconds=20)

    assert len(sink.mails) + len(other_sink.mails) == 24
    assert min(len(sink.mails), len(other_sink.mails)) >= 8


def test_spare_takes_over_when_the_relay_is_gone_and_nobody_is_lost(pace_ctx: Context, sink: Sink) -> None:
    gone = transport_service.add_transport(
        pace_ctx, TransportValues(name="gone", url="smtp://127.0.0.1:9", rate_per_second="")
    )
    url = f"smtp://127.0.0.1:{sink.port}"
    transport_service.add_transport(pace_ctx, TransportValues(name="spare", url=url, weight="0", rate_per_second=""))
    sending_id = _start(pace_ctx, 6, "p")
    deadline = time.monotonic() + 40

    while _left(pace_ctx, sending_id) and time.monotonic() < deadline:
        send_due(pace_ctx, seconds=3)
        time.sleep(0.2)

    assert sorted(sink.recipients) == [f"p{number}@example.com" for number in range(6)]
    with pace_ctx.read() as session:
        assert list_health(session)[f"transport:{gone.id}"].failures >= 1


def test_server_that_asks_for_less_gets_half(pace_ctx: Context, sink: Sink) -> None:
    sink.at_rcpt["p0@example.com"] = "451 4.7.0 too many messages, slow down"
    sink.at_rcpt["p1@example.com"] = "421 4.7.0 try again later"
    _start(pace_ctx, 6, "p")

    send_due(pace_ctx, seconds=10)

    (level,) = Throttle(pace_ctx.redis).look([Bucket("provider:settings:other", None)])
    assert level.is_slowed
    with pace_ctx.read() as session:
        assert session.scalars(select(Sending.hold_reason)).one() is None


def test_grey_list_slows_nobody_down(pace_ctx: Context, sink: Sink) -> None:
    sink.at_rcpt["p0@example.com"] = "450 4.2.0 greylisted, try again in 5 minutes"
    _start(pace_ctx, 3, "p")

    send_due(pace_ctx, seconds=10)

    (level,) = Throttle(pace_ctx.redis).look([Bucket("provider:settings:other", None)])
    assert not level.is_slowed
    assert len(sink.mails) == 2


def test_flushed_redis_lets_no_more_than_a_burst_through(pace_ctx: Context, sink: Sink) -> None:
    url = f"smtp://127.0.0.1:{sink.port}"
    transport_service.add_transport(pace_ctx, TransportValues(name="slow", url=url, rate_per_second="10"))
    _start(pace_ctx, 200, "p")
    stop = threading.Event()

    def flush() -> None:
        with redis.Redis.from_url(pace_ctx.settings.redis_url) as client:
            while not stop.wait(0.3):
                client.flushall()

    flushing = threading.Thread(target=flush)
    flushing.start()
    started = time.monotonic()
    send_due(pace_ctx, seconds=3)
    elapsed = time.monotonic() - started
    stop.set()
    flushing.join()

    assert 3 <= len(sink.mails) <= 10 * elapsed + 10


def test_without_redis_one_mail_a_second_goes(make_ctx: Callable[..., Context], sink: Sink) -> None:
    ctx = make_ctx(redis_url="redis://127.0.0.1:1", smtp_url=f"smtp://127.0.0.1:{sink.port}")
    _limit(ctx, rate_per_second=1000)
    _start(ctx, 20, "p")

    started = time.monotonic()
    send_due(ctx, seconds=3)
    elapsed = time.monotonic() - started

    assert 2 <= len(sink.mails) <= elapsed + 1

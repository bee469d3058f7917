"""A relay that fails rests; where all are down, sendings are held, and they go on when one answers again."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery import relay_health, transport_service
from mailer.delivery.loop import send_due
from mailer.delivery.relay_health import list_health, note_failure, note_success, watch
from mailer.delivery.transport_service import TransportValues
from mailer.delivery.transports import load_plan
from mailer.schema.delivery import Message, Sending
from mailer.schema.transports import RelayState
from mailer.statuses import MessageState
from tests.support.make import make_reader, make_sending, make_topic
from tests.support.sink import Sink


def _fail(ctx: Context, key: str = "settings", *, times: int = 1) -> None:
    """So many failures in a row, each at a moment of its own."""
    for _ in range(times):
        with ctx.write() as session:
            note_failure(session, key, "no connection to 127.0.0.1:9")
        _shift(ctx, timedelta(seconds=5))


def _shift(ctx: Context, by: timedelta) -> None:
    """Let all that is known of relays be so much older."""
    with ctx.write() as session:
        for row in session.scalars(select(RelayState)):
            for name in ("down_since", "resting_until", "last_error_at"):
                if getattr(row, name) is not None:
                    setattr(row, name, getattr(row, name) - by)


def _start(ctx: Context) -> int:
    with ctx.write() as session:
        topic = make_topic(session)
        return make_sending(session, ctx, [make_reader(session, topic, key=ctx.keys.suppression)], topic).id


def _hold(ctx: Context, sending_id: int) -> str | None:
    with ctx.read() as session:
        return session.get_one(Sending, sending_id).hold_reason


def test_relay_rests_from_its_third_failure_longer_each_time(ctx: Context) -> None:
    rests = []
    for _ in range(5):
        with ctx.write() as session:
            note_failure(session, "settings", "no")
        with ctx.read() as session:
            state = list_health(session)["settings"]
            rests.append(round((state.resting_until - utc_now()).total_seconds()) if state.resting_until else 0)
        _shift(ctx, timedelta(minutes=20))

    assert rests == [0, 0, 30, 60, 120]


def test_failures_of_the_same_moment_count_once(ctx: Context) -> None:
    for _ in range(20):
        with ctx.write() as session:
            note_failure(session, "settings", "no")

    with ctx.read() as session:
        state = list_health(session)["settings"]
    assert (state.failures, state.resting_until) == (1, None)


def test_failures_every_second_are_counted_every_two(ctx: Context) -> None:
    for _ in range(5):
        with ctx.write() as session:
            note_failure(session, "settings", "no")
        _shift(ctx, timedelta(seconds=1.1))

    with ctx.read() as session:
        assert list_health(session)["settings"].failures == 3


def test_failures_while_it_rests_do_not_prolong_the_rest(ctx: Context) -> None:
    _fail(ctx, times=3)
    with ctx.read() as session:
        before = list_health(session)["settings"].resting_until
    with ctx.write() as session:
        note_failure(session, "settings", "no")

    with ctx.read() as session:
        after = list_health(session)["settings"]
    assert (after.resting_until, after.failures) == (before, 3)


def test_resting_relay_is_left_out_and_a_success_brings_it_back(ctx: Context) -> None:
    _fail(ctx, times=3)
    with ctx.read() as session:
        resting = load_plan(session, ctx)
    with ctx.write() as session:
        note_success(session, ctx, "settings")
    with ctx.read() as session:
        back = load_plan(session, ctx)

    assert resting.choose_relay(1) is None
    assert resting.relays[0].has_failed
    assert back.choose_relay(1) == back.relays[0]
    assert not back.relays[0].has_failed


def test_another_relay_takes_over(ctx: Context) -> None:
    row = transport_service.add_transport(ctx, TransportValues(name="main", url="smtp://127.0.0.1:2525"))
    transport_service.add_transport(ctx, TransportValues(name="spare", url="smtp://127.0.0.1:2526", weight="0"))
    _fail(ctx, f"transport:{row.id}", times=3)

    with ctx.read() as session:
        plan = load_plan(session, ctx)
    assert {plan.choose_relay(number).name for number in range(9)} == {"spare"}  # type: ignore[union-attr]


def test_all_down_for_ten_minutes_holds_what_runs(ctx: Context) -> None:
    sending_id = _start(ctx)
    _fail(ctx, times=3)
    watch(ctx)
    held_early = _hold(ctx, sending_id)
    _shift(ctx, timedelta(minutes=10))

    watch(ctx)

    assert held_early is None
    assert _hold(ctx, sending_id) == "relay_down"
    with ctx.read() as session:
        assert "no connection" in session.get_one(Sending, sending_id).hold_note


def test_one_relay_that_works_keeps_sendings_going(ctx: Context) -> None:
    sending_id = _start(ctx)
    row = transport_service.add_transport(ctx, TransportValues(name="main", url="smtp://127.0.0.1:9"))
    transport_service.add_transport(ctx, TransportValues(name="other", url="smtp://127.0.0.1:9"))
    _fail(ctx, f"transport:{row.id}", times=3)
    _shift(ctx, timedelta(hours=1))

    watch(ctx)

    assert _hold(ctx, sending_id) is None


def test_relay_that_answers_again_releases_what_waited(sending_ctx: Context, sink: Sink) -> None:
    sending_id = _start(sending_ctx)
    _fail(sending_ctx, times=3)
    _shift(sending_ctx, timedelta(minutes=2))
    with sending_ctx.write() as session:
        session.execute(update(Sending).values(hold_reason="relay_down", hold_note="no"))

    watch(sending_ctx)  # its rest is over, so it is tried, and the sink answers

    assert _hold(sending_ctx, sending_id) is None
    with sending_ctx.read() as session:
        assert list_health(session)["settings"].failures == 0
    assert sink.bodies == 0


def test_another_relay_that_was_set_up_meanwhile_releases_too(ctx: Context) -> None:
    sending_id = _start(ctx)
    _fail(ctx, times=3)
    _shift(ctx, timedelta(minutes=10))
    watch(ctx)
    transport_service.add_transport(ctx, TransportValues(name="new", url="smtp://127.0.0.1:2525"))

    watch(ctx)

    assert _hold(ctx, sending_id) is None


def test_hold_of_a_person_is_not_lifted_by_a_relay(ctx: Context) -> None:
    sending_id = _start(ctx)
    with ctx.write() as session:
        session.execute(update(Sending).values(hold_reason="user"))

    with ctx.write() as session:
        assert relay_health.release_waiting(session, ctx) == 0
    assert _hold(ctx, sending_id) == "user"


def test_worker_notes_a_relay_that_is_not_there(make_ctx: Callable[..., Context], redis_url: str) -> None:
    ctx = make_ctx(redis_url=redis_url, smtp_url="smtp://127.0.0.1:9")
    _start(ctx)

    send_due(ctx, seconds=5)

    with ctx.read() as session:
        state = list_health(session)["settings"]
        messages = session.scalars(select(Message.state)).all()
    assert state.failures >= 1
    assert "127.0.0.1:9" in state.last_error
    assert messages == [MessageState.QUEUED.value]


def test_worker_notes_a_relay_that_works_again(sending_ctx: Context, sink: Sink) -> None:
    _start(sending_ctx)
    _fail(sending_ctx)

    send_due(sending_ctx, seconds=10)

    assert len(sink.mails) == 1
    with sending_ctx.read() as session:
        assert list_health(session)["settings"].failures == 0

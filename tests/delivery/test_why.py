"""A campaign that does not move says why, the first thing to mend first."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import redis
from sqlalchemy import update

from mailer.accounts import control
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery import queries, sendings, workers
from mailer.delivery.holds import PolicyRefusal, record_policy_refusals
from mailer.delivery.loop import send_due
from mailer.delivery.relay_health import note_failure
from mailer.delivery.throttle import Bucket, Throttle
from mailer.delivery.warm_up import load_budget, start_warm_up
from mailer.delivery.why import Cause, why_not_moving
from mailer.errors import NotFoundError
from mailer.ids import new_public_id
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.transports import RelayState, SendingDomain
from mailer.statuses import HoldReason
from tests.support.make import make_reader, make_sending, make_staff, make_topic, make_workspace
from tests.support.sink import Sink


@pytest.fixture
def live_ctx(make_ctx: Callable[..., Context], redis_url: str, sink: Sink) -> Context:
    """A context with a relay, Redis, and a worker that lives."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        workers.beat(client)
    ctx = make_ctx(redis_url=redis_url, smtp_url=f"smtp://127.0.0.1:{sink.port}")
    with ctx.write() as session:
        make_workspace(session, limits={"rate_per_second": 100_000}, timezone="Europe/Oslo")
    return ctx


def _start(ctx: Context, people: int = 2, **more: object) -> int:
    with ctx.write() as session:
        topic = make_topic(session)
        readers = [make_reader(session, topic, key=ctx.keys.suppression) for _ in range(people)]
        return make_sending(session, ctx, readers, topic, **more).id


def _why(ctx: Context, sending_id: int) -> dict[str, Cause]:
    with ctx.read() as session:
        return {cause.code.value: cause for cause in why_not_moving(session, ctx, sending_id)}


def test_sending_that_moves_freely_waits_for_nothing(live_ctx: Context) -> None:
    assert _why(live_ctx, _start(live_ctx)) == {}


def test_stop_all_names_who_since_and_why(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    with live_ctx.write() as session:
        staff = make_staff(session, name="Ada Berg")
    control.stop_everything(live_ctx, note="wrong list", by=staff.id)

    cause = _why(live_ctx, sending_id)["stop_all"]

    assert cause.what == "everything is stopped by Ada Berg (wrong list)"
    assert utc_now() - cause.detail["since"] < timedelta(minutes=1)


def test_hold_names_reason_person_and_time(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    with live_ctx.write() as session:
        staff = make_staff(session, name="Ada Berg")
        sendings.pause_sending(session, sending_id, by=staff.id)

    detail = _why(live_ctx, sending_id)["held"].detail

    assert (detail["reason"], detail["by"]) == ("user", "Ada Berg")
    assert detail["since"] is not None


def test_held_provider_is_named_with_the_reply(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    refusal = PolicyRefusal(sending_id, "google", "550 5.7.1 no", utc_now())
    with live_ctx.write() as session:
        record_policy_refusals(session, [refusal] * 3)

    cause = _why(live_ctx, sending_id)["provider_held"]

    assert (cause.detail["provider"], cause.detail["note"]) == ("google", "550 5.7.1 no")


def test_quiet_hours_say_when_they_end_and_nothing_leaves_until_then(live_ctx: Context, sink: Sink) -> None:
    sending_id, loud = _start(live_ctx, keeps_quiet_hours=True), _start(live_ctx)
    night = datetime(2030, 1, 15, 22, 30, tzinfo=UTC)
    live_ctx.clock.offset = night - utc_now()
    cause = _why(live_ctx, sending_id)["quiet_hours"]

    send_due(live_ctx, seconds=20)

    assert cause.until == datetime(2030, 1, 16, 6, 0, tzinfo=UTC)
    assert "quiet_hours" not in _why(live_ctx, loud)
    assert len(sink.mails) == 2  # those of the other sending
    live_ctx.clock.offset += timedelta(hours=8)
    send_due(live_ctx, seconds=20)
    assert len(sink.mails) == 4


def test_retries_are_counted_with_the_time_of_the_first(live_ctx: Context, sink: Sink) -> None:
    sending_id = _start(live_ctx)
    with live_ctx.read() as session:
        emails = [line.email for line in queries.list_messages(session, sending_id)]
    sink.at_rcpt = {str(email): "451 4.3.0 later" for email in emails}
    send_due(live_ctx, seconds=20)

    found = _why(live_ctx, sending_id)

    assert found.keys() == {"retry"}
    assert found["retry"].detail["count"] == 2
    assert found["retry"].until is not None
    wait = found["retry"].until - live_ctx.clock.now()
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)


def test_scarce_limit_is_named_with_an_honest_estimate(live_ctx: Context) -> None:
    sending_id = _start(live_ctx, people=30, rate_per_second=2)

    cause = _why(live_ctx, sending_id)["rate"]

    assert cause.detail["limits"] == [f"sending:{sending_id}"]
    assert (cause.detail["rate_per_second"], cause.detail["eta_seconds"], cause.detail["count"]) == (2, 15, 30)
    assert not cause.detail["is_slowed"]


def test_slowed_provider_is_the_scarce_limit(live_ctx: Context) -> None:
    sending_id = _start(live_ctx, people=30)
    Throttle(live_ctx.redis).back_off(Bucket("provider:settings:other", 2))
    control.change_settings(live_ctx, by=None, limits={"rate_per_second": 100_000, "provider_rate_other": 2})

    cause = _why(live_ctx, sending_id)["rate"]

    assert cause.detail["is_slowed"]
    assert cause.detail["limits"] == ["provider:settings:other"]
    assert cause.detail["rate_per_second"] == pytest.approx(1, abs=0.05)


def test_budget_of_a_warming_domain_that_is_used_up_is_said(live_ctx: Context, sink: Sink) -> None:
    with live_ctx.write() as session:
        row = SendingDomain(public_id=new_public_id(), domain="example.com", checks={}, created_at=utc_now())
        session.add(row)
        session.flush()
        start_warm_up(session, live_ctx, row)
    sending_id = _start(live_ctx)
    with live_ctx.read() as session:
        budget = load_budget(session, live_ctx, "news@example.com")
    assert budget is not None
    Throttle(live_ctx.redis).take([budget], 500)
    before = _why(live_ctx, sending_id)["warm_up"]
    send_due(live_ctx, seconds=10)  # the batch is put off until midnight

    after = _why(live_ctx, sending_id)["warm_up"]

    assert sink.mails == []
    assert before.detail == after.detail == {"limit": 500}
    assert after.until is not None
    assert after.until.astimezone(ZoneInfo("Europe/Oslo")).time() < time(0, 1)


def test_relay_that_is_down_says_how_it_failed_and_when_it_is_tried(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    for _ in range(3):
        with live_ctx.write() as session:
            note_failure(session, "settings", "connection refused")
            session.execute(update(RelayState).values(last_error_at=utc_now() - timedelta(minutes=1)))

    cause = _why(live_ctx, sending_id)["relay_rests"]

    assert cause.detail["is_all"]
    assert cause.detail["error"] == "connection refused"
    assert cause.until is not None


def test_no_relay_at_all_is_a_cause_not_an_error(make_ctx: Callable[..., Context]) -> None:
    ctx = make_ctx(smtp_url="")

    assert "mend" in _why(ctx, _start(ctx))["no_relay"].detail


def test_no_worker_and_what_the_dead_one_holds(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    live_ctx.redis.flushall()
    until = utc_now() + timedelta(seconds=20)
    with live_ctx.write() as session:
        session.execute(update(SendBatch).values(state="leased", lease_until=until))

    found = _why(live_ctx, sending_id)

    assert list(found) == ["no_worker", "leased"]
    assert found["leased"].until == until


def test_redis_that_is_away_is_said(make_ctx: Callable[..., Context]) -> None:
    ctx = make_ctx(redis_url="redis://127.0.0.1:1")

    assert "limiter_away" in _why(ctx, _start(ctx))


def test_messages_without_an_answer_are_said(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    with live_ctx.write() as session:
        session.execute(update(Message).values(state="transmitting", gate_at=utc_now()))
        session.execute(update(SendBatch).values(state="done"))

    assert _why(live_ctx, sending_id)["unanswered"].detail == {"count": 2}


def test_canary_is_said(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    with live_ctx.write() as session:
        session.execute(update(Sending).values(release_limit=-1))

    assert "canary" in _why(live_ctx, sending_id)


def test_ended_sending_has_no_causes_and_an_unknown_one_is_an_error(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    with live_ctx.write() as session:
        sendings.cancel_sending(session, sending_id)

    assert _why(live_ctx, sending_id) == {}
    with live_ctx.read() as session, pytest.raises(NotFoundError):
        why_not_moving(session, live_ctx, 99)


def test_estimate_waits_for_retries_and_is_none_while_held(live_ctx: Context) -> None:
    sending_id = _start(live_ctx)
    later = live_ctx.clock.now() + timedelta(minutes=10)
    with live_ctx.write() as session:
        session.execute(update(SendBatch).values(not_before=later))
    with live_ctx.read() as session:
        waiting = queries.get_progress(session, live_ctx, session.get_one(Sending, sending_id))
    with live_ctx.write() as session:
        sendings.hold_sending(session, sending_id, HoldReason.USER)
    with live_ctx.read() as session:
        held = queries.get_progress(session, live_ctx, session.get_one(Sending, sending_id))

    assert waiting.eta_seconds == pytest.approx(600, abs=3)
    assert (held.status.value, held.eta_seconds) == ("paused", None)

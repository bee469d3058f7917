"""A sending that the breaker slowed down really goes slower: its worker asks for half the rate."""

import time

import pytest

from mailer.context import Context
from mailer.delivery.buckets import provider_bucket
from mailer.delivery.loop import send_due
from mailer.delivery.relays import PlannedRelay, Relay
from mailer.delivery.sendings import slow_sending
from mailer.delivery.throttle import Bucket, Throttle
from mailer.delivery.transports import half_rate, load_sending_limits
from mailer.reputation.effects import take_effect
from mailer.statuses import BreakerState
from mailer.workspace.service import update_settings
from tests.support.make import make_reader, make_sending, make_topic
from tests.support.sink import Sink


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_goes_at_half_its_rate(sending_ctx: Context, sink: Sink) -> None:
    with sending_ctx.write() as session:
        update_settings(session, limits={"rate_per_second": 0, "relay_connections": 5})
        topic = make_topic(session)
        people = [make_reader(session, topic, key=sending_ctx.keys.suppression) for _ in range(12)]
        sending = make_sending(session, sending_ctx, people, topic, rate_per_second=8)
        slow_sending(session, sending.id, half_rate(session, sending_ctx, sending.id))

    began = time.monotonic()
    send_due(sending_ctx, seconds=20)

    assert len(sink.mails) == 12
    assert time.monotonic() - began > 1.6  # 12 mails at 4 a second, the bucket holds one; at 8 it were under 1.5
    with sending_ctx.read() as session:
        assert load_sending_limits(session, sending_ctx, sending.id).rate_per_second == 4


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_slowed_provider_is_halved_once_in_seven_minutes(sending_ctx: Context) -> None:
    bucket = provider_bucket(PlannedRelay("settings", "relay", Relay("127.0.0.1", 25)), "yahoo", {})
    throttle = Throttle(sending_ctx.redis)
    throttle.take([Bucket(bucket.name, None)], 200)
    for _ in range(3):
        with sending_ctx.write() as session:
            take_effect(session, sending_ctx, "provider", "yahoo", BreakerState.THROTTLED, "complaints")

    (level,) = throttle.look([bucket])

    assert level.is_slowed
    assert level.rate == pytest.approx(10, rel=0.2)

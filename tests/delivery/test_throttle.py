"""The shared limiter keeps the rate and fails closed."""

import secrets
import time

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mailer.delivery.throttle import DEBOUNCE_SECONDS, SLOWEST, Bucket, Budget, Grant, Throttle
from tests.support.valkey import run_valkey


def _name() -> str:
    return f"test:{secrets.token_hex(6)}"


def test_rate_is_kept_by_all_workers_together(redis_url: str) -> None:
    bucket = [Bucket(_name(), 50)]
    with redis.Redis.from_url(redis_url) as client:
        workers = [Throttle(client), Throttle(client)]
        taken, started = 0, time.monotonic()
        while time.monotonic() - started < 1.0:
            for worker in workers:
                taken += worker.take(bucket, 10).count
            time.sleep(0.005)
        elapsed = time.monotonic() - started

    assert 30 * elapsed <= taken <= 50 * elapsed + 2


def test_scarcest_bucket_decides_and_the_others_lose_nothing(redis_url: str) -> None:
    wide, narrow = Bucket(_name(), 1000), Bucket(_name(), 0.01)
    with redis.Redis.from_url(redis_url) as client:
        throttle = Throttle(client)
        assert throttle.take([wide, narrow], 10).count == 1

        grant = throttle.take([wide, narrow], 10)

    assert grant.count == 0
    assert grant.wait_seconds > 10


def test_without_redis_one_mail_a_second_goes() -> None:
    with redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as client:
        throttle = Throttle(client)

        grants = [throttle.take([Bucket("x", 1000)], 100) for _ in range(2)]

    assert [grant.count for grant in grants] == [1, 0]
    assert 0 < grants[1].wait_seconds <= 1


def _throttle(url: str) -> tuple[redis.Redis, Throttle]:
    client = redis.Redis.from_url(url)
    return client, Throttle(client)


def test_without_limits_nobody_is_asked() -> None:
    with redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as client:
        assert Throttle(client).take([], 200) == Grant(200, 0.0)


def test_flushed_limiter_lets_through_no_second_burst(redis_url: str) -> None:
    bucket = [Bucket(_name(), 40)]
    client, throttle = _throttle(redis_url)
    with client:
        throttle.take(bucket, 100)
        time.sleep(1.1)
        burst = throttle.take(bucket, 100).count
        client.delete(f"mailer:rate:{bucket[0].name}")  # what a flush or an empty restart does
        after = throttle.take(bucket, 100).count

    assert burst == 40
    assert after == 1


def test_restarted_valkey_starts_with_one_mail_not_with_a_burst() -> None:
    bucket = [Bucket("relay:x", 20)]
    for _ in range(2):
        with run_valkey() as url:
            client, throttle = _throttle(url)
            with client:
                assert throttle.take(bucket, 100).count == 1


def test_small_sending_gets_its_turns_beside_a_giant(redis_url: str) -> None:
    bucket = [Bucket(_name(), 20)]
    client, throttle = _throttle(redis_url)
    giant = small = 0
    with client:
        started = time.monotonic()
        while small < 10 and time.monotonic() - started < 10:
            for _ in range(3):  # the giant has three batches going
                giant += throttle.take(bucket, 200, "giant").count
            small += throttle.take(bucket, 10 - small, "small").count
            time.sleep(0.005)
        elapsed = time.monotonic() - started

    assert small == 10
    assert elapsed < 3
    assert giant + small <= 20 * elapsed + 21


def test_whoever_waited_and_went_away_holds_nobody_up_for_long(redis_url: str) -> None:
    bucket = [Bucket(_name(), 5)]
    client, throttle = _throttle(redis_url)
    with client:
        throttle.take(bucket, 200, "first")
        assert throttle.take(bucket, 1, "gone").count == 0
        queue = f"mailer:turn:{bucket[0].name}"
        came, _ = client.hget(queue, "gone").split(b":")
        client.hset(queue, "gone", came + b":1")  # it should have asked again long ago

        time.sleep(0.25)

        assert throttle.take(bucket, 1, "first").count == 1
        assert client.hget(queue, "gone") is None


def test_back_off_halves_once_for_replies_of_the_same_moment(redis_url: str) -> None:
    bucket = Bucket(_name(), 40)
    client, throttle = _throttle(redis_url)
    with client:
        for worker in (throttle, Throttle(client)):
            worker.back_off(bucket)
            worker.back_off(bucket)
        (level,) = throttle.look([bucket])

    assert level.is_slowed
    assert level.rate == pytest.approx(20, rel=0.01)


def test_back_off_grows_by_a_tenth_a_minute_and_ends_at_the_rate(redis_url: str) -> None:
    bucket = Bucket(_name(), 40)
    client, throttle = _throttle(redis_url)
    key = f"mailer:rate:{bucket.name}"
    with client:
        throttle.back_off(bucket)
        rates = []
        for minutes in (1, 3, 8):
            client.hset(key, "cap_at", time.time() - 60 * minutes)
            rates.append(throttle.look([bucket])[0])
        throttle.take([bucket], 1)
        left = client.hget(key, "cap")

    assert [rates[0].rate, rates[1].rate] == [pytest.approx(22, rel=0.01), pytest.approx(26.6, rel=0.01)]
    assert (rates[2].rate, rates[2].is_slowed) == (40, False)
    assert left is None


def test_second_back_off_after_the_pause_halves_again_but_never_to_nothing(redis_url: str) -> None:
    bucket = Bucket(_name(), 1)
    client, _ = _throttle(redis_url)
    key = f"mailer:rate:{bucket.name}"
    with client:
        for _ in range(6):
            Throttle(client).back_off(bucket)
            client.hset(key, "cap_at", time.time() - DEBOUNCE_SECONDS - 1)
        (level,) = Throttle(client).look([bucket])

    assert level.rate == pytest.approx(SLOWEST, rel=0.1)


def test_bucket_without_a_rate_slows_down_from_what_it_did(redis_url: str) -> None:
    bucket = Bucket(_name(), None)
    client, throttle = _throttle(redis_url)
    with client:
        assert throttle.take([bucket], 200).count == 200
        throttle.back_off(bucket)
        (level,) = throttle.look([bucket])
        grant = throttle.take([bucket], 200)

    assert level.is_slowed
    assert level.rate == pytest.approx(10, rel=0.2)  # 200 in the last ten seconds, halved
    assert grant.count <= 1


def test_days_budget_that_is_not_known_gives_nothing(redis_url: str) -> None:
    budget = Budget(_name(), 100, 3600)
    client, throttle = _throttle(redis_url)
    with client:
        before = throttle.take([budget], 10)
        throttle.seed(budget, 95)
        throttle.seed(budget, 0)  # somebody else says so, too late
        grants = [throttle.take([budget], 10) for _ in range(2)]
        client.delete(f"mailer:rate:{budget.name}")
        after = throttle.take([budget], 10)

    assert (before.count, before.wait_seconds) == (0, 2)
    assert [grant.count for grant in grants] == [5, 0]
    assert grants[1].wait_seconds == 3600
    assert after.count == 0


def test_what_was_not_used_is_given_back(redis_url: str) -> None:
    bucket, budget = Bucket(_name(), 0.01), Budget(_name(), 10, 3600)
    client, throttle = _throttle(redis_url)
    with client:
        throttle.seed(budget, 0)
        assert throttle.take([bucket, budget], 5).count == 1
        throttle.give_back([bucket, budget], 1)
        assert throttle.take([bucket, budget], 5).count == 1
        throttle.give_back([Budget(_name(), 10, 60)], 5)

    assert throttle.take([budget], 100).count == 9

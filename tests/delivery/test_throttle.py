"""The shared limiter keeps the rate and fails closed."""

import secrets
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mailer.delivery.throttle import Bucket, Throttle


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

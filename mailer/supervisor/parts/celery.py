"""Workers and beat: a look at the broker, then a process of their own that loads Celery."""

import os
import sys

import redis
from redis.exceptions import RedisError

from mailer.errors import SetupError
from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked


def run(settings: Settings, asked: Asked) -> None:
    """Turn this process, once the broker was found to be fit, into the worker or the beat that was asked for.

    Raises:
        SetupError: no broker, or one that may throw away what it holds.
    """
    check_broker(settings)
    environment = {"MALLOC_ARENA_MAX": "1", **os.environ}  # noqa: TID251 - one heap for all threads: a third less memory
    program = [sys.executable, "-m", "mailer.supervisor.celery_process", "run", asked.name]
    os.execve(sys.executable, program, environment)  # noqa: S606 - a fixed program


def check_broker(settings: Settings) -> None:
    """Refuse a broker that may throw away what it holds.

    Raises:
        SetupError: no answer, or an eviction policy other than `noeviction`.
    """
    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=5) as client:
            policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
    except RedisError as error:
        raise SetupError(f"no answer from the broker: {error}", mend="check MAILER_REDIS_URL") from error
    if policy != "noeviction":
        raise SetupError(f"the broker's eviction policy is {policy}", mend="set maxmemory-policy noeviction")

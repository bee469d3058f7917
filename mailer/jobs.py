"""The doorbell: names of background jobs and how to ring for them.

The database is the queue of record; a ring may be lost or doubled without harm, because a tick finds what is due. A
ring happens after the commit that made the work visible, carries an id at most, and expires after 30 seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy.orm import Session

from mailer.database import after_commit
from mailer.log import get_logger
from mailer.settings import Settings

EXPIRES_SECONDS = 30
log = get_logger("jobs")


class Queue(StrEnum):
    """`send` is for SMTP alone; everything else is `work`."""

    SEND = "send"
    WORK = "work"


@dataclass(frozen=True)
class Job:
    """A kind of background work, named `feature.verb_noun`. `every_seconds`: how often beat rings for it."""

    name: str
    queue: Queue = Queue.WORK
    every_seconds: float | None = None


class Bell(Protocol):
    """What carries a ring to the workers."""

    def ring(self, job: Job, *args: int) -> None:
        """Ring once; never raises."""


class SilentBell:
    """A bell for commands and tests that run where no worker listens: ticks find the work."""

    def ring(self, job: Job, *args: int) -> None:
        """Do nothing."""


_AT_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""A broker that is away is told at once: without it each ring tries for six seconds, and a command stands still."""


class CeleryBell:
    """Rings through the broker."""

    def __init__(self, settings: Settings) -> None:
        self._celery = Celery("mailer-bell")
        self._celery.conf.update(celery_config(settings))
        self._celery.conf.broker_transport_options |= _AT_ONCE

    def ring(self, job: Job, *args: int) -> None:
        """Send the task; a broker that is away costs a log line, the tick does the rest."""
        try:
            self._celery.send_task(job.name, args=args, queue=job.queue.value, expires=EXPIRES_SECONDS, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("bell_unheard", job=job.name, error=type(error).__name__)


def ring_after_commit(session: Session, bell: Bell, job: Job, *args: int) -> None:
    """Ring for `job` once this transaction is visible to others."""
    after_commit(session, _ring(bell, job, args))


def _ring(bell: Bell, job: Job, args: tuple[int, ...]) -> Callable[[], None]:
    return lambda: bell.ring(job, *args)


def celery_config(settings: Settings) -> dict[str, Any]:
    """Return the Celery settings that every process shares: JSON only, early ack, no results, no prefetch."""
    return {
        "broker_url": broker_url(settings.redis_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": 5,
        "broker_transport_options": {"socket_timeout": 20, "socket_connect_timeout": 5, "socket_keepalive": True},
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_acks_late": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": Queue.WORK.value,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "enable_utc": True,
        "timezone": "UTC",
    }


def broker_url(redis_url: str) -> str:
    """Return the broker address as kombu spells it: a unix socket is `redis+socket://`."""
    return redis_url.replace("unix://", "redis+socket://", 1) if redis_url.startswith("unix://") else redis_url


_stopping: list[bool] = []


def stop_soon() -> None:
    """Ask long work in this process to come to its end; called by the worker's shut-down signal."""
    _stopping.append(True)


def is_stopping() -> bool:
    """Whether this process was asked to end."""
    return bool(_stopping)

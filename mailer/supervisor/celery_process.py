"""Workers and beat in a light process: `python -m mailer.supervisor.celery_process run send|work|beat`.

`mailer run NAME` becomes this program, so that a worker does not carry what the other commands and processes import.
"""

import os
import signal
import sys

import redis
from redis.exceptions import RedisError

from mailer.celery_app import create_celery
from mailer.errors import SetupError
from mailer.jobs import Queue
from mailer.log import configure_logging
from mailer.settings import Settings, load_settings
from mailer.supervisor.lifeline import die_with_parent

WORK_THREADS = 4
SWITCH_SECONDS = 0.0005
"""The database's thread and the relays' take turns ten times as often as Python lets them: a gate waits for neither."""


def become_celery_process(settings: Settings, name: str) -> None:
    """Turn this process, once the broker was found to be fit, into a worker of the queue `name`, or into `beat`.

    Raises:
        SetupError: no broker, or one that may throw away what it holds.
    """
    check_broker(settings)
    environment = {"MALLOC_ARENA_MAX": "1", **os.environ}  # noqa: TID251 - one heap for all threads: a third less memory
    os.execve(sys.executable, [sys.executable, "-m", "mailer.supervisor.celery_process", "run", name], environment)  # noqa: S606


def run_worker(settings: Settings, queue: Queue) -> None:
    """Run a Celery worker on one queue: `send` alone in its process, `work` with a few threads."""
    celery = create_celery(settings, queue)
    sys.setswitchinterval(SWITCH_SECONDS)
    pool = ["-P", "solo"] if queue is Queue.SEND else ["-P", "threads", "-c", str(WORK_THREADS)]
    celery.worker_main(
        ["worker", "-Q", queue.value, *pool, "-n", f"{queue}-{os.getpid()}@%h", "--without-gossip", "--without-mingle",
         "--without-heartbeat", "-l", "WARNING"]
    )  # fmt: skip


def run_beat(settings: Settings) -> None:
    """Ring for every job that has a pace. The schedule is in the code, so nothing is written to disk."""
    celery = create_celery(settings)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    celery.Beat(scheduler="celery.beat:Scheduler", loglevel="WARNING", quiet=True).run()


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


def main() -> None:
    """Run what the last argument names."""
    parent = os.environ.get("MAILER_PARENT_PID")  # noqa: TID251 - who started us, not a setting
    if parent:
        die_with_parent(int(parent))
    settings, name = load_settings(), sys.argv[-1]
    configure_logging(level=settings.log_level)
    if name == "beat":
        run_beat(settings)
    else:
        run_worker(settings, Queue(name))


if __name__ == "__main__":
    main()

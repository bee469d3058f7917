"""Workers and beat in a light process: `python -m mailer.supervisor.celery_process run send|work|beat`.

`mailer run NAME` becomes this program, so that a worker does not carry what the other commands and processes import.
"""

import os
import signal
import sys

from mailer.celery_app import create_celery
from mailer.jobs import Queue
from mailer.log import configure_logging
from mailer.settings import Settings, load_settings
from mailer.supervisor.lifeline import die_with_parent

WORK_THREADS = 4
SWITCH_SECONDS = 0.0005
"""The database's thread and the relays' take turns ten times as often as Python lets them: a gate waits for neither."""


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

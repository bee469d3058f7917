"""The Celery application: queues, tasks, ticks. Every worker and beat is made here; worker.py is its entry."""

from celery import Celery
from celery.signals import task_prerun, worker_shutting_down

from mailer.actions.jobs import CALL_WEBHOOKS, RUN_DUE
from mailer.bounces.jobs import POLL_MAILBOXES, PROCESS_CALLS, PROCESS_REPORTS, WAKE_ADDRESSES, WATCH_PROVIDERS
from mailer.campaigns.jobs import PREPARE, START_DUE
from mailer.consent.jobs import EXPIRE, SEAL
from mailer.context import Context, make_context, process_context, set_process_context
from mailer.delivery.jobs import CHECK_DOMAINS, REAP, SEND_DUE, WATCH_RELAYS
from mailer.forms.jobs import HANDLE, TIDY
from mailer.jobs import EXPIRES_SECONDS, Job, Queue, celery_config, stop_soon
from mailer.notices.jobs import TELL_STAFF
from mailer.privacy.jobs import ERASE, RETAIN
from mailer.reputation.jobs import CHECK_RATES
from mailer.segments.jobs import LOOK, LOOK_DUE, RUN_BULK
from mailer.settings import Settings
from mailer.tracking.jobs import RECOMPUTE
from mailer.workspace.queries import get_clock_offset

JOBS: tuple[Job, ...] = (
    SEND_DUE,
    REAP,
    WATCH_RELAYS,
    CHECK_DOMAINS,
    PREPARE,
    START_DUE,
    RUN_DUE,
    CALL_WEBHOOKS,
    RECOMPUTE,
    PROCESS_REPORTS,
    PROCESS_CALLS,
    POLL_MAILBOXES,
    WATCH_PROVIDERS,
    WAKE_ADDRESSES,
    CHECK_RATES,
    SEAL,
    EXPIRE,
    LOOK_DUE,
    LOOK,
    RUN_BULK,
    HANDLE,
    TIDY,
    TELL_STAFF,
    ERASE,
    RETAIN,
)


def create_celery(settings: Settings, queue: Queue | None = None) -> Celery:
    """Return the application of this process and make its context the process's own.

    `queue`: the one it serves; a process that serves one imports the tasks of that one only.
    """
    set_process_context(make_context(settings, is_frugal=queue is Queue.SEND))
    features = {job.name.partition(".")[0] for job in JOBS if queue in (None, job.queue)}
    celery = Celery("mailer", include=[f"mailer.{feature}.tasks" for feature in sorted(features)])
    celery.conf.update(celery_config(settings))
    celery.conf.update(
        task_routes={job.name: {"queue": job.queue.value} for job in JOBS},
        beat_schedule={job.name: _tick(job) for job in JOBS if job.every_seconds is not None},
        beat_max_loop_interval=1,
    )
    celery.set_default()
    return celery


def _tick(job: Job) -> dict[str, object]:
    """A ring at a steady pace; a ring that nobody heard in time is worthless and expires."""
    return {
        "task": job.name,
        "schedule": job.every_seconds,
        "options": {"queue": job.queue.value, "expires": min(EXPIRES_SECONDS, 5 * (job.every_seconds or 1))},
    }


@task_prerun.connect
def _read_clock(**_: object) -> None:
    """Take over the workspace's clock, which a demonstration may have moved."""
    refresh_clock(process_context())


def refresh_clock(ctx: Context) -> None:
    """Set business time as the workspace has it."""
    with ctx.read() as session:
        ctx.clock.offset = get_clock_offset(session)


@worker_shutting_down.connect
def _stop_soon(**_: object) -> None:
    stop_soon()

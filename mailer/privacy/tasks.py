"""The doors of background work on privacy."""

from celery import shared_task

from mailer.context import process_context
from mailer.privacy.erasure import advance_all
from mailer.privacy.jobs import ERASE, RETAIN
from mailer.privacy.retention import run_night


@shared_task(name=ERASE.name)
def erase() -> None:
    """Go on with every erasure that is not done."""
    advance_all(process_context())


@shared_task(name=RETAIN.name)
def retain() -> None:
    """Let go what has been kept long enough, once a night."""
    run_night(process_context())

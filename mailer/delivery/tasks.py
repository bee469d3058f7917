"""The doors of background work on deliveries."""

from celery import shared_task

from mailer.context import process_context
from mailer.delivery import loop
from mailer.delivery.jobs import REAP, SEND_DUE
from mailer.jobs import is_stopping


@shared_task(name=SEND_DUE.name)
def send_due() -> None:
    """Send until nothing is due or 60 seconds have passed."""
    loop.send_due(process_context(), is_stopping=is_stopping)


@shared_task(name=REAP.name)
def reap() -> None:
    """Free expired batches, name lost messages unknown, finish sendings."""
    loop.reap_now(process_context())

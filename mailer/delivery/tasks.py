"""The doors of background work on deliveries."""

from celery import shared_task

from mailer.context import process_context
from mailer.delivery import loop, relay_health
from mailer.delivery.jobs import REAP, SEND_DUE, WATCH_RELAYS
from mailer.jobs import is_stopping


@shared_task(name=SEND_DUE.name)
def send_due() -> None:
    """Send until nothing is due or 60 seconds have passed."""
    loop.send_due(process_context(), is_stopping=is_stopping)


@shared_task(name=REAP.name)
def reap() -> None:
    """Free expired batches, name lost messages unknown, finish sendings."""
    loop.reap_now(process_context())


@shared_task(name=WATCH_RELAYS.name)
def watch_relays() -> None:
    """Look after relays that failed, release what waited for them, let domains warm up."""
    relay_health.watch(process_context())

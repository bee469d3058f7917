"""The doors of background work on deliveries."""

from celery import shared_task

from mailer.context import process_context
from mailer.delivery import domain_service, loop, relay_health
from mailer.delivery.jobs import CHECK_DOMAINS, REAP, SEND_DUE, WATCH_RELAYS
from mailer.jobs import is_stopping


@shared_task(name=SEND_DUE.name)
def send_due() -> None:
    """Send until nothing is due or 60 seconds have passed."""
    loop.send_due(process_context(), is_stopping=is_stopping)


@shared_task(name=REAP.name)
def reap() -> None:
    """Free expired batches, name lost messages unknown, finish sendings."""
    loop.reap_now(process_context())


@shared_task(name=CHECK_DOMAINS.name)
def check_domains() -> None:
    """Look again at the DNS records of sending domains."""
    domain_service.check_due(process_context())


@shared_task(name=WATCH_RELAYS.name)
def watch_relays() -> None:
    """Look after relays that failed, release what waited for them, let domains warm up."""
    relay_health.watch(process_context())

"""The doors of background work on what comes back."""

from celery import shared_task

from mailer.bounces import calls, mailboxes, mistakes, service
from mailer.bounces.jobs import POLL_MAILBOXES, PROCESS_CALLS, PROCESS_REPORTS, WAKE_ADDRESSES, WATCH_PROVIDERS
from mailer.context import process_context
from mailer.delivery.soft_bounces import wake_addresses as wake


@shared_task(name=PROCESS_REPORTS.name)
def process_reports() -> None:
    """Read, match and apply every report that waits."""
    service.process_reports(process_context())


@shared_task(name=PROCESS_CALLS.name)
def process_calls() -> None:
    """Take apart every call of a provider that waits."""
    calls.process_calls(process_context())


@shared_task(name=POLL_MAILBOXES.name)
def poll_mailboxes() -> None:
    """Fetch what is new from every mailbox."""
    mailboxes.poll_mailboxes(process_context())


@shared_task(name=WATCH_PROVIDERS.name)
def watch_providers() -> None:
    """Find hours in which a provider was wrong."""
    mistakes.watch_providers(process_context())


@shared_task(name=WAKE_ADDRESSES.name)
def wake_addresses() -> None:
    """Give mailboxes that were full one more try."""
    wake(process_context())

"""The doors of background work on what comes back."""

from celery import shared_task

from mailer.bounces import calls, mailboxes, service
from mailer.bounces.jobs import POLL_MAILBOXES, PROCESS_CALLS, PROCESS_REPORTS
from mailer.context import process_context


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

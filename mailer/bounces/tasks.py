"""The doors of background work on reports."""

from celery import shared_task

from mailer.bounces import service
from mailer.bounces.jobs import PROCESS_REPORTS
from mailer.context import process_context


@shared_task(name=PROCESS_REPORTS.name)
def process_reports() -> None:
    """Read, match and apply every report that waits."""
    service.process_reports(process_context())

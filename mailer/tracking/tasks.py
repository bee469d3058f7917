"""The doors of background work on tracking."""

from celery import shared_task

from mailer.context import process_context
from mailer.tracking import recompute as recomputing
from mailer.tracking.jobs import RECOMPUTE


@shared_task(name=RECOMPUTE.name)
def recompute() -> None:
    """Compute verdicts anew where the rules have changed."""
    recomputing.recompute_due(process_context())

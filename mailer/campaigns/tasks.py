"""The doors of background work on campaigns."""

from celery import shared_task

from mailer.campaigns import service
from mailer.campaigns.jobs import PREPARE, START_DUE
from mailer.context import process_context


@shared_task(name=START_DUE.name)
def start_due() -> None:
    """Start scheduled campaigns whose time has come, and take up unfinished preparations."""
    service.start_due(process_context())


@shared_task(name=PREPARE.name)
def prepare(campaign_id: int) -> None:
    """Prepare one campaign at once."""
    service.prepare_campaign(process_context(), campaign_id)

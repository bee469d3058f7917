"""The doors of background work on actions."""

from celery import shared_task

from mailer.actions import service, webhooks
from mailer.actions.jobs import CALL_WEBHOOKS, RUN_DUE
from mailer.context import process_context


@shared_task(name=RUN_DUE.name)
def run_due() -> None:
    """Run every action whose quarantine has ended."""
    service.run_due(process_context())


@shared_task(name=CALL_WEBHOOKS.name)
def call_webhooks() -> None:
    """Call the webhooks whose quarantine has ended."""
    webhooks.call_due(process_context())

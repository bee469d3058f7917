"""The doors of background work on reputation."""

from celery import shared_task

from mailer.context import process_context
from mailer.reputation import heartbeat, service
from mailer.reputation.jobs import CHECK_RATES


@shared_task(name=CHECK_RATES.name)
def check_rates() -> None:
    """Judge the rates, watch the canaries."""
    ctx = process_context()
    heartbeat.beat(ctx.redis)
    service.look_after(ctx)

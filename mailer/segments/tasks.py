"""The doors of background work on segments."""

from celery import shared_task

from mailer.context import process_context
from mailer.segments.bulk import run
from mailer.segments.history import look as looks
from mailer.segments.jobs import LOOK, LOOK_DUE, RUN_BULK


@shared_task(name=LOOK_DUE.name)
def look_due() -> None:
    """Look at every watched segment whose time has come."""
    looks.look_due(process_context())


@shared_task(name=LOOK.name)
def look(segment_id: int) -> None:
    """Look at one watched segment at once."""
    looks.look(process_context(), segment_id)


@shared_task(name=RUN_BULK.name)
def run_bulk() -> None:
    """Go on with every bulk task that is not done."""
    run.run_due(process_context())

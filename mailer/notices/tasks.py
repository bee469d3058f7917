"""The doors of background work on notices."""

from celery import shared_task

from mailer.context import process_context
from mailer.notices import service
from mailer.notices.jobs import TELL_STAFF


@shared_task(name=TELL_STAFF.name)
def tell_staff() -> None:
    """Send what staff are to be told of their tasks now."""
    service.tell_staff(process_context())

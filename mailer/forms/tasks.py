"""The doors of background work on forms."""

from celery import shared_task

from mailer.context import process_context
from mailer.forms import handle
from mailer.forms import tidy as tidying
from mailer.forms.jobs import HANDLE, TIDY


@shared_task(name=HANDLE.name)
def handle_sign_ups() -> None:
    """Do what new sign-ups ask for: mails to confirm, or contacts at once; write down who was turned away."""
    ctx = process_context()
    handle.handle_sign_ups(ctx)
    tidying.write_refusals(ctx)


@shared_task(name=TIDY.name)
def tidy() -> None:
    """Let links run out, delete what nobody confirmed."""
    tidying.tidy(process_context())

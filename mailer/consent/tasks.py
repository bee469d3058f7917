"""The doors of background work on consent."""

from celery import shared_task

from mailer.consent.blocks import seal
from mailer.consent.expiry import expire_due
from mailer.consent.jobs import EXPIRE, SEAL
from mailer.context import process_context
from mailer.errors import ConflictError
from mailer.log import get_logger

log = get_logger("consent")


@shared_task(name=SEAL.name)
def seal_ledger() -> None:
    """Seal the lines of the ledger that were written since the last block."""
    try:
        seal(process_context())
    except ConflictError as error:
        log.info("ledger_not_sealed", why=error.message)


@shared_task(name=EXPIRE.name)
def expire_permissions() -> None:
    """Write down which permissions have run out."""
    if count := expire_due(process_context()):
        log.info("permissions_expired", count=count)

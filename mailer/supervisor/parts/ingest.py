"""The ingester: hits from the spool into the database."""

from mailer.context import make_context
from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked
from mailer.tracking.ingest import run_ingest


def run(settings: Settings, _asked: Asked) -> None:
    """Take hits in until told to end."""
    run_ingest(make_context(settings, is_frugal=True))

"""Which processes there are: `mailer run NAME`. Each runs alone as well as under `mailer up`."""

from importlib import import_module

from mailer.log import configure_logging
from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked

ORDER = ("valkey", "catcher", "listen", "web", "ingest", "send", "work", "beat")
ALONE = ("track",)
"""What `mailer up` does not start: the embedded web process tracks, too."""
_CELERY = ("send", "work", "beat")


def run_process(settings: Settings, asked: Asked) -> None:
    """Run one process in the foreground until it is told to end; only what it needs is loaded.

    Raises:
        InputError: its port is taken.
        SetupError: what it needs is not there.
    """
    configure_logging(level=settings.log_level)
    part = "celery" if asked.name in _CELERY else asked.name
    import_module(f"mailer.supervisor.parts.{part}").run(settings, asked)

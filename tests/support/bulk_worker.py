"""A process that works on looks and bulk tasks in tiny pieces, to be killed: `python -m tests.support.bulk_worker`."""

import sys
import time
from datetime import timedelta
from pathlib import Path

from mailer.context import Context
from mailer.database import Database
from mailer.jobs import SilentBell
from mailer.segments.bulk import run as engine
from mailer.segments.history import look as looks
from mailer.settings import Settings
from mailer.tokens import new_keys


def main(url: str, folder: str) -> None:
    """Work until killed; leases are short, so that the next one need not wait for them."""
    engine.CHUNK = 3
    engine.LEASE = looks.LEASE = timedelta(seconds=0.1)
    pages = looks.iter_pages
    looks.iter_pages = lambda session, query: pages(session, query, size=3)
    settings = Settings(data_dir=Path(folder), database_url=url, public_url="http://127.0.0.1:8000")  # type: ignore[call-arg]
    ctx = Context(settings=settings, database=Database(url), keys=new_keys(), bell=SilentBell())
    print("at work", flush=True)
    while True:
        engine.run_due(ctx)
        looks.look_due(ctx)
        time.sleep(0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])

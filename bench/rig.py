"""What benchmarks share: a migrated database to fill, and the last line they print (docs/reference, Benchmarks)."""

import json
import os
import platform
import resource
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from email_validator import validate_email

from mailer.context import Context
from mailer.database import Database
from mailer.jobs import SilentBell
from mailer.migrations.runner import migrate
from mailer.settings import Settings
from mailer.tokens import new_keys
from tests.support.postgres import start_postgres


def open_database(wanted: str, folder: Path, stack: ExitStack) -> str:
    """Return the URL of the database to fill; `postgresql` stands for a server of its own with fsync on."""
    if wanted != "postgresql":
        return wanted or f"sqlite:///{folder / 'bench.sqlite'}"
    server = start_postgres(durable=True)
    stack.callback(server.stop)
    return server.url(server.create())


def make_context(url: str, folder: Path) -> Context:
    """Return a context on a migrated database."""
    settings = Settings(
        data_dir=folder, database_url=url, public_url="http://127.0.0.1:1", bounce_domain="bounce.localhost"
    )
    database = Database(url)
    migrate(database)
    return Context(settings=settings, database=database, keys=new_keys(), bell=SilentBell())


def time_check(emails: Sequence[str]) -> float:
    """Return how many microseconds email-validator takes for one of these addresses, the best of five rounds.

    The unit of figures that are to be compared between machines: the goals were set where it took 17.
    """
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for email in emails:
            validate_email(email, check_deliverability=False)
        rounds.append((time.perf_counter() - started) / len(emails) * 1e6)
    return min(rounds)


def peak_rss_mb() -> int:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def print_line(name: str, figures: Mapping[str, Any], reference: Mapping[str, Any], ratio: float) -> None:
    """Print the last line of a benchmark."""
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    line = {"name": name, "figures": figures, "reference": reference, "ratio": round(ratio, 2), "machine": machine}
    print(json.dumps(line))

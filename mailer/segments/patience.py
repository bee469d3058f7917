"""How long a count or a sample may take: the statement is stopped by the database, and the session stays usable.

PostgreSQL has `statement_timeout`, set for a savepoint; SQLite a progress handler, which looks at the clock.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mailer.errors import TooCostlyError

SECONDS = 5.0
"""What people wait for; lists of members, campaigns and conversions take the time they need."""
_STEPS = 20_000
"""Instructions of SQLite's machine between two looks at the clock: about a millisecond."""
_QUERY_CANCELED = "57014"


@contextmanager
def at_most(session: Session, seconds: float | None) -> Iterator[None]:
    """Stop each statement of the block after `seconds`; None lets it run.

    Raises:
        TooCostlyError: a statement was stopped.
    """
    if seconds is None:
        yield
    elif session.get_bind().dialect.name == "sqlite":
        with _sqlite(session, seconds):
            yield
    else:
        with _postgresql(session, seconds):
            yield


@contextmanager
def _sqlite(session: Session, seconds: float) -> Iterator[None]:
    driver: Any = session.connection().connection.driver_connection
    end = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    except OperationalError as error:
        if "interrupted" in str(error.orig):
            raise _too_costly(seconds) from error
        raise
    finally:
        driver.set_progress_handler(None, 0)  # the connection goes back to the pool


@contextmanager
def _postgresql(session: Session, seconds: float) -> Iterator[None]:
    """Limit statements inside a savepoint: a stopped one spoils no more than that, and takes its setting with it."""
    try:
        with session.begin_nested():
            before = session.scalar(text("SELECT current_setting('statement_timeout')"))
            _set_timeout(session, str(int(seconds * 1000)))
            session.execute(text("SET LOCAL work_mem = '64MB'"))  # sets of a million ids stay out of files
            yield
            _set_timeout(session, str(before))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") == _QUERY_CANCELED:
            raise _too_costly(seconds) from error
        raise


def _set_timeout(session: Session, value: str) -> None:
    session.execute(text("SELECT set_config('statement_timeout', :value, true)"), {"value": value})


def _too_costly(seconds: float) -> TooCostlyError:
    return TooCostlyError(
        f"this takes longer than {seconds:g} seconds",
        mend="shorten its periods, ask about one campaign, or put a narrower condition beside it; "
        "a field that many rules use wants an index",
    )

"""One question at a time for each editor: a newer one stops the statement of the one before, which nobody waits for.

Browsers give a request up without the server hearing of it; counts of half-typed rules would pile up. It works within a
process; between processes the time limit of patience.py is the bound.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from sqlalchemy.orm import Session

_lock = Lock()
_asking: dict[str, list[Any]] = {}


@contextmanager
def newest_only(session: Session, key: str) -> Iterator[None]:
    """Run the block as the newest question of `key`; statements of those before it fail at once, as too costly.

    A connection is known here only while its block runs, and is stopped under the lock: never after it went back to
    the pool.
    """
    driver = session.connection().connection.driver_connection
    with _lock:
        for older in _asking.setdefault(key, []):
            _stop(older)
        _asking[key].append(driver)
    try:
        yield
    finally:
        with _lock:
            _asking[key].remove(driver)
            if not _asking[key]:
                del _asking[key]


def _stop(driver: Any) -> None:
    if isinstance(driver, sqlite3.Connection):
        driver.interrupt()
    else:
        driver.cancel_safe(timeout=2)

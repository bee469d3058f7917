"""After rows were deleted: what is left of them in the database's files goes, too.

SQLite overwrites what an erasure deletes (`secure_delete`), but older copies of a row lie in free pages until the file
is written anew (VACUUM), and in the log beside it until that is cut (checkpoint). PostgreSQL hides dead rows at once
and VACUUM takes them away; ANALYZE renews the statistics, which hold samples of values.
"""

import sqlite3
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from mailer.clock import utc_now
from mailer.context import Context
from mailer.privacy.register import OF_PERSONS, REGISTER
from mailer.schema.delivery import Sending
from mailer.schema.privacy import Erasure
from mailer.statuses import SendingState

SMALL_BYTES = 64 * 1024 * 1024
"""A file of this size is written anew in well under a second; a larger one when nothing is being sent."""
PATIENCE = timedelta(hours=20)
"""After this long it is written anew in any case."""


def compact(ctx: Context, since: Erasure) -> str:
    """Do it; return what it waits for, or "" where it is done."""
    if not ctx.database.is_sqlite:
        _vacuum_postgresql(ctx)
        return ""
    if _must_wait(ctx, since):
        return "the database file is written anew when nothing is being sent"
    return "" if vacuum_sqlite(ctx) else "the database file is in use"


def _must_wait(ctx: Context, since: Erasure) -> bool:
    if utc_now() - since.started_at > PATIENCE:
        return False
    path = Path(ctx.database.url.database or "")
    if not path.is_file() or path.stat().st_size <= SMALL_BYTES:
        return False
    with ctx.read() as session:
        running = select(Sending.id).where(Sending.state == SendingState.SENDING.value, Sending.hold_reason.is_(None))
        return session.scalar(running.limit(1)) is not None


def vacuum_sqlite(ctx: Context) -> bool:
    """Write the file anew and cut its log; False where another connection is in the way."""
    with ctx.database.open_private(has_large_temp=True) as database:
        connection = database.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 5000")
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy, *_ = cursor.fetchone() or (1,)
        except sqlite3.OperationalError:
            return False
        else:
            return not busy
        finally:
            connection.close()


_INDEXED = frozenset({"address", "contact", "activity", "follow_up"})
"""Tables with an index of the person's own words; for few dead rows VACUUM would leave their keys in it."""


def _vacuum_postgresql(ctx: Context) -> None:
    """Take dead rows away and sample anew, table by table; what is locked or not ours is autovacuum's."""
    tables = dict.fromkeys([*(entry.name for entry in OF_PERSONS), *(entry.name for entry in REGISTER if entry.free)])
    with ctx.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET lock_timeout = '2s'"))
        try:
            for name in tables:
                with suppress(OperationalError, ProgrammingError):
                    indexes = "ON" if name in _INDEXED else "AUTO"
                    connection.execute(text(f"VACUUM (ANALYZE, INDEX_CLEANUP {indexes}) {name}"))
                    if connection.execute(text(f"SELECT 1 FROM {name} LIMIT 1")).first() is None:  # noqa: S608 - ours
                        _forget_samples(connection, name)
        finally:
            connection.execute(text("RESET lock_timeout"))


_SAMPLED = text("""
  SELECT a.attname, format_type(a.atttypid, a.atttypmod)
  FROM pg_stats s JOIN pg_attribute a ON a.attrelid = CAST(s.tablename AS regclass) AND a.attname = s.attname
  WHERE s.schemaname = current_schema() AND s.tablename = :name
""")


def _forget_samples(connection: Connection, name: str) -> None:
    """Drop the statistics of an empty table: ANALYZE leaves them as they were, with values of rows that are gone.

    Giving a column the type that it has is what drops them, in every version of PostgreSQL; nothing is rewritten.
    """
    for column, kind in connection.execute(_SAMPLED, {"name": name}).all():
        connection.execute(text(f'ALTER TABLE {name} ALTER COLUMN "{column}" TYPE {kind}'))

"""Engines and transactions. One transaction per use-case, opened in a service; queries never commit.

SQLite runs in WAL mode with `synchronous=FULL` (a gate or a withdrawal must survive a power cut); a writing transaction
begins with BEGIN IMMEDIATE, so that it waits at its start and never fails in its middle.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, literal, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import DateTime, TypeDecorator

from mailer.errors import SetupError

_AFTER_COMMIT = "mailer_after_commit"
_WAIT_SECONDS = 20
_POLL_SECONDS = 0.001


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware UTC in Python, timestamptz on PostgreSQL, sortable text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite stores UTC without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time has no place here; use mailer.clock")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware time."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class database_clock(FunctionElement[datetime]):  # noqa: N801 - it reads as an SQL function
    """The database's own clock, for gates and leases: one clock for all workers."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(database_clock, "sqlite")
def _sqlite_clock(*_: Any, **__: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(database_clock, "postgresql")
def _postgresql_clock(*_: Any, **__: Any) -> str:
    return "clock_timestamp()"


class database_clock_in(FunctionElement[datetime]):  # noqa: N801 - it reads as an SQL function
    """The database's own clock, so many seconds from now."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(database_clock_in, "sqlite")
def _sqlite_clock_in(element: FunctionElement[datetime], compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


@compiles(database_clock_in, "postgresql")
def _postgresql_clock_in(element: FunctionElement[datetime], compiler: SQLCompiler, **kw: Any) -> str:
    return f"clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)})"


class Database:
    """One database and how to talk to it."""

    def __init__(
        self, url: str | URL, *, pool_size: int = 5, is_frugal: bool = False, has_large_temp: bool = False
    ) -> None:
        """Describe a database.

        On SQLite `is_frugal` keeps few pages in memory, for a process that reads few of them; `has_large_temp` keeps
        temporary tables in files, so that memory stays flat.
        """
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        memory = (*(_FRUGAL if is_frugal else _AMPLE), f"temp_store={'FILE' if has_large_temp else 'MEMORY'}")
        self.engine = _sqlite_engine(self.url, memory) if self.is_sqlite else _postgresql_engine(self.url, pool_size)
        self._writer = self.engine.execution_options(mailer_write=True)
        self._turns = threading.Lock() if self.is_sqlite else None

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open one writing transaction; what was handed to `after_commit` runs once it is visible to others."""
        with Session(self._writer, expire_on_commit=False) as session:
            with _turn(self._turns) if self._turns else nullcontext(), session.begin():
                yield session
            callbacks = session.info.pop(_AFTER_COMMIT, [])
        for callback in callbacks:
            callback()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open one reading transaction; nothing is ever committed."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def open_private(self, *, has_large_temp: bool = False) -> Iterator["Database"]:
        """Yield this database through one connection of the caller's own: for temporary tables and attached files."""
        private = Database(self.url, pool_size=1, has_large_temp=has_large_temp)
        try:
            yield private
        finally:
            private.dispose()

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    def check(self) -> None:
        """Connect once; SetupError says what is wrong and how to mend it."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError as error:
            shown = self.url.render_as_string(hide_password=True)
            reason = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
            raise SetupError(f"no connection to {shown}: {reason}", mend="check MAILER_DATABASE_URL") from error


@contextmanager
def _turn(lock: threading.Lock) -> Iterator[None]:
    """Let the threads of a process write one after the other; who waited too long asks SQLite all the same.

    SQLite's own wait for a writer is a sleep that grows, so whoever has waited longest is the least likely to be next:
    of four threads that unsubscribe people at once one in a hundred waited a second. Other processes still poll.
    """
    is_mine = lock.acquire(timeout=_WAIT_SECONDS)
    try:
        yield
    finally:
        if is_mine:
            lock.release()


def after_commit(session: Session, callback: Callable[[], None]) -> None:
    """Run `callback` after this transaction committed; never where it did not."""
    session.info.setdefault(_AFTER_COMMIT, []).append(callback)


def spare_flush(session: Session) -> None:
    """On PostgreSQL do not wait for the disk at the end of this transaction.

    For work that a crash may take back, because what says that it is done goes with it and it is done again.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL synchronous_commit = off"))


def insert_into(session: Session, table: type[DeclarativeBase]) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT that knows ON CONFLICT, in the words of the session's engine."""
    return postgresql.insert(table) if session.get_bind().dialect.name == "postgresql" else sqlite.insert(table)


def any_row(table: type[DeclarativeBase], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return EXISTS over rows of `table`; every other table in `conditions` is the enclosing statement's.

    SQLAlchemy by itself ties a subquery to the statement directly around it only; a condition on a table further out
    would become a cross join that is true for everybody.
    """
    return select(literal(1)).select_from(table).where(*conditions).correlate_except(table).exists()


_AMPLE = ("cache_size=-32000", "mmap_size=268435456")
_FRUGAL = ("cache_size=-4000", "mmap_size=0")


def _sqlite_engine(url: URL, memory: Sequence[str]) -> Engine:
    if url.database and url.database != ":memory:":
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    engine = create_engine(url, connect_args={"timeout": _WAIT_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, memory))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, memory: Sequence[str]) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        *memory,
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("fold", 1, _fold, deterministic=True)


def _fold(value: object) -> str | None:
    """Case-fold for text rules: SQLite's own lower() knows ASCII only."""
    return None if value is None else str(value).casefold()


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("mailer_write"):
        _begin_writing(cast("sqlite3.Connection", connection.connection.driver_connection))
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_writing(driver: sqlite3.Connection) -> None:
    """BEGIN IMMEDIATE, asking again every millisecond while another process writes.

    SQLite's own wait is a sleep that grows to a tenth of a second, so whoever has waited longest is the least likely to
    be next: with two send workers at work, one in a hundred withdrawals waited over half a second.
    """
    until = time.monotonic() + _WAIT_SECONDS
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while not _is_begun(driver, is_last=time.monotonic() > until):
            time.sleep(_POLL_SECONDS)
    finally:
        driver.execute(f"PRAGMA busy_timeout={_WAIT_SECONDS * 1000}")


def _is_begun(driver: sqlite3.Connection, *, is_last: bool) -> bool:
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if is_last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _postgresql_engine(url: URL, pool_size: int) -> Engine:
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={"options": "-c timezone=UTC", "connect_timeout": 10},
    )


# ------------------------------------------------------------------ many rows at once


def insert_rows(
    session: Session,
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    constants: Mapping[str, Any] | None = None,
) -> None:
    """Insert plain tuples the quickest way: COPY on PostgreSQL, one prepared statement on SQLite.

    Values are as the driver stores them: JSON as text, UUIDs as hex, instants through `stored_instant`. `constants` are
    numbers, words and instants of our own, the same in every row. Names of table and columns are ours, too.
    """
    if not rows:
        return
    constants = constants or {}
    connection = session.connection()
    dbapi: Any = connection.dialect.loaded_dbapi
    insert = _insert_sqlite if connection.dialect.name == "sqlite" else _copy_postgresql
    try:
        insert(connection.connection.driver_connection, table, columns, rows, constants)
    except dbapi.IntegrityError as error:
        raise IntegrityError(f"insert into {table}", None, error) from error
    except dbapi.OperationalError as error:
        raise OperationalError(f"insert into {table}", None, error) from error


def _insert_sqlite(
    driver: Any,
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    constants: Mapping[str, Any],
) -> None:
    listed = ", ".join([*columns, *constants])
    marks = ", ".join(["?"] * len(columns) + [_literal(value) for value in constants.values()])
    driver.executemany(f"INSERT INTO {table} ({listed}) VALUES ({marks})", rows)  # noqa: S608 - names are ours


def _copy_postgresql(
    driver: Any,
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    constants: Mapping[str, Any],
) -> None:
    listed, same = ", ".join([*columns, *constants]), tuple(constants.values())
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({listed}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row((*row, *same))


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(int(value)) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def allocate_ids(session: Session, table: str, count: int) -> range | list[int]:
    """Return `count` ids for new rows of `table`; on SQLite they hold for this writing transaction only."""
    if session.get_bind().dialect.name == "sqlite":
        last = session.scalar(text(f"SELECT coalesce(max(id), 0) FROM {table}")) or 0  # noqa: S608 - the name is ours
        return range(last + 1, last + 1 + count)
    sequence = "(SELECT pg_get_serial_sequence(:table, 'id')::regclass)"  # looked up once, not for each row
    query = text(f"SELECT nextval({sequence}) FROM generate_series(1, :count)")  # noqa: S608 - no value is in it
    return list(session.scalars(query, {"table": table, "count": count}))


def stored_instant(session: Session, moment: datetime) -> str | datetime:
    """Return an instant as `insert_rows` wants it."""
    if session.get_bind().dialect.name == "sqlite":
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return moment

"""What the catcher keeps: accepted mails and the rules of misbehaviour, in a SQLite file of its own.

The file is shared by processes: `mailer catcher rule` writes what the server reads at its next recipient. Mails are
written in groups, one transaction a group, by one thread.
"""

import asyncio
import fnmatch
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from mailer.clock import utc_now

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    rcpt_to TEXT NOT NULL,
    raw BLOB NOT NULL,
    report TEXT,
    reported_at TEXT
);
CREATE INDEX IF NOT EXISTS ix_mail_report ON mail (id) WHERE report IS NOT NULL AND reported_at IS NULL;
CREATE TABLE IF NOT EXISTS rule (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pattern TEXT NOT NULL,
    behavior TEXT NOT NULL,
    created_at TEXT NOT NULL
);
"""
_GROUP = 500


class Behavior(StrEnum):
    """What happens to a recipient (INTERFACES: `mailer catcher rule`)."""

    REFUSE = "refuse"
    DEFER = "defer"
    BOUNCE = "bounce"
    SOFT_BOUNCE = "soft_bounce"
    COMPLAIN = "complain"
    DELIVER = "deliver"


REPORTING = (Behavior.BOUNCE, Behavior.SOFT_BOUNCE, Behavior.COMPLAIN)


@dataclass(frozen=True, slots=True)
class CaughtMail:
    """One accepted mail to one recipient."""

    id: int
    received_at: datetime
    mail_from: str
    rcpt_to: str
    raw: bytes
    report: Behavior | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A glob on the recipient, and what happens."""

    id: int
    pattern: str
    behavior: Behavior


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made with mode 0600 on first use."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(_SCHEMA)
    return connection


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for a block."""
    connection = connect(path)
    try:
        yield connection
    finally:
        connection.close()


def iter_mails(connection: sqlite3.Connection, *, after: int = 0) -> Iterator[CaughtMail]:
    """Yield accepted mails with an id above `after`, by id."""
    query = "SELECT id, received_at, mail_from, rcpt_to, raw, report FROM mail WHERE id > ? ORDER BY id"
    for row in connection.execute(query, (after,)):
        yield _mail(row)


def list_newest(
    connection: sqlite3.Connection, *, search: str = "", before: int | None = None, limit: int = 50
) -> list[CaughtMail]:
    """Return accepted mails, newest first, with an id below `before`; `search` is part of the recipient."""
    query = (
        "SELECT id, received_at, mail_from, rcpt_to, raw, report FROM mail"
        " WHERE id < ? AND instr(lower(rcpt_to), ?) > 0 ORDER BY id DESC LIMIT ?"
    )
    rows = connection.execute(query, (before or 2**62, search.lower(), limit))
    return [_mail(row) for row in rows]


def find_mail(connection: sqlite3.Connection, mail_id: int) -> CaughtMail | None:
    """Return one mail."""
    query = "SELECT id, received_at, mail_from, rcpt_to, raw, report FROM mail WHERE id = ?"
    row = connection.execute(query, (mail_id,)).fetchone()
    return _mail(row) if row else None


def list_due_reports(connection: sqlite3.Connection, limit: int = 100) -> list[CaughtMail]:
    """Return mails whose report has not been sent yet, oldest first."""
    query = (
        "SELECT id, received_at, mail_from, rcpt_to, raw, report FROM mail"
        " WHERE report IS NOT NULL AND reported_at IS NULL ORDER BY id LIMIT ?"
    )
    return [_mail(row) for row in connection.execute(query, (limit,))]


def mark_reported(connection: sqlite3.Connection, mail_id: int) -> None:
    """Note that the report of a mail was taken by the listener."""
    connection.execute("UPDATE mail SET reported_at = ? WHERE id = ?", (utc_now().isoformat(), mail_id))


def insert_rule(connection: sqlite3.Connection, pattern: str, behavior: Behavior) -> int:
    """Add a rule; the newest that matches wins."""
    query = "INSERT INTO rule (pattern, behavior, created_at) VALUES (?, ?, ?)"
    return int(connection.execute(query, (pattern, behavior.value, utc_now().isoformat())).lastrowid or 0)


def list_rules(connection: sqlite3.Connection) -> list[Rule]:
    """Return the rules, newest first."""
    rows = connection.execute("SELECT id, pattern, behavior FROM rule ORDER BY id DESC")
    return [Rule(row[0], row[1], Behavior(row[2])) for row in rows]


def delete_rules(connection: sqlite3.Connection) -> int:
    """Remove every rule; return how many there were."""
    return connection.execute("DELETE FROM rule").rowcount


def _mail(row: tuple[int, str, str, str, bytes, str | None]) -> CaughtMail:
    report = Behavior(row[5]) if row[5] else None
    return CaughtMail(row[0], datetime.fromisoformat(row[1]), row[2], row[3], row[4], report)


class RuleBook:
    """The rules as the server sees them, read again whenever another process has written to the file."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._version = -1
        self._rules: list[tuple[re.Pattern[str], Behavior]] = []

    def behavior_of(self, recipient: str) -> Behavior:
        """Return what happens to `recipient`; `deliver` where no rule matches."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._rules = [
                (re.compile(fnmatch.translate(rule.pattern.casefold())), rule.behavior)
                for rule in list_rules(self._connection)
            ]
            self._version = version
        folded = recipient.casefold()
        return next((behavior for pattern, behavior in self._rules if pattern.match(folded)), Behavior.DELIVER)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


_Pending = tuple[tuple[str, str, str, bytes, str | None], "asyncio.Future[None]"]


class MailWriter:
    """Writes mails in groups from one thread; `write` returns after the commit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._pending: list[_Pending] = []
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="catcher-writer", daemon=True)
        self._thread.start()

    async def write(self, mail_from: str, rcpt_to: str, raw: bytes, report: Behavior | None) -> None:
        """Keep one mail; an error of the file is raised here."""
        future: asyncio.Future[None] = self._loop.create_future()
        row = (utc_now().isoformat(), mail_from, rcpt_to, raw, report.value if report else None)
        with self._wake:
            self._pending.append((row, future))
            self._wake.notify()
        await future

    def close(self) -> None:
        """Write what waits, then end the thread."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join()

    def _work(self) -> None:
        connection = connect(self._path)
        try:
            while group := self._next_group():
                error = _write_group(connection, [row for row, _ in group])
                self._loop.call_soon_threadsafe(_settle, [future for _, future in group], error)
        finally:
            connection.close()

    def _next_group(self) -> list[_Pending]:
        with self._wake:
            while not self._pending and not self._is_closing:
                self._wake.wait()
            group, self._pending = self._pending[:_GROUP], self._pending[_GROUP:]
        return group


def _write_group(
    connection: sqlite3.Connection, rows: list[tuple[str, str, str, bytes, str | None]]
) -> sqlite3.Error | None:
    query = "INSERT INTO mail (received_at, mail_from, rcpt_to, raw, report) VALUES (?, ?, ?, ?, ?)"
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(query, rows)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return error
    return None


def _settle(futures: "list[asyncio.Future[None]]", error: sqlite3.Error | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

"""Reports come in: the raw mail is stored first, then read, matched and applied (DESIGN: Bounce).

Applying is delivery's: the same `apply_event` that SMTP-time replies use. Everything is safe to repeat: a report is
known by its digest, an event by its message and kind.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.bounces.applying import apply_report
from mailer.bounces.classify import classify_report
from mailer.bounces.jobs import PROCESS_REPORTS
from mailer.bounces.queries import list_waiting
from mailer.bounces.reading import read_report
from mailer.bounces.words import Kind
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import spare_flush
from mailer.errors import InputError, MailerError, Problem
from mailer.log import get_logger
from mailer.schema.base import Base
from mailer.schema.bounces import BounceReport
from mailer.statuses import Blame, Verdict

log = get_logger("bounces")
_PAGE = 100
_RETRY_FIRST, MAX_ATTEMPTS = timedelta(seconds=30), 10


@dataclass(frozen=True)
class Received:
    """A report as it came in; `source` says through which door."""

    raw: bytes
    source: str
    mail_from: str = ""
    rcpt_to: str = ""

    @property
    def digest(self) -> bytes:
        """What makes a repeated report the same one."""
        return hashlib.sha256(self.rcpt_to.lower().encode() + b"\0" + self.raw).digest()


def record_report(ctx: Context, raw: bytes, source: str, *, mail_from: str = "", rcpt_to: str = "") -> int:
    """Store one report and return its id; one that came before keeps its id."""
    return record_reports(ctx, [Received(raw, source, mail_from, rcpt_to)])[0]


def record_reports(ctx: Context, reports: Sequence[Received]) -> list[int]:
    """Store reports in one transaction, ring for their processing, and return their ids in the order given."""
    with ctx.write() as session:
        store_reports(session, reports)
        digests = [report.digest for report in reports]
        query = select(BounceReport.digest, BounceReport.id).where(BounceReport.digest.in_(digests))
        ids = {bytes(digest): report_id for digest, report_id in session.execute(query)}
        ctx.ring(session, PROCESS_REPORTS)
    return [ids[digest] for digest in digests]


def store_reports(session: Session, reports: Sequence[Received]) -> None:
    """Store reports; those that came before are left alone."""
    if reports:
        statement = insert_ignoring(session, BounceReport)
        session.connection().execute(statement, [_row(report) for report in reports])


def insert_ignoring(session: Session, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Return INSERT … ON CONFLICT DO NOTHING by the digest of a row."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement: postgresql.Insert | sqlite.Insert = dialect.insert(table).on_conflict_do_nothing(
        index_elements=["digest"]
    )
    return statement


def _row(report: Received) -> dict[str, object]:
    return {
        "received_at": utc_now(),
        "source": report.source,
        "mail_from": report.mail_from,
        "rcpt_to": report.rcpt_to,
        "digest": report.digest,
        "raw": report.raw,
        "state": "received",
        "reason": "",
        "status": "",
        "recipients": [],
        "diagnostic": "",
        "matched_by": "",
        "attempts": 0,
    }


def process_reports(ctx: Context) -> int:
    """Read, match and apply every report that waits, each in a transaction of its own; return how many.

    One that fails waits longer each time, and is left to a person in the end; the others go on.
    """
    done = after = 0
    while waiting := _list_waiting(ctx, after):
        after = waiting[-1]
        for report_id in random.sample(waiting, len(waiting)):  # in step, several workers would read each one together
            try:
                done += _process_one(ctx, report_id)
            except OperationalError as error:  # a deadlock, a database that is away: nothing is wrong with the report
                log.warning("reports_wait", error=type(error.orig).__name__)
                return done
            except (SQLAlchemyError, MailerError, ValueError, LookupError, TypeError, RecursionError) as error:
                log.warning("report_not_read", report_id=report_id, error=type(error).__name__)
                _put_off(ctx, report_id)
    return done


def _list_waiting(ctx: Context, after: int) -> Sequence[int]:
    with ctx.read() as session:
        return list_waiting(session, utc_now(), after=after, limit=_PAGE)


def _process_one(ctx: Context, report_id: int) -> int:
    """Return 1; 0 where another worker was quicker, or has it just now."""
    with ctx.read() as session:
        report = session.get_one(BounceReport, report_id)
    if report.state != "received":
        return 0
    read = read_report(report.raw or b"", report.source)  # the long part, before anything is locked
    with ctx.write() as session:
        locked = session.get(BounceReport, report_id, with_for_update={"skip_locked": True})
        if locked is None or locked.state != "received":
            return 0
        spare_flush(session)
        apply_report(session, ctx, locked, read)
    return 1


def _put_off(ctx: Context, report_id: int) -> None:
    with ctx.write() as session:
        report = session.get_one(BounceReport, report_id, with_for_update=True)
        report.attempts += 1
        report.retry_at = utc_now() + _RETRY_FIRST * 2 ** min(report.attempts - 1, 8)
        if report.attempts >= MAX_ATTEMPTS:
            report.state, report.verdict = "unmatched", Verdict.UNDETERMINED.value
            report.blame, report.reason = Blame.UNKNOWN.value, Kind.UNREADABLE.value


# ------------------------------------------------------------------ for the command line


def classify_paths(paths: Iterable[Path]) -> Iterator[dict[str, object]]:
    """Yield a line of `mailer bounces classify` for each file, in the order given, a folder's files by name.

    Raises:
        InputError: lists every path that cannot be read, before the first line.
    """
    for path in list_files(paths):
        said = classify_report(path.read_bytes())
        yield {
            "file": path.name,
            "verdict": said.verdict.value,
            "reason": said.reason or None,
            "blame": said.blame.value,
            "status": said.status or None,
            "recipients": list(said.recipients),
            "evidence": said.evidence or None,
        }


def ingest_paths(ctx: Context, paths: Iterable[Path]) -> dict[str, int]:
    """Store and process the reports in files, folders and maildirs; return {"files", "processed"}. Safe to repeat."""
    files = list_files(paths)
    for begin in range(0, len(files), _INGEST):
        record_reports(ctx, [Received(path.read_bytes(), "file") for path in files[begin : begin + _INGEST]])
    return {"files": len(files), "processed": process_reports(ctx)}


_INGEST = 50
_MAILDIR = ("cur", "new")


def list_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files that `paths` name, a folder's by name; of a maildir what is in `cur` and `new`.

    Raises:
        InputError: lists every path that is not there.
    """
    files: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            boxes = [path / name for name in _MAILDIR] if all((path / name).is_dir() for name in _MAILDIR) else [path]
            files += sorted(one for box in boxes for one in box.iterdir() if one.is_file())
        elif path.is_file():
            files.append(path)
        else:
            problems.append(Problem(str(path), "no such file or folder"))
    if problems:
        raise InputError(problems)
    return files

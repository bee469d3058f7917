"""Traces of a person in this host's data folder: tracking spool, catcher, uploads, refused rows, logs.

Files that another process appends to are masked in place, with the same number of bytes, so that nobody's place moves.
"""

import csv
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.privacy.mailtext import is_in_mail, is_in_table
from mailer.privacy.person import Person
from mailer.schema.imports import ImportRun
from mailer.statuses import ImportStatus
from mailer.tokens import verp_local
from mailer.tracking.lanes import list_lanes, reached_by_all
from mailer.tracking.queries import positions_of_host
from mailer.tracking.records import DamagedRecordError, RawHit, iter_hits, pack_hit
from mailer.tracking.spool import host_id, list_segments, only_reader

_PAGE = 500
_STALE_SECONDS = 3600
_EMPTY_BYTES = len(pack_hit(RawHit(0.0, 1, 1, 1, 0, 0, "", "")))


# ------------------------------------------------------------------ tracking spool


def clean_spool(ctx: Context, person: Person) -> tuple[int, bool]:
    """Mask IP and user agent in the spool's records of the person's mails; return how many, and whether that is all.

    What the ingest process has not read yet is left to it while it runs: it knows the mails as nobody's by then.
    """
    folder = ctx.settings.spool_dir
    if not folder.is_dir():
        return 0, True
    damaged = sum(mask_file(path, person) for path in folder.glob("*.damaged"))
    try:
        with only_reader(folder):
            return damaged + _mask_spool(folder, person, None)[0], True
    except ConflictError:
        with ctx.read() as session:
            positions = positions_of_host(session, host_id(folder))
        lanes = list_lanes(is_sqlite=ctx.database.is_sqlite)
        done, is_whole = _mask_spool(folder, person, partial(reached_by_all, lanes, positions))
        return damaged + done, is_whole


def _mask_spool(folder: Path, person: Person, reached: Callable[[str], int] | None) -> tuple[int, bool]:
    done, is_whole, wanted = 0, True, set(person.message_ids)
    for segment in list_segments(folder):
        limit = None if reached is None else reached(segment.name)
        try:
            data = segment.path.read_bytes()
        except FileNotFoundError:
            continue  # the ingest process has just taken it in
        for start, hit, size in _iter_records(data):
            if hit.message_id not in wanted or not hit.ip.strip("*"):
                continue
            if limit is not None and start >= limit:
                is_whole = False
                continue
            done += 1
            _write_at(segment.path, start, _masked(hit, size))
    return done, is_whole


def _iter_records(data: bytes) -> Iterator[tuple[int, RawHit, int]]:
    """Yield (offset, hit, size) of each whole record up to the first damaged one."""
    start = 0
    try:
        for hit, end in iter_hits(data):
            yield start, hit, end - start
            start = end
    except DamagedRecordError:
        return


def _masked(hit: RawHit, size: int) -> bytes:
    """Return the record without IP and user agent, of the same size."""
    rest = size - _EMPTY_BYTES
    ip = min(len(hit.ip.encode()), rest)
    return pack_hit(hit._replace(ip="*" * ip, user_agent="*" * (rest - ip)))


def _write_at(path: Path, offset: int, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, data, offset)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------ logs


def clean_logs(ctx: Context, person: Person) -> int:
    """Mask addresses, full names and IPs in the logs of `mailer up`; return how many files held some."""
    folder = ctx.settings.data_dir / "log"
    return sum(mask_file(path, person) for path in folder.glob("*.log*")) if folder.is_dir() else 0


def mask_file(path: Path, person: Person) -> int:
    """Put stars over the person in a file, in place; return 1 where there was something."""
    data = path.read_bytes()
    masked = person.mask(data)
    if masked == data:
        return 0
    _write_at(path, 0, masked)  # what was appended meanwhile stands behind it
    return 1


# ------------------------------------------------------------------ catcher


def clean_catcher(ctx: Context, person: Person) -> int:
    """Delete mails to the person, and mails in which they stand, from the catcher's file; return how many.

    The catcher is no room below this one, so its file is opened here by its own columns (mailer/catcher/store.py).
    """
    path = ctx.settings.data_dir / "catcher.sqlite"
    if not path.exists():
        return 0
    keys = ctx.keys
    ours = [verp_local(keys, number, key) for number in person.message_ids for key in keys.tracking]
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as store:
        store.execute("PRAGMA secure_delete = ON")
        listed = "(SELECT value FROM json_each(?))"
        gone = store.execute(
            f"DELETE FROM mail WHERE lower(rcpt_to) IN {listed}"  # noqa: S608 - no value is in it
            f" OR lower(substr(mail_from, 1, instr(mail_from, '@') - 1)) IN {listed}",
            (json.dumps(person.emails), json.dumps(ours)),
        ).rowcount
        gone += _delete_mentions(store, person)
        store.execute(f"DELETE FROM rule WHERE lower(pattern) IN {listed}", (json.dumps(person.emails),))  # noqa: S608
        store.execute("VACUUM")
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return gone


def _delete_mentions(store: sqlite3.Connection, person: Person) -> int:
    gone, after = 0, 0
    while rows := store.execute("SELECT id, raw FROM mail WHERE id > ? ORDER BY id LIMIT ?", (after, _PAGE)).fetchall():
        found = [(number,) for number, raw in rows if is_in_mail(person, raw)]
        store.executemany("DELETE FROM mail WHERE id = ?", found)
        gone, after = gone + len(found), rows[-1][0]
    return gone


# ------------------------------------------------------------------ files that came in


def clean_uploads(ctx: Context, person: Person) -> int:
    """Delete uploaded files in which the person stands; return how many. A workbook cannot be edited in place."""
    root = ctx.settings.data_dir / "uploads"
    gone = 0
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if any(is_in_table(person, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()):
            shutil.rmtree(folder)
            gone += 1
    return gone


def clean_refusals(ctx: Context, person: Person) -> tuple[int, bool]:
    """Take the person's lines out of files of refused rows; return how many files, and whether that is all.

    An import that runs is waited for: it appends to its file.
    """
    folder = ctx.settings.data_dir / "imports"
    if not folder.is_dir():
        return 0, True
    _remove_stale_stages(folder)
    done, is_whole = 0, True
    for path in sorted(folder.glob("*.refused.csv")):
        if not is_in_table(person, path.read_bytes()):
            continue
        with ctx.write() as session:
            run = _run_of(session, path)
            if run is not None and run.status == ImportStatus.RUNNING and _is_fresh(path):
                is_whole = False
                continue
            size = _rewrite(path, person)
            if run is not None:
                run.mapping = run.mapping | {"refused_bytes": size}
        done += 1
    return done, is_whole


def _run_of(session: Session, path: Path) -> ImportRun | None:
    return session.scalars(select(ImportRun).where(ImportRun.refused_path == str(path)).limit(1)).one_or_none()


def _rewrite(path: Path, person: Person) -> int:
    """Write the file anew without the lines that hold the person; return its size in bytes."""
    rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8", errors="replace"), newline=""))
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(row for row in rows if not person.is_in(";".join(row)))
    draft = path.with_name(f".{path.name}.draft")
    data = text.getvalue().encode("utf-8", "replace")
    draft.touch(mode=0o600)
    draft.write_bytes(data)
    draft.replace(path)
    return len(data)


def _is_fresh(path: Path) -> bool:
    return utc_now().timestamp() - path.stat().st_mtime < _STALE_SECONDS


def _remove_stale_stages(folder: Path) -> None:
    """Remove what an import that was killed left of its staging."""
    for path in folder.glob("stage-*"):
        if path.is_dir() and not _is_fresh(path):
            shutil.rmtree(path, ignore_errors=True)

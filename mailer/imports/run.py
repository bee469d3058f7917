"""One run over a file, chunk by chunk: opened or taken up again, written, noted.

Each chunk is one short transaction, its rows and the place reached together, so a run that was killed goes on where it
stopped and a run that is repeated changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import spare_flush
from mailer.errors import ConflictError
from mailer.imports.check import Refused
from mailer.imports.parse import COPY, Checker, Chunk, open_chunks
from mailer.imports.plan import Counts
from mailer.imports.read import TableFile
from mailer.imports.refusals import RefusalFile
from mailer.imports.stage import Staged
from mailer.schema.imports import ImportRun
from mailer.statuses import ImportStatus

SQLITE_CHUNK = 3_000
POSTGRESQL_CHUNK = 5_000
_TRIES = 3
_ANALYZE_FROM = 1_000
_ANALYZE_GROWTH = 8
"""Statistics are refreshed each time the rows have grown so many times."""

Progress = Callable[[int, int], None]
"""Called after each chunk with rows done and rows expected (an estimate)."""


@dataclass
class Run:
    """One run over a file, whatever it holds."""

    ctx: Context
    table: TableFile
    checker: Checker
    apply: Callable[[Session, Sequence[Any]], tuple[Counts, list[Refused]]]
    progress: Progress
    import_id: int | None
    counts: Counts
    refusals: RefusalFile | None
    apply_staged: Callable[[Session, Staged, Sequence[bytes]], tuple[Counts, list[Refused]]] | None = None
    """How a staged chunk is written; None where there is no such way."""


_PROGRESS = ("refused_bytes", "left")
"""What a run notes in its mapping on the way; the rest of it is what was asked for."""


def open_run(ctx: Context, kind: str, table: TableFile, wanted: Mapping[str, Any], by: int | None) -> ImportRun:
    """Return the run of the same file and terms that stopped half-way, else a new one."""
    with ctx.write() as session:
        halted = session.scalars(
            select(ImportRun)
            .where(
                ImportRun.digest == table.digest, ImportRun.kind == kind, ImportRun.status != ImportStatus.DONE.value
            )
            .order_by(ImportRun.id.desc())
            .with_for_update()
        )
        for row in halted:
            if all(_asked(row, name) == value for name, value in wanted.items()):
                row.status, row.error, row.path = ImportStatus.RUNNING.value, "", str(table.path)
                return row
        row = ImportRun(
            kind=kind, file_name=table.path.name, path=str(table.path), digest=table.digest,
            status=ImportStatus.RUNNING.value, created_by=by, created_at=utc_now(), **wanted,
        )  # fmt: skip
        session.add(row)
        session.flush()
    return row


def _asked(row: ImportRun, name: str) -> Any:
    """Return one of the terms that `row` was started with."""
    if name == "mapping":
        return {key: value for key, value in row.mapping.items() if key not in _PROGRESS}
    return getattr(row, name)


def make_run(
    ctx: Context, table: TableFile, checker: Checker,
    apply: Callable[[Session, Sequence[Any]], tuple[Counts, list[Refused]]], row: ImportRun | None,
    progress: Progress | None,
) -> Run:  # fmt: skip
    """Return a run from where `row` says it stopped; a dry one has no row."""
    counts, refusals = Counts(), None
    if row is not None:
        counts = Counts(
            row.rows_done, row.new_count, row.updated_count, row.unchanged_count, row.refused_count,
            int(row.mapping.get("left", 0)),
        )  # fmt: skip
        path = ctx.settings.data_dir / "imports" / f"{row.public_id}.refused.csv"
        refusals = RefusalFile(path, table.header, size=int(row.mapping.get("refused_bytes", 0)))
    number = row.id if row else None
    return Run(ctx, table, checker, apply, progress or _silent, number, counts, refusals)


def _silent(_done: int, _expected: int) -> None:
    """Nobody watches."""


def run_to_end(run: Run) -> None:
    """Read and write every chunk that is left; whatever stops it is noted in its row."""
    size = SQLITE_CHUNK if run.ctx.database.is_sqlite else POSTGRESQL_CHUNK
    try:
        with (
            _open_stage(run) as stage,
            open_chunks(run.table, run.checker, size=size, skip=run.counts.rows, stage=stage) as chunks,
        ):
            _run_chunks(run, chunks)
    except BaseException as error:
        _close_run(run, ImportStatus.FAILED, str(error) or type(error).__name__)
        raise
    _close_run(run, ImportStatus.DONE, "")
    if run.import_id is not None and run.counts.new >= _ANALYZE_FROM:
        _refresh_statistics(run.ctx)


@contextmanager
def _open_stage(run: Run) -> Iterator[Path | str | None]:
    """Yield where chunks are staged and give the run a connection of its own, for files attached, temporary tables."""
    if run.apply_staged is None:
        yield None
        return
    folder = run.ctx.settings.data_dir / "imports"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    shared = run.ctx
    with shared.database.open_private() as database:
        run.ctx = replace(shared, database=database)
        try:
            if not database.is_sqlite:
                yield COPY
                return
            _on_own_connection(run, "PRAGMA synchronous=NORMAL", ())  # as spare_flush; the last commit is full again
            with TemporaryDirectory(prefix="stage-", dir=folder) as name:
                yield Path(name)
        finally:
            run.ctx = shared


def _run_chunks(run: Run, chunks: Iterator[Chunk]) -> None:
    _spare_checkpoints(run.ctx)
    due = _ANALYZE_FROM
    for chunk in chunks:
        if run.counts.new >= due and run.import_id is not None and not run.ctx.database.is_sqlite:
            _refresh_statistics(run.ctx)
            due = run.counts.new * _ANALYZE_GROWTH
        if chunk.staged is not None and chunk.staged.path:
            done = _write_attached(run, chunk, Path(chunk.staged.path))
        else:
            done = _write_chunk(run, chunk) if run.import_id is not None else _count_chunk(run, chunk)
        run.counts += done
        run.progress(run.counts.rows, max(run.table.estimated_rows, run.counts.rows))


def _spare_checkpoints(ctx: Context) -> None:
    """On SQLite let the log grow to 64 MB between checkpoints: one after every chunk would cost a third of the time."""
    if ctx.database.is_sqlite:
        with ctx.write() as session:
            session.connection().exec_driver_sql("PRAGMA wal_autocheckpoint=16000")


def _count_chunk(run: Run, chunk: Chunk) -> Counts:
    with run.ctx.read() as session:
        counts, _ = run.apply(session, chunk.rows)
    return counts + Counts(chunk.count, refused=len(chunk.refused))


def _write_attached(run: Run, chunk: Chunk, path: Path) -> Counts:
    """Write a chunk that lies in a file; SQLite attaches outside transactions only, so before this one begins."""
    _on_own_connection(run, "ATTACH ? AS stage", (str(path),))
    try:
        return _write_chunk(run, chunk)
    finally:
        _on_own_connection(run, "DETACH stage", ())
        path.unlink()


def _on_own_connection(run: Run, statement: str, values: tuple[str, ...]) -> None:
    with run.ctx.database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - a connection that is open has one
        driver.execute(statement, values)


def _write_chunk(run: Run, chunk: Chunk) -> Counts:
    """Write a chunk whole; one that met another writer (a new address in both) is tried again."""
    for attempt in range(1, _TRIES + 1):
        try:
            with run.ctx.write() as session:
                spare_flush(session)  # the run says how far it came; the rest is read again
                counts, refused = _apply(run, session, chunk)
                counts += Counts(chunk.count, refused=len(chunk.refused))
                _record_progress(session, run, counts, [*chunk.refused, *refused])
        except (IntegrityError, OperationalError):
            if attempt == _TRIES:
                raise
        else:
            return counts
    raise AssertionError("unreachable")


def _apply(run: Run, session: Session, chunk: Chunk) -> tuple[Counts, list[Refused]]:
    if chunk.staged is not None and run.apply_staged is not None:
        return run.apply_staged(session, chunk.staged, chunk.rows)
    return run.apply(session, chunk.rows)


def _record_progress(session: Session, run: Run, done: Counts, refused: Sequence[Refused]) -> None:
    row = session.get_one(ImportRun, run.import_id, with_for_update=True)
    if row.rows_done != run.counts.rows:
        raise ConflictError("another process runs this import", mend="wait until it is done")
    total = run.counts + done
    refusals = run.refusals
    assert refusals is not None  # noqa: S101 - a run that writes has one
    refusals = RefusalFile(refusals.file, run.table.header, size=int(row.mapping.get("refused_bytes", 0)))
    refusals.add(refused)
    run.refusals = refusals
    row.rows_done, row.new_count, row.updated_count = total.rows, total.new, total.updated
    row.unchanged_count, row.refused_count, row.refused_path = total.unchanged, total.refused, refusals.path
    row.mapping = {**row.mapping, "refused_bytes": refusals.size, "left": total.left}


def _refresh_statistics(ctx: Context) -> None:
    """Tell the planner about the new rows: it would go on as if the tables were empty. A rough count is enough.

    One table in a transaction, since on SQLite all of them would hold the lock too long.
    """
    limit = "PRAGMA analysis_limit=400" if ctx.database.is_sqlite else "SET LOCAL default_statistics_target = 10"
    for table in ("address", "contact", "consent", "subscription", "consent_event", "contact_tag", "activity"):
        with ctx.write() as session:
            session.execute(text(limit))
            session.execute(text(f"ANALYZE {table}"))


def _close_run(run: Run, status: ImportStatus, error: str) -> None:
    if run.import_id is None:
        return
    with run.ctx.write() as session:
        row = session.get_one(ImportRun, run.import_id)
        row.status, row.error = status.value, error[:1000]
        row.finished_at = utc_now() if status is ImportStatus.DONE else None

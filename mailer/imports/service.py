"""Imports of files: look at one, run it in chunks that can be resumed, or only count (FEATURES K3, C7).

Each chunk is one short transaction, its rows and the place reached together, so a run that was killed goes on where it
stopped and a run that is repeated changes nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent.bulk import ImportTerms
from mailer.consent.expiry import find_end
from mailer.consent.queries import get_topic
from mailer.context import Context
from mailer.errors import ConflictError, InputError, Problem
from mailer.imports.apply import ActivityJob, ContactJob, apply_activities, apply_contacts, apply_staged
from mailer.imports.check import ActivityChecker, ContactChecker, OwnField, Refused
from mailer.imports.mapping import ACTIVITY_FIELDS, CONTACT_FIELDS, Columns, map_columns
from mailer.imports.overlay import Overlay
from mailer.imports.parse import COPY, Checker, Chunk, open_chunks
from mailer.imports.plan import Counts
from mailer.imports.read import TableFile, iter_rows, open_table
from mailer.imports.refusals import RefusalFile
from mailer.imports.stage import Staged
from mailer.schema.accounts import Staff
from mailer.schema.contacts import ContactField
from mailer.schema.imports import ImportRun
from mailer.statuses import Basis, FieldType, ImportStatus
from mailer.workspace.queries import get_workspace

SQLITE_CHUNK = 3_000
POSTGRESQL_CHUNK = 5_000
_TRIES = 3
_ANALYZE_FROM = 1_000
_ANALYZE_GROWTH = 8
"""Statistics are refreshed each time the rows have grown so many times."""

Progress = Callable[[int, int], None]
"""Called after each chunk with rows done and rows expected (an estimate)."""


@dataclass(frozen=True)
class ImportOptions:
    """What the person who imports says. `topics` are names; none must be said by an empty tuple.

    `expires_at`: when the permission runs out; None: by the workspace's setting.
    """

    basis: Basis | str
    source: str
    topics: tuple[str, ...] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)
    by: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class ImportResult:
    """What an import did; `as_json` is the shape of INTERFACES."""

    import_id: int | None
    counts: Counts
    refused_file: str
    ignored: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures by name; `left` counts people whose permission was not raised because they left."""
        return {
            "import_id": self.import_id,
            **asdict(self.counts),
            "refused_file": self.refused_file or None,
            "ignored_columns": list(self.ignored),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Preview:
    """What a wizard shows before anything happens: the mapping and the first rows."""

    header: tuple[str, ...]
    columns: Columns
    rows: list[list[str]]
    estimated_rows: int


@dataclass
class _Run:
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


def preview_contacts(ctx: Context, path: Path, mapping: Mapping[str, str] | None = None, *, rows: int = 5) -> Preview:
    """Return how a file would be read. Raises InputError as `import_contacts` does."""
    table = open_table(path)
    with ctx.read() as session:
        columns = _map_contacts(session, table, mapping or {})
    first = [row for row, _ in zip(iter_rows(table), range(rows), strict=False) if isinstance(row, list)]
    return Preview(table.header, columns, first, table.estimated_rows)


def import_contacts(
    ctx: Context, path: Path, options: ImportOptions, *, is_dry_run: bool = False, progress: Progress | None = None
) -> ImportResult:
    """Import contacts and record their permission; a dry run returns the same figures and writes nothing.

    Raises:
        InputError: the file is no table, a column or field is unknown, basis or source is missing; lists everything.
        NotFoundError: a topic does not exist.
    """
    started = time.monotonic()
    basis, source = _checked_terms(options)
    table = open_table(path)
    with ctx.read() as session:
        columns = _map_contacts(session, table, options.mapping)
        topic_ids = tuple(get_topic(session, name).id for name in dict.fromkeys(options.topics))
        expires_at = options.expires_at or find_end(session, basis, utc_now())
        checker = ContactChecker(columns, _own_fields(session), _owners(session), hash_key=ctx.keys.suppression)
    terms = ImportTerms(basis, source, topic_ids, expires_at)
    mapping: dict[str, object] = {"fields": list(columns.fields)}
    if options.expires_at:
        mapping["expires_at"] = options.expires_at.isoformat()
    wanted = {"mapping": mapping, "basis": basis.value, "source": source, "topic_ids": list(topic_ids)}
    run_row = None if is_dry_run else _open_run(ctx, "contacts", table, wanted, options.by)
    with closing(Overlay()) if is_dry_run else nullcontext() as overlay:
        job = ContactJob(terms, ctx.keys.suppression, utc_now(), run_row.id if run_row else None, overlay)
        run = _make_run(
            ctx, table, checker, lambda session, rows: apply_contacts(session, rows, job), run_row, progress
        )
        if run_row is not None:
            run.apply_staged = lambda session, staged, packed: apply_staged(session, staged, packed, job)
        return _finish(run, columns, started)


def import_activities(
    ctx: Context, path: Path, *, mapping: Mapping[str, str] | None = None, is_dry_run: bool = False,
    by: int | None = None, progress: Progress | None = None,
) -> ImportResult:  # fmt: skip
    """Import activities of contacts that exist; columns without a field become own values. Raises InputError."""
    started = time.monotonic()
    table = open_table(path)
    with ctx.read() as session:
        zone = get_workspace(session).timezone
    columns = _map_activities(table, mapping or {})
    checker = ActivityChecker(columns, zone)
    wanted = {"mapping": {"fields": list(columns.fields)}}
    run_row = None if is_dry_run else _open_run(ctx, "activities", table, wanted, by)
    job = ActivityJob(utc_now(), run_row.id if run_row else None, is_dry=is_dry_run)
    run = _make_run(ctx, table, checker, lambda session, rows: apply_activities(session, rows, job), run_row, progress)
    return _finish(run, columns, started)


def list_imports(session: Session, *, before_id: int | None = None, limit: int = 50) -> Sequence[ImportRun]:
    """Return imports, newest first, in keyset pages."""
    query = select(ImportRun).order_by(ImportRun.id.desc()).limit(limit)
    return session.scalars(query if before_id is None else query.where(ImportRun.id < before_id)).all()


# ------------------------------------------------------------------ what the file holds


def _checked_terms(options: ImportOptions) -> tuple[Basis, str]:
    problems = []
    if options.basis not in list(Basis):
        problems.append(Problem("--basis", f"there is no basis {options.basis!r}", "one of " + ", ".join(Basis)))
    if not options.source.strip():
        problems.append(Problem("--source", "an import says where its data come from", "such as 'Fair in Oslo 2026'"))
    if problems:
        raise InputError(problems)
    return Basis(options.basis), options.source.strip()


def _map_contacts(session: Session, table: TableFile, chosen: Mapping[str, str]) -> Columns:
    labels = {own.key: own.label for own in session.scalars(_field_query())}
    columns = map_columns(table.header, fields=CONTACT_FIELDS, own_fields=labels, chosen=chosen)
    if "email" not in columns.fields and "external_id" not in columns.fields:
        mend = f"--map COLUMN=email; columns: {', '.join(table.header)}"
        raise InputError("no column holds the address or the external id", where=table.path.name, mend=mend)
    return columns


def _map_activities(table: TableFile, chosen: Mapping[str, str]) -> Columns:
    draft = map_columns(table.header, fields=ACTIVITY_FIELDS, own_fields={}, chosen=chosen)
    missing = [name for name in ("email", "kind", "at") if name not in draft.fields]
    if missing:
        mend = f"--map COLUMN={missing[0]}; columns: {', '.join(table.header)}"
        raise InputError(f"no column holds {' and '.join(missing)}", where=table.path.name, mend=mend)
    own = [_own_key(name) if field is None else field for name, field in zip(table.header, draft.fields, strict=True)]
    left_out = {name for name, field in chosen.items() if not field.strip()}
    fields = [None if name in left_out else key for name, key in zip(table.header, own, strict=True)]
    return Columns(tuple(fields), tuple(sorted(left_out)))


def _own_key(name: str) -> str:
    return "_".join("".join(char if char.isalnum() else " " for char in name.casefold()).split())[:50] or "value"


def _field_query() -> Any:
    return select(ContactField).where(ContactField.archived_at.is_(None))


def _own_fields(session: Session) -> dict[str, OwnField]:
    rows = session.scalars(_field_query())
    return {row.key: OwnField(row.key, FieldType(row.type), tuple(map(str, row.choices))) for row in rows}


def _owners(session: Session) -> dict[str, int]:
    rows = session.execute(select(Staff.email, Staff.id).where(Staff.archived_at.is_(None)))
    return {email.lower(): number for email, number in rows}


# ------------------------------------------------------------------ the run


_PROGRESS = ("refused_bytes", "left")
"""What a run notes in its mapping on the way; the rest of it is what was asked for."""


def _open_run(ctx: Context, kind: str, table: TableFile, wanted: Mapping[str, Any], by: int | None) -> ImportRun:
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


def _make_run(
    ctx: Context, table: TableFile, checker: Checker,
    apply: Callable[[Session, Sequence[Any]], tuple[Counts, list[Refused]]], row: ImportRun | None,
    progress: Progress | None,
) -> _Run:  # fmt: skip
    counts, refusals = Counts(), None
    if row is not None:
        counts = Counts(
            row.rows_done, row.new_count, row.updated_count, row.unchanged_count, row.refused_count,
            int(row.mapping.get("left", 0)),
        )  # fmt: skip
        path = ctx.settings.data_dir / "imports" / f"{row.public_id}.refused.csv"
        refusals = RefusalFile(path, table.header, size=int(row.mapping.get("refused_bytes", 0)))
    number = row.id if row else None
    return _Run(ctx, table, checker, apply, progress or _silent, number, counts, refusals)


def _silent(_done: int, _expected: int) -> None:
    """Nobody watches."""


def _finish(run: _Run, columns: Columns, started: float) -> ImportResult:
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
    refused_file = run.refusals.path if run.refusals else ""
    return ImportResult(run.import_id, run.counts, refused_file, columns.ignored, time.monotonic() - started)


@contextmanager
def _open_stage(run: _Run) -> Iterator[Path | str | None]:
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
            _on_own_connection(run, "PRAGMA synchronous=NORMAL", ())  # see _spare_flush; the last commit is full again
            with TemporaryDirectory(prefix="stage-", dir=folder) as name:
                yield Path(name)
        finally:
            run.ctx = shared


def _run_chunks(run: _Run, chunks: Iterator[Chunk]) -> None:
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


def _spare_flush(session: Session, ctx: Context) -> None:
    """On PostgreSQL do not wait for the disk: a chunk that a crash takes back is read again, as the run says where."""
    if not ctx.database.is_sqlite:
        session.execute(text("SET LOCAL synchronous_commit = off"))


def _count_chunk(run: _Run, chunk: Chunk) -> Counts:
    with run.ctx.read() as session:
        counts, _ = run.apply(session, chunk.rows)
    return counts + Counts(chunk.count, refused=len(chunk.refused))


def _write_attached(run: _Run, chunk: Chunk, path: Path) -> Counts:
    """Write a chunk that lies in a file; SQLite attaches outside transactions only, so before this one begins."""
    _on_own_connection(run, "ATTACH ? AS stage", (str(path),))
    try:
        return _write_chunk(run, chunk)
    finally:
        _on_own_connection(run, "DETACH stage", ())
        path.unlink()


def _on_own_connection(run: _Run, statement: str, values: tuple[str, ...]) -> None:
    with run.ctx.database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - a connection that is open has one
        driver.execute(statement, values)


def _write_chunk(run: _Run, chunk: Chunk) -> Counts:
    """Write a chunk whole; one that met another writer (a new address in both) is tried again."""
    for attempt in range(1, _TRIES + 1):
        try:
            with run.ctx.write() as session:
                _spare_flush(session, run.ctx)
                counts, refused = _apply(run, session, chunk)
                counts += Counts(chunk.count, refused=len(chunk.refused))
                _record_progress(session, run, counts, [*chunk.refused, *refused])
        except (IntegrityError, OperationalError):
            if attempt == _TRIES:
                raise
        else:
            return counts
    raise AssertionError("unreachable")


def _apply(run: _Run, session: Session, chunk: Chunk) -> tuple[Counts, list[Refused]]:
    if chunk.staged is not None and run.apply_staged is not None:
        return run.apply_staged(session, chunk.staged, chunk.rows)
    return run.apply(session, chunk.rows)


def _record_progress(session: Session, run: _Run, done: Counts, refused: Sequence[Refused]) -> None:
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


def _close_run(run: _Run, status: ImportStatus, error: str) -> None:
    if run.import_id is None:
        return
    with run.ctx.write() as session:
        row = session.get_one(ImportRun, run.import_id)
        row.status, row.error = status.value, error[:1000]
        row.finished_at = utc_now() if status is ImportStatus.DONE else None

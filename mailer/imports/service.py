"""Imports of files: look at one, run it, or only count what it would do (FEATURES K3, C7)."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent.bulk import ImportTerms
from mailer.consent.expiry import find_end
from mailer.consent.queries import get_topic
from mailer.context import Context
from mailer.errors import InputError, Problem
from mailer.imports.apply import ActivityJob, ContactJob, apply_activities, apply_contacts, apply_staged
from mailer.imports.check import ActivityChecker, ContactChecker, OwnField
from mailer.imports.mapping import ACTIVITY_FIELDS, CONTACT_FIELDS, Columns, map_columns
from mailer.imports.overlay import Overlay
from mailer.imports.plan import Counts
from mailer.imports.read import TableFile, iter_rows, open_table
from mailer.imports.run import Progress, Run, make_run, open_run, run_to_end
from mailer.schema.accounts import Staff
from mailer.schema.contacts import ContactField
from mailer.schema.imports import ImportRun
from mailer.statuses import Basis, FieldType
from mailer.workspace.queries import get_workspace


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
    run_row = None if is_dry_run else open_run(ctx, "contacts", table, wanted, options.by)
    with closing(Overlay()) if is_dry_run else nullcontext() as overlay:
        job = ContactJob(terms, ctx.keys.suppression, utc_now(), run_row.id if run_row else None, overlay)
        run = make_run(ctx, table, checker, lambda session, rows: apply_contacts(session, rows, job), run_row, progress)
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
    run_row = None if is_dry_run else open_run(ctx, "activities", table, wanted, by)
    job = ActivityJob(utc_now(), run_row.id if run_row else None, is_dry=is_dry_run)
    run = make_run(ctx, table, checker, lambda session, rows: apply_activities(session, rows, job), run_row, progress)
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


def _finish(run: Run, columns: Columns, started: float) -> ImportResult:
    run_to_end(run)
    refused_file = run.refusals.path if run.refusals else ""
    return ImportResult(run.import_id, run.counts, refused_file, columns.ignored, time.monotonic() - started)

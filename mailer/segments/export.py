"""The members of a segment as a file: every field, company, owner and tags; read page by page, memory stays flat."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.contacts.columns import PLAIN_COLUMNS
from mailer.contacts.queries import list_fields
from mailer.contacts.tagging import find_tags
from mailer.context import Context
from mailer.errors import InputError
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Address, Company, Contact
from mailer.schema.segments import Segment
from mailer.segments.chosen import business_day, is_among, iter_pages
from mailer.segments.queries import count_members, members_select
from mailer.segments.sheet import MAX_ROWS, Cell, write_workbook

_PAGE = 1_000
_FIRST = ("id", "email", "external_id", *PLAIN_COLUMNS, "company", "owner", "tags")


def export_csv(ctx: Context, segment: Segment, *, by: int | None = None) -> Iterator[bytes]:
    """Return the bytes of a CSV file in UTF-8; no spreadsheet takes a cell for a formula. Leaves an audit line."""
    heading = _begin(ctx, segment, "csv", by)
    return _csv(ctx, segment, heading)


def export_workbook(ctx: Context, segment: Segment, *, by: int | None = None) -> Iterator[bytes]:
    """Return the bytes of an .xlsx file. Leaves an audit line.

    Raises:
        InputError: more members than a sheet has rows.
    """
    with ctx.read() as session:
        if count_members(session, segment, business_day(ctx, session), seconds=None) >= MAX_ROWS:
            raise InputError(f"a sheet holds {MAX_ROWS - 1:,} contacts at most", where="kind", mend="export CSV")
    heading = _begin(ctx, segment, "xlsx", by)
    return write_workbook(heading, _rows(ctx, segment, heading))


def _begin(ctx: Context, segment: Segment, kind: str, by: int | None) -> Sequence[str]:
    with ctx.write() as session:
        record_audit(session, "segments.export", by=by, subject=("segment", segment.id), detail={"file": kind})
        return [*_FIRST, *(field.key for field in list_fields(session))]


def _csv(ctx: Context, segment: Segment, heading: Sequence[str]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(heading)
    for row in _rows(ctx, segment, heading):
        writer.writerow([_plain(cell) for cell in row])
        if buffer.tell() > 64 * 1024:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _plain(cell: Cell) -> Cell:
    """Return a cell so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _rows(ctx: Context, segment: Segment, heading: Sequence[str]) -> Iterator[list[Cell]]:
    keys = heading[len(_FIRST) :]
    with ctx.read() as session:
        members = members_select(session, segment, business_day(ctx, session)).order_by(Contact.id)
        for ids in iter_pages(session, members, size=_PAGE):
            yield from _read_page(session, ids, keys)


def _read_page(session: Session, ids: Sequence[int], keys: Sequence[str]) -> Iterator[list[Cell]]:
    tags = find_tags(session, ids)
    plain = [getattr(Contact, name) for name in PLAIN_COLUMNS]
    columns: Any = (Contact.id, Address.email, Contact.external_id, *plain, Company.name, Staff.email, Contact.data)
    rows = session.execute(
        select(*columns)
        .outerjoin(Address, Address.id == Contact.address_id)
        .outerjoin(Company, Company.id == Contact.company_id)
        .outerjoin(Staff, Staff.id == Contact.owner_id)
        .where(is_among(session, Contact.id, ids))
        .order_by(Contact.id)
    )
    for *cells, data in rows:
        yield [*cells, ", ".join(sorted(tags.get(cells[0], ()))), *(_cell(data.get(key)) for key in keys)]


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if value is None or isinstance(value, int | float) else str(value)

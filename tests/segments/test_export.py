"""Members of a segment as a file: every field, no formula, written while it is read."""

import io
import zipfile
from typing import Any

from openpyxl import load_workbook
from sqlalchemy import update

from mailer.contacts.service import create_field
from mailer.context import Context
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment
from mailer.segments import sheet
from mailer.segments.export import export_csv, export_workbook
from mailer.statuses import BulkKind, FieldType
from tests.segments.tasks import do


def test_export_has_every_field_and_no_formula(ctx: Context, people: list[int], everybody: Segment) -> None:
    create_field(ctx, "shoe", "Shoe", FieldType.NUMBER)
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == people[0]).values(data={"shoe": 42}, last_name="=1+1"))
    do(ctx, everybody, BulkKind.ADD_TAG, tag="fair")

    lines = b"".join(export_csv(ctx, everybody)).decode().splitlines()
    book = b"".join(export_workbook(ctx, everybody))
    rows = list(load_workbook(io.BytesIO(book)).active.values)

    assert len(lines) == len(rows) == 10
    assert "'=1+1" in lines[1]
    heading = list(rows[0])
    assert heading[:3] == ["id", "email", "external_id"]
    assert rows[1][heading.index("last_name")] == "=1+1"
    assert rows[1][heading.index("shoe")] == 42
    assert rows[1][heading.index("tags")] == "fair"


def test_workbook_is_written_while_it_is_read() -> None:
    taken = []

    def rows() -> Any:
        for at in range(50_000):
            taken.append(at)
            yield [at, f"Name <{at}> & \x00", None, 1.5]

    stream = sheet.write_workbook(["id", "name", "nothing", "number"], rows())
    first = next(stream)
    assert len(taken) < 20_000
    book = io.BytesIO(first + b"".join(stream))

    assert zipfile.ZipFile(book).testzip() is None
    values = list(load_workbook(book, read_only=True).active.values)
    assert len(values) == 50_001
    assert values[2] == (1, "Name <1> &  ", None, 1.5)

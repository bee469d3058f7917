"""Files that wait between the steps of the wizard: kept in the data folder, one folder each, and looked into."""

import uuid
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mailer.contacts.queries import list_fields
from mailer.context import Context
from mailer.errors import NotFoundError
from mailer.imports.mapping import CONTACT_FIELDS, map_columns
from mailer.imports.read import iter_rows, open_table

SHOWN_ROWS = 5


@dataclass(frozen=True)
class Head:
    """The columns of a file with the field that each maps to by its name, and the first rows."""

    header: tuple[str, ...]
    guessed: tuple[str, ...]
    rows: list[list[str]]
    estimated_rows: int


def make_upload(ctx: Context, file_name: str) -> tuple[uuid.UUID, Path]:
    """Return a new key and the path where the file is to be written; only this user may read it."""
    key = uuid.uuid4()
    folder = _folder(ctx, key)
    folder.mkdir(parents=True, mode=0o700)
    return key, folder / (file_name or "upload.csv")


def find_upload(ctx: Context, key: uuid.UUID) -> Path:
    """Return the file that was kept under `key`; NotFoundError where it is gone."""
    folder = _folder(ctx, key)
    found = next(iter(sorted(folder.iterdir())), None) if folder.is_dir() else None
    if found is None:
        raise NotFoundError("the file is no longer here", mend="upload it again")
    return found


def read_head(ctx: Context, path: Path) -> Head:
    """Return how a file of contacts begins; InputError where it is no table."""
    table = open_table(path)
    with ctx.read() as session:
        own = {field.key: field.label for field in list_fields(session)}
    columns = map_columns(table.header, fields=CONTACT_FIELDS, own_fields=own, chosen={})
    rows = [row for row in islice(iter_rows(table), SHOWN_ROWS) if isinstance(row, list)]
    return Head(table.header, tuple(field or "" for field in columns.fields), rows, table.estimated_rows)


def _folder(ctx: Context, key: uuid.UUID) -> Path:
    return ctx.settings.data_dir / "uploads" / str(key)

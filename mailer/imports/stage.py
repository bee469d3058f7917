"""A chunk of checked rows as a database takes it quickest: made by the process that checks, for the one that applies.

SQLite takes rows from an attached file in half the time of rows from a program; PostgreSQL takes the text of a COPY.
Staged are the rows that can be written by SQL alone: those with an address that comes for the first time in the chunk
and without an external id. `n` is the place of a row in the chunk, from 1.
"""

import marshal
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mailer.contacts.columns import STAGE_COLUMNS
from mailer.ids import new_ledger_ids, new_public_ids
from mailer.imports.check import ContactRow

_NULL = "\\N"


class Staged(NamedTuple):
    """The staged rows of a chunk: a file at `path`, or the text of two copies; `apart` are places of the others."""

    path: str
    rows: bytes
    tags: bytes
    height: int
    apart: list[int]


def stage_file(path: Path, rows: Sequence[ContactRow]) -> Staged:
    """Write a new SQLite file at `path`."""
    plain, apart = _split(rows)
    store = sqlite3.connect(path, isolation_level=None)
    try:
        store.execute("PRAGMA journal_mode=OFF")
        store.execute("PRAGMA synchronous=OFF")
        store.execute(f"CREATE TABLE stage_row (n INTEGER PRIMARY KEY, {', '.join(STAGE_COLUMNS[1:])})")
        store.execute("CREATE TABLE stage_tag (n INTEGER, name TEXT, PRIMARY KEY (n, name)) WITHOUT ROWID")
        store.execute("BEGIN")
        marks = ", ".join("?" * len(STAGE_COLUMNS))
        store.executemany(f"INSERT INTO stage_row VALUES ({marks})", _iter_file_values(plain))  # noqa: S608 - our names
        store.executemany("INSERT INTO stage_tag VALUES (?, ?)", _iter_tags(plain))
        store.execute("COMMIT")
    finally:
        store.close()
    return Staged(str(path), b"", b"", len(plain), apart)


def stage_copy(rows: Sequence[ContactRow]) -> Staged:
    """Return the rows as PostgreSQL's COPY reads them (text format)."""
    plain, apart = _split(rows)
    tags = "".join([f"{number}\t{_escaped(name)}\n" for number, name in _iter_tags(plain)])
    return Staged("", "".join(_iter_copy_lines(plain)).encode(), tags.encode(), len(plain), apart)


def pack_row(row: ContactRow) -> bytes:
    """Return a row as it travels between our processes."""
    return marshal.dumps(tuple(row))


def read_row(data: bytes) -> ContactRow:
    """Return a row as `pack_row` wrote it."""
    return ContactRow._make(marshal.loads(data))  # noqa: S302 - our own child wrote it


def _split(rows: Sequence[ContactRow]) -> tuple[list[tuple[int, ContactRow]], list[int]]:
    seen: set[str] = set()
    plain: list[tuple[int, ContactRow]] = []
    apart: list[int] = []
    for number, row in enumerate(rows, 1):
        email = row.email
        if email and not row.external_id and email not in seen:
            plain.append((number, row))
        else:
            apart.append(number)
        seen.add(email)
    return plain, apart


def _iter_file_values(rows: Sequence[tuple[int, ContactRow]]) -> Iterator[tuple[object, ...]]:
    for (number, row), ledger_id, public in _with_ids(rows):
        email, domain, provider, email_hash, _, plain, owner_id, company, _, data, _ = row
        yield (number, ledger_id, public, email_hash, owner_id or None, email, domain, provider, *plain, company, data)


def _iter_copy_lines(rows: Sequence[tuple[int, ContactRow]]) -> Iterator[str]:
    tabs = len(STAGE_COLUMNS) - 6  # between the texts behind the first five columns
    for (number, row), ledger_id, public in _with_ids(rows):
        email, domain, provider, email_hash, _, plain, owner_id, company, _, data, _ = row
        texts = (email, domain, provider, *plain, company, data)
        joined = "\t".join(texts)
        if "\\" in joined or "\n" in joined or "\r" in joined or joined.count("\t") != tabs:
            joined = "\t".join(map(_escaped, texts))
        yield f"{number}\t{ledger_id}\t{public}\t\\\\x{email_hash.hex()}\t{owner_id or _NULL}\t{joined}\n"


def _with_ids(rows: Sequence[tuple[int, ContactRow]]) -> Iterable[tuple[tuple[int, ContactRow], int, str]]:
    return zip(rows, new_ledger_ids(len(rows)), new_public_ids(len(rows)), strict=True)


def _iter_tags(rows: Sequence[tuple[int, ContactRow]]) -> Iterator[tuple[int, str]]:
    return ((number, name) for number, row in rows for name in row.tags)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")

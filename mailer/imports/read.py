"""Tables out of files: CSV of any delimiter and encoding (RFC 4180 read generously), XLSX, XLS and ODS.

Rows come one by one, so memory does not grow with a CSV. A file that is no table is refused with a word for what it is.
"""

import codecs
import csv
import hashlib
import itertools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TextIO

from python_calamine import CalamineError, CalamineWorkbook

from mailer.errors import InputError

MAX_COLUMNS = 1000
MAX_CELL = 100_000
_SHOWN = 200
MAX_UNPACKED = 1_000_000_000
_SAMPLE = 262_144
_DELIMITERS = (";", "\t", ",", "|")
_MAGIC = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x1f\x8b": "a compressed file",
    b"BZh": "a compressed file",
    b"\xfd7zXZ": "a compressed file",
    b"7z\xbc\xaf": "a compressed file",
    b"Rar!": "a compressed file",
    b"SQLite format 3": "a database",
    b"\x7fELF": "a program",
    b"MZ": "a program",
}
_MEND = "save it as CSV or XLSX"
_TEXT_CONTROLS = bytes(set(range(32)) - {9, 10, 12, 13, 27})


@dataclass(frozen=True)
class TableFile:
    """A file that is a table: how to read it, its header, and about how many rows it has."""

    path: Path
    kind: str
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    estimated_rows: int
    digest: str


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read at all."""

    reason: str


def open_table(path: Path) -> TableFile:
    """Look at a file and return how to read it.

    Raises:
        InputError: not there, empty, no table, or without a header.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SAMPLE)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", mend="check the path") from error
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise InputError(f"{path.name} is empty")
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"{path.name} is {name}, not a table", mend=_MEND)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return _open_workbook(path, is_zip=head.startswith(b"PK"))
    return _open_text(path, head)


def iter_rows(table: TableFile) -> Iterator[list[str] | BadRow]:
    """Yield every row behind the header that is not blank; cells are stripped."""
    rows = _iter_workbook(table.path) if table.kind == "workbook" else _iter_text(table)
    next(rows, None)
    for row in rows:
        if isinstance(row, BadRow) or any(row):
            yield row


# ------------------------------------------------------------------ text


def _open_text(path: Path, head: bytes) -> TableFile:
    encoding, lines, digest = _scan(path, head)
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    if encoding != "cp1252" or not any(head.count(code) for code in _TEXT_CONTROLS):
        delimiter = _guess_delimiter(text)
    else:
        raise InputError(f"{path.name} is a binary file, not a table", mend=_MEND)
    draft = TableFile(path, "text", encoding, delimiter, (), max(0, lines - 1), digest)
    first = next(_iter_text(draft), BadRow("the file has no rows"))
    if isinstance(first, BadRow):
        raise InputError(f"the header cannot be read: {first.reason}", where=path.name)
    return TableFile(path, "text", encoding, delimiter, _checked_header(first), max(0, lines - 1), digest)


def _scan(path: Path, head: bytes) -> tuple[str, int, str]:
    """Return encoding, number of line ends and digest in one pass over the file."""
    encoding = _bom_encoding(head)
    decoder = None if encoding else codecs.getincrementaldecoder("utf-8")()
    digest = hashlib.blake2b(digest_size=32)
    lines = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            lines += max(chunk.count(b"\n"), chunk.count(b"\r"))
            if decoder is not None:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    decoder, encoding = None, "cp1252"
    return encoding or "utf-8", lines, digest.hexdigest()


def _bom_encoding(head: bytes) -> str | None:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return name
    sample = head[:400]
    if len(sample) > 20 and sample[1::2].count(0) > len(sample) // 3:  # noqa: PLR2004 - enough to judge by
        return "utf-16-le"
    if len(sample) > 20 and sample[0::2].count(0) > len(sample) // 3:  # noqa: PLR2004 - enough to judge by
        return "utf-16-be"
    return None


def _guess_delimiter(text: str) -> str:
    """Return the delimiter that splits the first rows into the most columns, all of the same number."""
    lines = text.splitlines(keepends=True)[:30]
    if len(text) > _SAMPLE // 2 and len(lines) > 1:
        lines.pop()

    def score(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return (0, 0)
        if not widths or widths[0] == 1:
            return (0, 0)
        return (widths.count(widths[0]) / len(widths), widths[0])

    best = max(_DELIMITERS, key=score)
    return best if score(best) > (0, 0) else ","


def _iter_text(table: TableFile) -> Iterator[list[str] | BadRow]:
    csv.field_size_limit(MAX_CELL)
    with table.path.open(encoding=table.encoding, errors="replace", newline="") as file:
        reader = csv.reader(_without_nul(file), delimiter=table.delimiter)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(_csv_reason(error))
                continue
            if len(row) > MAX_COLUMNS:
                yield BadRow(f"the row has more than {MAX_COLUMNS} columns")
                continue
            whole = "".join(row)
            if "\n" in whole and (swallowed := _find_swallowed(row, table)):
                yield BadRow(f"a quotation mark is not closed, so that other rows stand in its cell: {swallowed}")
                continue
            cells = list(map(str.strip, row))
            yield list(map(_unguard, cells)) if "'" in whole else cells


def _find_swallowed(row: list[str], table: TableFile) -> str:
    """Return a line inside a cell that is a whole row by itself, with an address in it; empty where there is none."""
    breaks = len(table.header) - 1
    lines = (line for cell in row if "\n" in cell for line in cell.splitlines()[1:])
    found = (line for line in lines if breaks and "@" in line and line.count(table.delimiter) >= breaks)
    return next(found, "")[:_SHOWN]


def _csv_reason(error: csv.Error) -> str:
    if "field larger" in str(error):
        return f"a cell has more than {MAX_CELL:,} characters; a quotation mark may not be closed"
    return f"the row cannot be read: {error}"


def _without_nul(file: TextIO) -> Iterator[str]:
    """Yield lines without NUL; a line longer than any row may be comes in pieces."""
    while line := file.readline(MAX_CELL * 4):
        yield line.replace("\0", "").lstrip("\ufeff")


def _unguard(cell: str) -> str:
    """Return a cell as it was before a formula guard was put on it."""
    return cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in "=+-@" else cell


# ------------------------------------------------------------------ workbooks


def _open_workbook(path: Path, *, is_zip: bool) -> TableFile:
    if is_zip:
        _refuse_bomb(path)
    rows = _iter_workbook(path)
    first = next(rows, [])
    header = _checked_header(first)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    return TableFile(path, "workbook", "", "", header, _workbook_height(path) - 1, digest)


def _refuse_bomb(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [item.filename for item in archive.infolist()]
            size = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{path.name} is a damaged workbook", mend="save it again") from error
    if not any(name.startswith("xl/") or name == "content.xml" for name in names):
        raise InputError(f"{path.name} is an archive, not a table", mend=_MEND)
    if size > MAX_UNPACKED:
        raise InputError(f"{path.name} unpacks to {size // 1_000_000:,} MB", mend="save it as CSV")


def _sheet(path: Path) -> Any:
    try:
        return CalamineWorkbook.from_path(path).get_sheet_by_index(0)
    except (CalamineError, OSError, ValueError, IndexError) as error:
        raise InputError(f"{path.name} is a workbook that cannot be read: {error}", mend="save it again") from error


def _workbook_height(path: Path) -> int:
    return int(_sheet(path).height)


def _iter_workbook(path: Path) -> Iterator[list[str]]:
    for row in _sheet(path).iter_rows():
        yield [_cell_text(cell) for cell in row]


def _cell_text(cell: object) -> str:
    match cell:
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer():
            return str(int(cell))
        case datetime() if cell.time() == time(0):
            return cell.date().isoformat()
        case datetime() | date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case _:
            return _unguard(str(cell).strip())


# ------------------------------------------------------------------ header


def _checked_header(row: "list[str] | BadRow") -> tuple[str, ...]:
    header = () if isinstance(row, BadRow) else tuple(row)
    while header and not header[-1]:
        header = header[:-1]
    if not header:
        raise InputError("the first row must hold the names of the columns")
    if len(header) > MAX_COLUMNS:
        raise InputError(f"the file has {len(header)} columns; at most {MAX_COLUMNS} are read")
    if any("@" in name and "." in name for name in header):
        raise InputError("the first row holds an address, not the names of the columns", mend="add a row of names")
    return header


def take(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of at most `size` items."""
    while chunk := list(itertools.islice(rows, size)):
        yield chunk

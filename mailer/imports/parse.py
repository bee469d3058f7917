"""The checked rows of a file in chunks, for large files from a process of its own beside the one that writes.

The child gets its orders on stdin and answers on stdout, each answer with its length in front: plain tuples, so that
handing over costs less than checking. It is started afresh rather than forked, since its parent may have threads.
"""

import itertools
import marshal
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from mailer.assets import PACKAGE_DIR
from mailer.errors import InputError
from mailer.imports.check import ActivityChecker, ActivityRow, ContactChecker, ContactRow, Refused, RowError
from mailer.imports.read import BadRow, TableFile, iter_rows, take

PROCESS_FROM = 5_000
"""Rows from which a process of its own is worth its start."""

Checker = ContactChecker | ActivityChecker
_LENGTH = struct.Struct(">I")
_CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from mailer.imports.parse import run_child; run_child()"


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file in order: how many there were, the valid ones, the refused ones."""

    count: int
    rows: list[Any]
    refused: list[Refused]


def iter_chunks(table: TableFile, checker: Checker, *, size: int, skip: int = 0) -> Iterator[Chunk]:
    """Yield checked chunks of at most `size` rows, beginning behind the first `skip` rows."""
    rows = itertools.islice(iter_rows(table), skip, None)
    for part in take(rows, size):
        yield _check(part, checker)


def _check(part: list[list[str] | BadRow], checker: Checker) -> Chunk:
    valid: list[Any] = []
    refused: list[Refused] = []
    for cells in part:
        if isinstance(cells, BadRow):
            refused.append(Refused((), cells.reason))
            continue
        try:
            valid.append(checker.check(cells))
        except RowError as error:
            refused.append(Refused(tuple(cells), str(error)))
    return Chunk(len(part), valid, refused)


@contextmanager
def open_chunks(table: TableFile, checker: Checker, *, size: int, skip: int = 0) -> Iterator[Iterator[Chunk]]:
    """Yield the chunks of a file; from a process of its own where that is worth it."""
    if table.estimated_rows - skip < PROCESS_FROM:
        yield iter_chunks(table, checker, size=size, skip=skip)
        return
    command = [sys.executable, "-c", _CHILD, str(PACKAGE_DIR.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None  # noqa: S101 - it is a pipe
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        try:
            child.stdin.write(pickle.dumps((table, checker, size, skip)))
            child.stdin.close()
            yield _iter_answers(child.stdout, ContactRow if isinstance(checker, ContactChecker) else ActivityRow)
        finally:
            child.kill()


def run_child() -> None:
    """Answer the orders on stdin: the child's side."""
    table, checker, size, skip = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - our own parent wrote it
    try:
        for chunk in iter_chunks(table, checker, size=size, skip=skip):
            rows = [tuple(row) for row in chunk.rows]
            _answer((chunk.count, rows, [tuple(row) for row in chunk.refused]))
        _answer(None)
    except InputError as error:
        _answer(str(error))
    except BrokenPipeError:
        sys.stderr.close()  # the parent stopped, and knows why


def _answer(value: Any) -> None:
    data = marshal.dumps(value)
    sys.stdout.buffer.write(_LENGTH.pack(len(data)) + data)
    sys.stdout.buffer.flush()


def _iter_answers(pipe: IO[bytes], row_type: type[ContactRow] | type[ActivityRow]) -> Iterator[Chunk]:
    while True:
        head = pipe.read(_LENGTH.size)
        data = pipe.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
        if not data:
            raise InputError("the file could not be read to its end", mend="run the import again; it goes on")
        answer = marshal.loads(data)  # noqa: S302 - our own child wrote it
        if answer is None:
            return
        if isinstance(answer, str):
            raise InputError(answer)
        count, rows, refused = answer
        yield Chunk(count, [row_type._make(row) for row in rows], [Refused(*row) for row in refused])

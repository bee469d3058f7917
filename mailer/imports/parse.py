"""The checked rows of a file in chunks, for large files from a process of its own beside the one that writes.

The child gets its orders on stdin and answers on stdout, each answer with its length in front: plain tuples, so that
handing over costs less than checking. It is started afresh rather than forked, since its parent may have threads.
"""

import contextlib
import gc
import itertools
import marshal
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mailer.assets import PACKAGE_DIR
from mailer.errors import InputError
from mailer.imports.check import ActivityChecker, ActivityRow, ContactChecker, ContactRow, Refused, RowError
from mailer.imports.read import BadRow, TableFile, iter_rows, take
from mailer.imports.stage import Staged, pack_row, stage_copy, stage_file

PROCESS_FROM = 5_000
"""Rows from which a process of its own is worth its start."""

Checker = ContactChecker | ActivityChecker
_LENGTH = struct.Struct(">I")
_AHEAD = 3
"""Chunks that the child may be ahead."""
_MEANWHILE = 2
"""Chunks that are checked here while the child starts."""
COPY = "copy"
"""Stage chunks as text for PostgreSQL."""
_CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from mailer.imports.parse import run_child; run_child()"


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file in order: how many there were, the valid ones (packed where staged), the refused ones."""

    count: int
    rows: list[Any]
    refused: list[Refused]
    staged: Staged | None = None
    """The rows once more, as the database takes them; whoever gets the chunk deletes the file where it names one."""


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
def open_chunks(
    table: TableFile, checker: Checker, *, size: int, skip: int = 0, stage: Path | str | None = None
) -> Iterator[Iterator[Chunk]]:
    """Yield the chunks of a file; where it is worth it from a process of its own.

    That one stages them as files in the folder `stage`, or as text where that is `COPY`. While it starts, the first
    chunks are made here.
    """
    if table.estimated_rows - skip < PROCESS_FROM:
        yield iter_chunks(table, checker, size=size, skip=skip)
        return
    command = [sys.executable, "-c", _CHILD, str(PACKAGE_DIR.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None  # noqa: S101 - it is a pipe
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        try:
            orders = pickle.dumps((table, checker, size, skip + _MEANWHILE * size, stage))
            child.stdin.write(_LENGTH.pack(len(orders)) + orders)
            child.stdin.flush()
            kind = ContactRow if isinstance(checker, ContactChecker) else ActivityRow
            first = itertools.islice(iter_chunks(table, checker, size=size, skip=skip), _MEANWHILE)
            own = (_stage(chunk, stage, f"first-{number}") for number, chunk in enumerate(first))
            yield itertools.chain(own, _iter_answers(child.stdout, child.stdin, kind))
        finally:
            child.kill()


def _stage(chunk: Chunk, stage: Path | str | None, name: str) -> Chunk:
    """Return a chunk with its rows packed and staged, as `stage` has it; as it is where that is None."""
    if stage is None:
        return chunk
    staged = stage_file(stage / f"{name}.sqlite", chunk.rows) if isinstance(stage, Path) else stage_copy(chunk.rows)
    return Chunk(chunk.count, [pack_row(row) for row in chunk.rows], chunk.refused, staged)


def run_child() -> None:
    """Answer the orders on stdin: the child's side. Each byte that follows them asks for one more chunk."""
    gc.disable()  # rows make no cycles, and to look for some took a third of the time
    (length,) = _LENGTH.unpack(sys.stdin.buffer.read(_LENGTH.size))
    table, checker, size, skip, stage = pickle.loads(sys.stdin.buffer.read(length))  # noqa: S301 - our own parent wrote it
    try:
        for number, chunk in enumerate(iter_chunks(table, checker, size=size, skip=skip)):
            done = _stage(chunk, stage, str(number))
            staged = None if done.staged is None else tuple(done.staged)
            rows = [tuple(row) for row in done.rows] if staged is None else done.rows
            _answer((done.count, rows, [tuple(row) for row in done.refused], staged))
            if number >= _AHEAD and not sys.stdin.buffer.read(1):
                return
        _answer(None)
    except InputError as error:
        _answer(str(error))
    except BrokenPipeError:
        sys.stderr.close()  # the parent stopped, and knows why


def _answer(value: Any) -> None:
    data = marshal.dumps(value)
    sys.stdout.buffer.write(_LENGTH.pack(len(data)) + data)
    sys.stdout.buffer.flush()


def _iter_answers(
    pipe: IO[bytes], orders: IO[bytes], row_type: type[ContactRow] | type[ActivityRow]
) -> Iterator[Chunk]:
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
        count, rows, refused, staged = answer
        listed = [Refused(*row) for row in refused]
        if staged is None:
            yield Chunk(count, [row_type._make(row) for row in rows], listed)
        else:
            yield Chunk(count, rows, listed, Staged._make(staged))
        with contextlib.suppress(BrokenPipeError):  # it has nothing more to read for
            os.write(orders.fileno(), b"+")

"""The file of refused rows: what came, and behind it the reason. Cells that a spreadsheet would run are guarded.

It is written before the chunk commits; a run that goes on cuts it back to what was committed, so no row is in it twice.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailer.imports.check import Refused

REASON = "reason"
_RUNNABLE = ("=", "+", "-", "@", "\t", "\r")


class RefusalFile:
    """Rows are added in chunks; nothing exists on disk until the first one."""

    def __init__(self, path: Path, header: Sequence[str], *, size: int = 0) -> None:
        self.file = path
        self._header = tuple(header)
        self.size = size
        if path.exists():
            with path.open("r+b") as file:
                file.truncate(size)

    @property
    def path(self) -> str:
        """The path, or "" where no row was refused."""
        return str(self.file) if self.size else ""

    def add(self, rows: Iterable[Refused]) -> None:
        """Append rows."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        listed = list(rows)
        if not listed:
            return
        if not self.size:
            writer.writerow([*map(guard_cell, self._header), REASON])
        width = len(self._header)
        for row in listed:
            cells = [*row.cells, *[""] * (width - len(row.cells))][:width]
            writer.writerow([*map(guard_cell, cells), row.reason])
        data = text.getvalue().encode("utf-8", "replace")
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.file.open("ab") as file:
            file.write(data)
        self.file.chmod(0o600)
        self.size += len(data)


def guard_cell(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; reading it back takes the guard off again."""
    return f"'{cell}" if cell.startswith(_RUNNABLE) else cell

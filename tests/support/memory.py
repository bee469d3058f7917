"""Temporary files of a test run in memory, where there is room: tests commit thousands of times, and none needs a disk.

Half the time of a run was waiting for one. A folder of which nothing may be executed will not do: PostgreSQL's
programs are copied into it.
"""

import os
import tempfile
from pathlib import Path

FOLDER = Path("/dev/shm")
ROOM_BYTES = 4 * 2**30


def use_memory() -> None:
    """Have this process and its children put temporary files into memory; what TMPDIR says goes before."""
    if "TMPDIR" not in os.environ and _fits(FOLDER):
        tempfile.tempdir = os.environ["TMPDIR"] = str(FOLDER)


def _fits(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    has_room = found.f_bavail * found.f_frsize >= ROOM_BYTES
    return has_room and not found.f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK | os.X_OK)

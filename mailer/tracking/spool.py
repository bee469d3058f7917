"""The local, append-only spool of hits: what stands between a request and the database.

A writer (one a web process) appends to a segment of its own and holds a lock on it; many threads share one fdatasync.
The ingest process reads segments behind the writers and removes those that are read and whose writer is gone. A torn
tail, left by a killed writer, is nobody's hit: its request was never answered. A spool has a limit, so that an ingest
that stands still costs hits and not the disk; what could not be kept is counted in a file, for the operator to see.
"""

import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mailer.errors import ConflictError

SEGMENT_BYTES = 32 * 1024 * 1024
LIMIT_BYTES = 2 * 1024**3
_SUFFIX = ".hits"
_REFUSED = "refused"
_REFUSED_DIGITS = 20
_LOOK_AGAIN = 1.0
_READ_BYTES = 1024 * 1024


class _Turn:
    """A thread that waits for its record to be synced, or for its turn to sync for others."""

    __slots__ = ("error", "leads", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.leads = False
        self.error: OSError | None = None


class SpoolWriter:
    """Appends records; `append` returns when the record is on stable storage (unless `durable` is False).

    One thread at a time syncs, for all who wrote before it began; then it wakes them, and makes one of those who wrote
    meanwhile the next. (A plain lock around the sync makes groups of two instead of twenty.)
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = True,
        segment_bytes: int = SEGMENT_BYTES,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self._folder = folder
        self._durable = durable
        self._segment_bytes = segment_bytes
        self._limit_bytes = limit_bytes
        self._full_until = 0.0
        self._lock = threading.Lock()
        self._file = -1
        self._pid = 0
        self._size = 0
        self._is_syncing = False
        self._waiting: list[_Turn] = []

    def append(self, data: bytes, *, records: int = 1) -> None:
        """Write one record, or several.

        Raises:
            OSError: they could not be kept (a full disk or spool), and were counted; half a write is taken back.
        """
        try:
            self._append(data)
        except OSError:
            _count_refused(self._folder, records)
            raise

    def _append(self, data: bytes) -> None:
        turn = None
        with self._lock:
            if self._pid != os.getpid() or self._size >= self._segment_bytes:
                self._open_segment()
            self._write(data)
            if not self._durable:
                return
            if self._is_syncing:
                turn = _Turn()
                self._waiting.append(turn)
            self._is_syncing = True
        if turn is not None:
            turn.lock.acquire()
            if not turn.leads:
                if turn.error is not None:
                    raise turn.error
                return
        self._sync_group()

    def _sync_group(self) -> None:
        """Sync for oneself and all who wait, then pass the turn on."""
        with self._lock:
            group, self._waiting = self._waiting, []
            file = os.dup(self._file)
        error: OSError | None = None
        try:
            os.fdatasync(file)
        except OSError as caught:
            error = caught
        finally:
            os.close(file)
        with self._lock:
            following = self._waiting.pop(0) if self._waiting else None
            self._is_syncing = following is not None
        if following is not None:
            following.leads = True
            following.lock.release()
        for turn in group:
            turn.error = error
            turn.lock.release()
        if error is not None:
            raise error

    def _write(self, data: bytes) -> None:
        try:
            done = os.write(self._file, data)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        if done != len(data):
            os.ftruncate(self._file, self._size)
            raise OSError(errno.ENOSPC, "the disk took a part only")
        self._size += len(data)

    def _open_segment(self) -> None:
        """Begin a new segment, locked for as long as this process lives; an old one is synced and let go first."""
        if self._file >= 0 and self._pid == os.getpid():
            os.fdatasync(self._file)
            os.close(self._file)
        self._file, self._pid = -1, 0
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._check_limit()
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(3)}{_SUFFIX}"
        # Born under another name, so that a reader never sees it without its lock.
        draft = self._folder / f".{name}"
        self._file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        draft.rename(self._folder / name)
        _sync_folder(self._folder)
        self._size, self._pid = 0, os.getpid()

    def _check_limit(self) -> None:
        """Refuse another segment where those there take all that may be taken; looked at once a second then."""
        now = time.monotonic()
        if now >= self._full_until and spool_bytes(self._folder) + self._segment_bytes > self._limit_bytes:
            self._full_until = now + _LOOK_AGAIN
        if now < self._full_until:
            raise OSError(errno.EDQUOT, "the spool is full")

    def close(self) -> None:
        """Sync and let the segment go."""
        with self._lock:
            if self._file >= 0 and self._pid == os.getpid():
                os.fdatasync(self._file)
                os.close(self._file)
            self._file, self._pid = -1, 0


@dataclass(frozen=True)
class Segment:
    """A spool file as the reader sees it."""

    path: Path

    @property
    def name(self) -> str:
        """Unique on this host for ever."""
        return self.path.name

    def size(self) -> int:
        """Return how many bytes there are."""
        return self.path.stat().st_size

    def read(self, offset: int) -> bytes:
        """Return up to 1 MiB from `offset`; the last record in it may be torn."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(_READ_BYTES)

    def has_writer(self) -> bool:
        """Whether a live process may still append."""
        with self.path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def remove(self) -> None:
        """Delete the file: everything in it is in the database."""
        self.path.unlink(missing_ok=True)

    def set_aside(self) -> Path:
        """Keep a damaged file under a name that no reader looks at; return its path."""
        aside = self.path.with_suffix(".damaged")
        self.path.rename(aside)
        return aside


def list_segments(folder: Path) -> list[Segment]:
    """Return the segments of this host, oldest first."""
    paths = (path for path in folder.glob(f"*{_SUFFIX}") if not path.name.startswith("."))
    return [Segment(path) for path in sorted(paths)]


def spool_bytes(folder: Path) -> int:
    """Return how many bytes the segments of this host take, read or not."""
    total = 0
    for segment in list_segments(folder):
        with suppress(FileNotFoundError):  # read to its end meanwhile
            total += segment.size()
    return total


@dataclass(frozen=True)
class Refused:
    """Hits that could not be kept on this host, ever, and when the last was."""

    count: int
    last_at: datetime


def _count_refused(folder: Path, records: int) -> None:
    """Count some more in place: a file as long as ever needs no room on a full disk."""
    with suppress(OSError):
        file = os.open(folder / _REFUSED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            count = int(os.pread(file, _REFUSED_DIGITS, 0) or 0) + records
            os.pwrite(file, f"{count:0{_REFUSED_DIGITS}d}".encode(), 0)
        finally:
            os.close(file)


def find_refused(folder: Path) -> Refused | None:
    """Return what could not be kept; None where everything was."""
    path = folder / _REFUSED
    try:
        count, at = int(path.read_text(encoding="ascii") or 0), path.stat().st_mtime
    except FileNotFoundError:
        return None
    return Refused(count, datetime.fromtimestamp(at, UTC)) if count else None


def list_damaged(folder: Path) -> list[Path]:
    """Return the files that were set aside."""
    return sorted(folder.glob("*.damaged"))


def host_id(folder: Path) -> str:
    """Return the random name of this spool, made on first use: positions in the database are kept by it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "host-id"
    draft = folder / f".host-id-{secrets.token_hex(4)}"
    draft.write_text(secrets.token_hex(8), encoding="ascii")
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()


@contextmanager
def only_reader(folder: Path) -> Iterator[None]:
    """Hold the right to read this spool; ConflictError where another ingest process has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "ingest.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError("another ingest process reads this spool", mend="one is enough for a host") from error
        yield


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

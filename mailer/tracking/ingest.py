"""The ingest process of a host: moves the spool into the database, in order, exactly once (`mailer run ingest`)."""

import gc
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from mailer.context import Context
from mailer.errors import ConflictError
from mailer.log import get_logger
from mailer.tracking import service
from mailer.tracking.queries import positions_of_host
from mailer.tracking.records import DamagedRecordError, RawHit, iter_hits
from mailer.tracking.spool import Refused, Segment, find_refused, host_id, list_damaged, list_segments, only_reader

log = get_logger("tracking")
PAGE_HITS = 4_000
"""Of hits in one transaction; an eighth of it on SQLite, where nobody else may write meanwhile."""
_IDLE_SECONDS = 0.2
_REST_SECONDS = 2.0
_NEW_OBJECTS = 200_000


def ingest_once(ctx: Context) -> int:
    """Take in everything that is in the spool now; return how many hits were read. One reader a host at a time."""
    folder = ctx.settings.spool_dir
    host = host_id(folder)
    return sum(_ingest_segment(ctx, host, segment) for segment in list_segments(folder))


def _ingest_segment(ctx: Context, host: str, segment: Segment) -> int:
    is_final = not segment.has_writer()  # asked first: what is read afterwards is all there will ever be
    offset = service.position_of(ctx, host, segment.name)
    done = 0
    try:
        limit = max(1, PAGE_HITS // 8) if ctx.database.is_sqlite else PAGE_HITS
        while page := _read_page(segment, offset, limit):
            hits, end = page
            service.take_in(ctx, hits, host=host, file=segment.name, start=offset, end=end)
            offset, done = end, done + len(hits)
    except DamagedRecordError as error:
        log.warning("spool_file_damaged", file=segment.set_aside().name, offset=offset, where=str(error))
        return done
    if is_final:
        segment.remove()
        service.forget_file(ctx, host, segment.name)
    return done


def _read_page(segment: Segment, offset: int, limit: int) -> tuple[list[RawHit], int] | None:
    """Return up to `limit` hits from `offset` and where they end; None where there is no whole record."""
    hits: list[RawHit] = []
    end = 0
    try:
        for hit, after in iter_hits(segment.read(offset)):
            hits.append(hit)
            end = after
            if len(hits) == limit:
                break
    except DamagedRecordError:
        if not hits:
            raise
    return (hits, offset + end) if hits else None


@dataclass(frozen=True)
class SpoolState:
    """How far behind the ingest of this host is: bytes that wait, since when the oldest hit does, what was lost."""

    waiting_bytes: int
    oldest_at: datetime | None
    refused: Refused | None
    damaged: Sequence[Path]


def look_at_spool(ctx: Context) -> SpoolState:
    """Return how far behind the ingest of this host is."""
    folder = ctx.settings.spool_dir
    if not folder.is_dir():
        return SpoolState(0, None, None, [])
    with ctx.read() as session:
        positions = positions_of_host(session, host_id(folder))
    waiting, times = 0, []
    for segment in list_segments(folder):
        offset = positions.get(segment.name, 0)
        with suppress(FileNotFoundError, DamagedRecordError):  # read to its end meanwhile; or set aside in a moment
            waiting += segment.path.stat().st_size - offset
            first = next(iter_hits(segment.read(offset)), None)
            times += [first[0].at] if first else []
    oldest_at = datetime.fromtimestamp(min(times), UTC) if times else None
    return SpoolState(waiting, oldest_at, find_refused(folder), list_damaged(folder))


def run_ingest(ctx: Context, *, ready: Callable[[], None] | None = None) -> None:
    """Ingest until SIGTERM or SIGINT. A database that is away costs nothing but time.

    Raises:
        ConflictError: another ingest process reads this spool.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with only_reader(ctx.settings.spool_dir):
        settle_memory()
        if ready is not None:
            ready()
        ingest_until(ctx, stop)


def settle_memory() -> None:
    """Have Python look for cycles less often: a page's rows hold none, and looking took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


def ingest_until(ctx: Context, stop: threading.Event) -> None:
    """Ingest again and again until `stop` is set."""
    while not stop.is_set():
        try:
            rest = 0.0 if ingest_once(ctx) else _IDLE_SECONDS
        except (SQLAlchemyError, OSError, ConflictError) as error:
            log.warning("ingest_waits", error=type(error).__name__)
            rest = _REST_SECONDS
        stop.wait(rest)

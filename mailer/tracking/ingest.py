"""The ingest process of a host: moves the spool into the database, in order, exactly once (`mailer run ingest`)."""

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from mailer.context import Context
from mailer.errors import ConflictError
from mailer.heap import look_for_cycles_after
from mailer.log import get_logger
from mailer.tracking import service
from mailer.tracking.lanes import Lane, list_lanes, reached_by_all
from mailer.tracking.records import DamagedRecordError, RawHit, iter_hits, iter_records
from mailer.tracking.spool import Refused, Segment, find_refused, host_id, list_damaged, list_segments, only_reader

log = get_logger("tracking")
PAGE_HITS = 4_000
"""Of hits in one transaction; an eighth of it on SQLite, where nobody else may write meanwhile."""
_IDLE_SECONDS = 0.2
_REST_SECONDS = 2.0
NEW_OBJECTS = 200_000


def ingest_once(ctx: Context) -> int:
    """Take in everything that is in the spool now; return how many hits were read. One reader a host at a time."""
    folder = ctx.settings.spool_dir
    host = host_id(folder)
    positions = service.positions_of(ctx, host)
    return sum(_ingest_segment(ctx, host, segment, positions) for segment in list_segments(folder))


def _ingest_segment(ctx: Context, host: str, segment: Segment, positions: Mapping[str, int]) -> int:
    is_final = not segment.has_writer()  # asked first: what is read afterwards is all there will ever be
    done, damage = 0, ""
    if reached_by_all(list_lanes(is_sqlite=ctx.database.is_sqlite), positions, segment.name) < segment.size():
        done, damage = _run_lanes(ctx, host, segment, positions)
    if damage:
        log.warning("spool_file_damaged", file=segment.set_aside().name, where=damage)
    elif is_final:
        service.settle_file(ctx, host, segment.name)
        segment.remove()
        service.forget_file(ctx, host, segment.name)
    return done


def _run_lanes(ctx: Context, host: str, segment: Segment, positions: Mapping[str, int]) -> tuple[int, str]:
    """Take in what there is for all lanes, side by side; return how many hits, and where one found damage."""
    lanes = list_lanes(is_sqlite=ctx.database.is_sqlite)
    with ThreadPoolExecutor(len(lanes), "ingest") as pool:
        runs = [pool.submit(_run_lane, ctx, host, segment, lane, positions) for lane in lanes]
    results = [run.result() for run in runs]
    return sum(done for done, _ in results), next((damage for _, damage in results if damage), "")


def _run_lane(ctx: Context, host: str, segment: Segment, lane: Lane, positions: Mapping[str, int]) -> tuple[int, str]:
    """Take in what there is for one lane; return how many hits, and where there is damage, if any."""
    offset, place = lane.reached(positions, segment.name), lane.place(segment.name)
    limit = max(1, PAGE_HITS // 8) if ctx.database.is_sqlite else PAGE_HITS
    done = 0
    try:
        while page := _read_page(segment, offset, limit, lane):
            hits, end = page
            service.take_in(ctx, hits, host=host, place=place, start=offset, end=end)
            offset, done = end, done + len(hits)
    except DamagedRecordError as error:
        return done, f"behind byte {offset}: {error}"
    return done, ""


def _read_page(segment: Segment, offset: int, limit: int, lane: Lane) -> tuple[list[RawHit], int] | None:
    """Return up to `limit` hits from `offset` and where they end; None where there is no whole record."""
    hits: list[RawHit] = []
    end = 0
    try:
        for hit, after in iter_records(segment.read(offset), lane):
            end = after
            if hit is not None:
                hits.append(hit)
                if len(hits) == limit:
                    break
    except DamagedRecordError:
        if not end:
            raise
    return (hits, offset + end) if end else None


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
    positions, lanes = service.positions_of(ctx, host_id(folder)), list_lanes(is_sqlite=ctx.database.is_sqlite)
    waiting, times = 0, []
    for segment in list_segments(folder):
        offset = reached_by_all(lanes, positions, segment.name)
        with suppress(FileNotFoundError, DamagedRecordError):  # read to its end meanwhile; or set aside in a moment
            waiting += segment.size() - offset
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
        look_for_cycles_after(NEW_OBJECTS)
        if ready is not None:
            ready()
        ingest_until(ctx, stop)


def ingest_until(ctx: Context, stop: threading.Event) -> None:
    """Ingest again and again until `stop` is set."""
    while not stop.is_set():
        try:
            rest = 0.0 if ingest_once(ctx) else _IDLE_SECONDS
        except (SQLAlchemyError, OSError, ConflictError) as error:
            log.warning("ingest_waits", error=type(error).__name__)
            rest = _REST_SECONDS
        stop.wait(rest)

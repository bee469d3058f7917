"""Hits from the spool into the database: judged, told to delivery, counted; beside it plain ORM rows, one commit a hit.

`python -m bench.ingest [--database URL|postgresql] [--size N]`. Two in three hits are opens, of people,
proxies and scanners; the others are clicks; each mail has two hits. The last line is as in docs/reference (Benchmarks).
"""

import argparse
import random
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from sqlalchemy import event, select, text

from bench.rig import make_context, open_database, peak_rss_mb, print_line
from bench.segments_data import fill
from mailer import tokens
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import Database, stored_instant
from mailer.heap import look_for_cycles_after
from mailer.schema.consent import Topic
from mailer.schema.delivery import Event, Message
from mailer.schema.tracking import Hit
from mailer.statuses import EventKind, HitClass
from mailer.tracking.ingest import NEW_OBJECTS, ingest_once
from mailer.tracking.records import GET, HEAD, RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter
from tests.support.make import make_sending

REFERENCE_HITS = 2_000
HITS_A_MAIL = 2
_BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{0}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SM-S9{0}B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{0}.0.0.0 Mobile Safari",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_{0} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E{0}",
)
AGENTS = (
    *(browser.format(version) for version in range(40, 140) for browser in _BROWSERS),
    *("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",) * 100,
    *("Mozilla/5.0",) * 150,
    *("Barracuda Sentinel (EE)",) * 30,
)
"""Four hundred browsers, and what many readers have in common."""


def make_mails(ctx: Context, count: int) -> list[int]:
    """Make `count` mails of one sending, handed over an hour ago; return their ids."""
    handed_over = utc_now() - timedelta(hours=1)
    with ctx.write() as session:
        topic = session.scalars(select(Topic)).first()
        assert topic is not None
        sending = make_sending(session, ctx, [], topic)
        session.execute(
            text(
                "INSERT INTO message (sending_id, contact_id, address_id, recipient_key, occurrence, state, reason,"
                " attempts, reply, accepted_at, gate_at)"
                " SELECT :sending, id, address_id, id, 0, 'accepted', '', 0, '', :at, :at FROM contact ORDER BY id"
                " LIMIT :count"
            ),
            {"sending": sending.id, "at": stored_instant(session, handed_over), "count": count},
        )
        return list(session.scalars(select(Message.id).where(Message.sending_id == sending.id).order_by(Message.id)))


def make_hits(message_ids: list[int], count: int) -> list[RawHit]:
    """Return hits on the mails in the order of time, as many readers make them."""
    chance = random.Random(4)
    start = (utc_now() - timedelta(minutes=50)).timestamp()
    hits = []
    for number in range(count):
        is_open = chance.random() < 2 / 3
        kind = tokens.OPEN if is_open else tokens.CLICK
        method = HEAD if chance.random() < 0.03 else GET
        message_id, ip = chance.choice(message_ids), str(IPv4Address(chance.randrange(1 << 24, 1 << 31)))
        at = start + number * 2400 / count
        link = 0 if is_open else chance.randrange(10)
        hits.append(RawHit(at, kind, method, message_id, link, 0, ip, chance.choice(AGENTS)))
    return hits


def spool(ctx: Context, hits: list[RawHit]) -> None:
    """Leave hits behind as a web process does."""
    writer = SpoolWriter(ctx.settings.spool_dir, durable=False)
    for hit in hits:
        writer.append(pack_hit(hit))
    writer.close()


@dataclass
class LongestWrite:
    """How long the longest writing transaction of a database took, in seconds."""

    seconds: float = 0.0
    begun: dict[int, float] = field(default_factory=dict)

    def watch(self, database: Database) -> None:
        """Look at every transaction from now on."""
        event.listen(database.engine, "begin", lambda _: self._begin())
        event.listen(database.engine, "commit", lambda _: self._end())

    def _begin(self) -> None:
        self.begun[threading.get_ident()] = time.perf_counter()

    def _end(self) -> None:
        self.seconds = max(self.seconds, time.perf_counter() - self.begun[threading.get_ident()])


def run(ctx: Context) -> tuple[int, float, float]:
    """Take in what is spooled; return hits, seconds, and processor seconds of this process."""
    started, used = time.perf_counter(), time.process_time()
    hits = ingest_once(ctx)
    return hits, time.perf_counter() - started, time.process_time() - used


def run_reference(ctx: Context, hits: list[RawHit]) -> float:
    """Write a hit and its event as objects, a transaction each; return hits a second."""
    started = time.perf_counter()
    for number, raw in enumerate(hits):
        at = datetime.fromtimestamp(raw.at, UTC)
        with ctx.write() as session:
            message = session.get_one(Message, raw.message_id)
            session.add(Hit(message_id=message.id, kind="open", method="GET", at=at, ip=raw.ip,
                            user_agent=raw.user_agent, hit_class=HitClass.HUMAN.value))  # fmt: skip
            session.add(Event(message_id=message.id, sending_id=message.sending_id, contact_id=message.contact_id,
                              kind=EventKind.OPEN.value, hit_class=HitClass.HUMAN.value, at=at,
                              dedupe_key=f"reference:{number}"))  # fmt: skip
    return len(hits) / (time.perf_counter() - started)


def main() -> None:
    """Run the benchmark and print its last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="")
    parser.add_argument("--size", type=int, default=100_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ctx = make_context(open_database(arguments.database, folder, stack), folder)
        fill(ctx, arguments.size // HITS_A_MAIL)
        message_ids = make_mails(ctx, arguments.size // HITS_A_MAIL)
        spool(ctx, make_hits(message_ids, arguments.size))
        reference = run_reference(ctx, make_hits(message_ids, REFERENCE_HITS))
        look_for_cycles_after(NEW_OBJECTS)
        longest = LongestWrite()
        longest.watch(ctx.database)
        hits, seconds, used = run(ctx)
        ctx.database.dispose()
    figures = {
        "events_per_second": round(hits / seconds),
        "events": hits,
        "seconds": round(seconds, 2),
        "ingester_us_per_event": round(used / hits * 1e6, 1),
        "longest_write_ms": round(longest.seconds * 1000),
        "peak_rss_mb": peak_rss_mb(),
        "database": ctx.database.engine.name,
    }
    plain = {"events_per_second": round(reference), "events": REFERENCE_HITS}
    print_line("ingest", figures, plain, hits / seconds / reference)


if __name__ == "__main__":
    main()
